"""Adam for one number a task, of which only the tasks in a batch take a step."""

import torch
from torch import Tensor, nn


class LazyAdam(nn.Module):
    """Values (m,) with Adam's moments and step counts of their own (Kingma and Ba, ICLR 2015).

    A task that is missing keeps value and moments: in PyTorch's Adam its momentum would go on.

    Args:
        tasks: their number m; all values start at 0.
        rate: the learning rate.
    """

    value: Tensor
    mean: Tensor
    square: Tensor
    seen: Tensor

    def __init__(self, tasks: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        for name in ("value", "mean", "square", "seen"):
            self.register_buffer(name, torch.zeros(tasks))

    def step(self, gradient: Tensor, present: Tensor) -> None:
        """Take one step against the gradient (m,) for the tasks present."""
        self.seen += present
        mean = 0.9 * self.mean + 0.1 * gradient
        square = 0.999 * self.square + 0.001 * gradient**2
        seen = self.seen.clamp(min=1)
        move = (mean / (1 - 0.9**seen)) / ((square / (1 - 0.999**seen)).sqrt() + 1e-8)
        for old, new in (
            (self.mean, mean), (self.square, square), (self.value, self.value - self.rate * move),
        ):  # fmt: skip
            old.copy_(torch.where(present, new, old))
