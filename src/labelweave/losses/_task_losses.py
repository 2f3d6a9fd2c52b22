"""The losses of single tasks by name, each with its options."""

from typing import Any

from pydantic import Field

from labelweave._options import Named, Options, resolve
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass, Task


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


def task_loss(choice: Named, task: Task) -> tuple[str, Any]:
    """Return the name and all the options of a task's loss.

    Raises:
        LabelweaveError: an unknown name or option, or a loss for tasks of another kind.
    """
    name, options = resolve("loss", choice, TASK_LOSSES)
    multiclass = isinstance(task, Multiclass)
    if name in (MULTILABEL_ONLY if multiclass else MULTICLASS_ONLY):
        kinds = ("multilabel or binary", "multiclass")
        raise LabelweaveError(
            f"task '{task.name}': the loss '{name}' is for {kinds[not multiclass]} tasks, "
            f"found a {kinds[multiclass]} one"
        )
    return name, options


def reweighted(choice: Named) -> bool:
    """Return whether a loss weighs elements otherwise than the cross-entropy does."""
    return resolve("loss", choice, TASK_LOSSES)[0] in REWEIGHTED


def freed(choice: Named, task: Task) -> float:
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
