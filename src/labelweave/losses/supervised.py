"""Supervised losses on the elements that carry a label."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from labelweave.losses.columns import ColumnBatch, Columns, widened
from labelweave.losses.coupling import Coupling
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


class Supervised(Coupling):
    """Softmax or binary cross-entropy of every task, each over its labelled elements.

    Source: Kollias et al., AAAI 2024, the supervised terms of the total loss.

    Args:
        tasks: the tasks to be trained.
        columns: the layout of the batches that `terms` gets; None = that of `tasks`.
    """

    segments: Tensor

    def __init__(self, tasks: Sequence[Task], columns: Columns | None = None) -> None:
        super().__init__(columns or Columns(tasks))
        self.names = tuple(f"supervised/{task.name}" for task in tasks)
        segments = torch.zeros(self.columns.width, len(tasks))
        for i, task in enumerate(tasks):
            segments[self.columns.indices(task), i] = 1.0
        self.register_buffer("segments", segments, persistent=False)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a task."""
        loss = -(batch.one_hot * batch.log_p).sum(dim=0)
        segments = self.segments.to(loss.dtype)
        return Terms(self.names, loss @ segments, batch.one_hot.sum(dim=0) @ segments)


def one_task_loss(task: Task, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `Supervised` does for a task alone, with nothing to lay side by side.

    Args:
        task: the task.
        logits: (n, width) scores.
        labels: its codes.

    Returns:
        The sum over its labelled elements, and their number.
    """
    of_task = masked_cross_entropy if isinstance(task, Multiclass) else masked_binary_cross_entropy
    return of_task(widened(logits), labels)
