"""Losses of tasks whose classes, or sides of a label, are very unequal, by name.

Each replaces the cross-entropy of the labelled elements of one task. Missing labels do not count,
nor do they in the shares that a loss goes by.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from pydantic import Field
from torch import Tensor

from labelweave.balancing import Choice, Options, chosen
from labelweave.errors import LabelweaveError
from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.constant import constant
from labelweave.losses.supervised import Supervised
from labelweave.losses.terms import Terms
from labelweave.tasks import Multiclass, Task

TINY = 1e-8  # a power of a probability has no slope at 0
Columnwise = Callable[[Tensor], Tensor]


class AdjustedOptions(Options):
    """tau: how far the scores are freed from the class shares; 1 = balanced softmax."""

    short = "tau"
    tau: float = Field(default=1.0, ge=0, le=2)


class FocalOptions(Options):
    """gamma: the larger, the less elements count that are right already."""

    short = "gamma"
    gamma: float = Field(default=2.0, ge=0, le=5)


class AsymmetricOptions(Options):
    """positive, negative: `gamma` where a label is on, off; margin: offs below it do not count."""

    positive: float = Field(default=0.0, ge=0, le=5)
    negative: float = Field(default=4.0, ge=0, le=5)
    margin: float = Field(default=0.05, ge=0, lt=1)


class PositiveOptions(Options):
    """limit: the largest weight of a label that is on."""

    short = "limit"
    limit: float = Field(default=20.0, ge=1, le=1000)


TASK_LOSSES: dict[str, type[Options]] = {
    "cross_entropy": Options,
    "balanced_softmax": Options,
    "logit_adjusted": AdjustedOptions,
    "focal": FocalOptions,
    "asymmetric": AsymmetricOptions,
    "positive_weights": PositiveOptions,
}
LOSS_TITLES = {
    "cross_entropy": "every labelled element counts the same (default)",
    "balanced_softmax": "predictions as if all classes were equally frequent",
    "logit_adjusted": "likewise, by a share tau; for a label, as if it were on as often as off",
    "focal": "elements that are right already count less",
    "asymmetric": "labels that are off, and clearly so, count less",
    "positive_weights": "a label that is on counts as off / on, at most `limit`",
}
MULTICLASS_ONLY = {"balanced_softmax"}
MULTILABEL_ONLY = {"asymmetric", "positive_weights"}
REWEIGHTED = {"focal", "asymmetric", "positive_weights"}  # others are the cross-entropy


def task_loss(choice: Choice, task: Task) -> tuple[str, Any]:
    """Return the name and all the options of a task's loss.

    Raises:
        LabelweaveError: an unknown name or option, or a loss for tasks of another kind.
    """
    name, options = chosen("loss", choice, TASK_LOSSES)
    multiclass = isinstance(task, Multiclass)
    if name in (MULTILABEL_ONLY if multiclass else MULTICLASS_ONLY):
        kinds = ("multilabel or binary", "multiclass")
        raise LabelweaveError(
            f"task '{task.name}': the loss '{name}' is for {kinds[not multiclass]} tasks, "
            f"found a {kinds[multiclass]} one"
        )
    return name, options


def reweighted(choice: Choice) -> bool:
    """Return whether a loss weighs elements otherwise than the cross-entropy does."""
    return chosen("loss", choice, TASK_LOSSES)[0] in REWEIGHTED


def freed(choice: Choice, task: Task) -> float:
    """Return how far a loss frees the scores from the class shares: tau, 0 for most.

    Training then adds tau log share(class) to the scores, for a label the log-odds of being on, so
    that the scores themselves are for rows whose shares are as share^(1 - tau) (Menon et al.,
    "Long-tail learning via logit adjustment", ICLR 2021, equation 10; tau = 1: Ren et al.,
    "Balanced Meta-Softmax", NeurIPS 2020).
    """
    name, options = task_loss(choice, task)
    if name == "logit_adjusted":
        return float(options.tau)
    return 1.0 if name == "balanced_softmax" else 0.0


def focal(log_p: Tensor, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma log p of every column.

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 4.
    """
    return -((-torch.expm1(log_p)).clamp(min=TINY) ** gamma) * log_p


def asymmetric(log_p: Tensor, options: AsymmetricOptions) -> Tensor:
    """Return the asymmetric loss of the columns (on, off) of a multilabel task.

    Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021, equations 4 to 7:
    of a label that is off, p counts as max(p - margin, 0).
    """
    on, off = log_p.chunk(2, dim=1)
    below = (-torch.expm1(off) - options.margin).clamp(min=TINY)
    negative = -(below**options.negative) * torch.log1p(-below.clamp(max=1 - TINY))
    return torch.cat([focal(on, options.positive), negative], dim=1)


class Reweighted(Supervised):
    """`Supervised`, where some tasks have a loss of their own.

    Args:
        tasks: the tasks to be trained.
        losses: task name to its loss; cross-entropy for the tasks left out.
        shares: task name to the shares (L,) of its labels being on, for positive weights.
        columns: the layout of the batches that `terms` gets; None = that of `tasks`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        losses: Mapping[str, Choice],
        shares: Mapping[str, ArrayLike],
        columns: Columns | None = None,
    ) -> None:
        super().__init__(tasks, columns)
        self.own: list[tuple[Tensor, Columnwise]] = []
        for task in tasks:
            made = _made(losses.get(task.name, "cross_entropy"), task, shares)
            if made is not None:
                self.own.append((torch.tensor(self.columns.indices(task)), made))

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a task."""
        loss = -batch.log_p
        for places, own in self.own:
            places = places.to(loss.device)
            loss = loss.index_copy(1, places, own(batch.log_p.index_select(1, places)))
        segments = self.segments.to(loss.dtype)
        sums = (batch.one_hot * loss).sum(dim=0) @ segments
        return Terms(self.names, sums, batch.one_hot.sum(dim=0) @ segments)


def _made(choice: Choice, task: Task, shares: Mapping[str, ArrayLike]) -> Columnwise | None:
    name, options = task_loss(choice, task)
    if name == "focal":
        return lambda log_p: focal(log_p, options.gamma)
    if name == "asymmetric":
        return lambda log_p: asymmetric(log_p, options)
    if name == "positive_weights":
        on = constant(shares[task.name])
        weights = torch.cat([((1 - on) / on).clamp(max=options.limit), torch.ones_like(on)])
        return lambda log_p: -log_p * weights.to(log_p)
    return None
