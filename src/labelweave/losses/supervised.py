"""Supervised losses on the elements that carry a label."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from labelweave.losses.stack import Labels, Logits
from labelweave.losses.terms import Terms
from labelweave.tasks import Multiclass, Task


def masked_cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed softmax cross-entropy of labelled rows, and their number.

    Args:
        logits: (n, K).
        labels: (n,) class indices, -1 = missing (contributes nothing, gradient exactly zero).
    """
    loss = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return loss, (labels >= 0).sum()


def masked_binary_cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed sigmoid cross-entropy of labelled elements, and their number.

    Args:
        logits: (n, L).
        labels: (n, L) 1 = on, 0 = off, -1 = missing (contributes nothing).
    """
    seen = labels >= 0
    loss = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    # where, not a product: an infinite loss at a missing element must not become NaN
    return torch.where(seen, loss, 0.0).sum(), seen.sum()


class Supervised:
    """Softmax or binary cross-entropy of every task, each over its labelled elements.

    Source: Kollias et al., AAAI 2024, the supervised terms of the total loss.

    Args:
        tasks: the tasks to be trained.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        self.names = tuple(f"supervised/{task.name}" for task in self.tasks)

    def __call__(self, logits: Logits, labels: Labels) -> Terms:
        """Return one term a task."""
        sums: list[Tensor] = []
        counts: list[Tensor] = []
        for task in self.tasks:
            loss = (
                masked_cross_entropy
                if isinstance(task, Multiclass)
                else masked_binary_cross_entropy
            )
            value, count = loss(logits[task.name], labels[task.name])
            sums.append(value)
            counts.append(count)
        total = torch.stack(sums)
        return Terms(self.names, total, torch.stack(counts).to(total.dtype))
