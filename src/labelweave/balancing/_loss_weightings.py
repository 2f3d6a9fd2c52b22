"""Loss weightings: how the tasks' losses are weighed by their values."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn


class LazyAdam(nn.Module):
    """Values (m,), each with its moments of Adam and its step count (Kingma and Ba, ICLR 2015).

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


LEAST = 1e-8  # of a loss in a logarithm


class LossWeighting(nn.Module):
    """Base of the loss weightings: the plain sum.

    Attributes:
        looks_back: whether `update` wants the losses of the same batch after the step.
    """

    looks_back = False

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return the factors of the tasks' losses, (m,).

        Args:
            values: (m,) losses.
            present: (m,) whether a task has a label in the batch.
        """
        return torch.ones_like(values)

    def update(self, before: Tensor, after: Tensor, present: Tensor) -> None:
        """Learn from the losses of one batch before and after a step."""


class Constant(LossWeighting):
    """A fixed factor a task.

    Args:
        tasks: the tasks' names.
        weights: task name to factor; 1 for the tasks left out.
    """

    factors: Tensor

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.register_buffer("factors", torch.tensor([float(weights.get(t, 1)) for t in tasks]))

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return the fixed factors."""
        return self.factors.to(values.dtype)


class Scalarized(LossWeighting):
    """A scalarization of torchjd without state: the weights are its gradient.

    Args:
        scalarizer: a torchjd ``Scalarizer``, symmetric in its values.
    """

    def __init__(self, scalarizer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.scalarizer = scalarizer

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return k times the gradient for the k values that are present, scaled to a sum of k."""
        seen = values[present].clamp(min=LEAST).requires_grad_()
        weights = torch.ones_like(values)
        if len(seen):
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(self.scalarizer(seen), seen)
            weights[present] = gradient * (len(gradient) / gradient.sum())
        return weights


class Learnt(LossWeighting):
    """A separable scalarization of torchjd with one parameter a task, learnt with the network.

    Args:
        scalarizer: a torchjd ``Scalarizer`` that sums over values, with one parameter (m,).
        tasks: their number m.
        rate: learning rate of the parameters.
        scale: factor that makes the first weights 1.
    """

    def __init__(self, scalarizer: nn.Module, tasks: int, rate: float, scale: float) -> None:
        super().__init__()
        # its parameter takes the learnt values at every call; not a part of the state
        self.scalarizer = [scalarizer]
        self.scale = scale
        self.learnt = LazyAdam(tasks, rate)

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return the gradient for the values; the parameters of tasks present take a step."""
        (scalarizer,) = self.scalarizer
        (parameter,) = scalarizer.parameters()
        parameter.data = self.learnt.value.to(values.dtype).clone()
        given = values.detach().clone().requires_grad_()
        with torch.enable_grad():
            total = scalarizer(given)
            weights, gradient = torch.autograd.grad(total, [given, parameter])
        self.learnt.step(gradient, present)
        return torch.where(present, self.scale * weights, 1.0)


class DWA(LossWeighting):
    """Dynamic weight average: a loss that falls slowly gets more weight.

    Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, equation 7,
    with windows of steps for epochs. A task is averaged over the batches that hold it, and one that
    a window lacks keeps its average.

    Args:
        tasks: their number m.
        temperature: the larger, the more equal the weights.
        window: steps of a window.
    """

    sums: Tensor
    counts: Tensor
    older: Tensor
    newer: Tensor
    steps: Tensor

    def __init__(self, tasks: int, temperature: float, window: int) -> None:
        super().__init__()
        self.temperature, self.window = temperature, window
        for name in ("sums", "counts", "older", "newer"):
            self.register_buffer(name, torch.zeros(tasks))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return the weights by the last two windows, and add the values to this one."""
        known = (self.older > 0) & (self.newer > 0)
        rates = torch.where(known, self.newer / self.older.clamp(min=LEAST), 1.0)
        weights = len(rates) * torch.softmax(rates / self.temperature, dim=0)
        self.sums += torch.where(present, values, 0.0)
        self.counts += present
        self.steps += 1
        if int(self.steps) % self.window == 0:
            mean = torch.where(self.counts > 0, self.sums / self.counts.clamp(min=1), self.newer)
            self.older, self.newer = self.newer.clone(), mean
            self.sums, self.counts = torch.zeros_like(mean), torch.zeros_like(mean)
        return weights.to(values.dtype)


class FAMO(LossWeighting):
    """Weights by which all losses fall at about the same rate.

    Liu et al., "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023, algorithm 2. It looks at
    the batch once more after the step, without gradients: about a third of a step.

    Args:
        tasks: their number m.
        rate: learning rate of the logits.
        decay: how strongly the logits are drawn to 0.
    """

    looks_back = True

    def __init__(self, tasks: int, rate: float, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.learnt = LazyAdam(tasks, rate)

    def _shares(self, present: Tensor) -> Tensor:
        return torch.softmax(self.learnt.value.masked_fill(~present, -torch.inf), dim=0)

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return k (z / loss) / sum(z / loss) over the k tasks present."""
        if not bool(present.any()):
            return torch.ones_like(values)
        parts = self._shares(present) / values.clamp(min=LEAST)
        return torch.where(present, present.sum() * parts / parts.sum(), 1.0).to(values.dtype)

    def update(self, before: Tensor, after: Tensor, present: Tensor) -> None:
        """Give those that fell less than the others more weight."""
        if not bool(present.any()):
            return
        z = self._shares(present)
        fell = before.clamp(min=LEAST).log() - after.clamp(min=LEAST).log()
        fell = torch.where(present, fell, 0.0)
        # the gradient of <softmax, fell>
        gradient = z * (fell - (z * fell).sum()) + self.decay * self.learnt.value
        self.learnt.step(gradient, present)
