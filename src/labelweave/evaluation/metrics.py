"""The metrics of a task, on labelled elements only; no labelled element means "no data" (None)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from labelweave.evaluation._checks import Floats, checked
from labelweave.evaluation._weighted import MulticlassMetrics, MultilabelMetrics
from labelweave.tasks import Multiclass, Task

HIGHER_IS_BETTER = {
    "accuracy": True,
    "balanced_accuracy": True,
    "macro_f1": True,
    "mean_average_precision": True,
    "log_loss": False,
    "ece": False,
}
# means of shares of test elements, from 0 to 1
SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "mean_average_precision")


def metric_names(task: Task) -> tuple[str, ...]:
    """Return the names of a task's metrics, in the order in which `evaluate` gives them."""
    ranked = not isinstance(task, Multiclass)
    return tuple(name for name in HIGHER_IS_BETTER if ranked or name != "mean_average_precision")


def main_metric(task: Task) -> str:
    """Return the metric a task is judged by: "accuracy", or "macro_f1" with several labels."""
    several = not isinstance(task, Multiclass) and task.width > 1
    return "macro_f1" if several else "accuracy"


def evaluate(
    task: Task, probabilities: ArrayLike, labels: ArrayLike, thresholds: ArrayLike | None = None
) -> dict[str, float | None]:
    """Return every metric of a task on its labelled elements; None where there is no data.

    - ``accuracy``: share of right elements.
    - ``balanced_accuracy``: mean recall of the classes that have labels; multilabel: mean over
      labels of the mean recall of on and off, each left out where it has no element.
    - ``macro_f1``: mean F1 of the classes (multilabel: of the labels' on state); those that occur
      in neither labels nor predictions are left out.
    - ``mean_average_precision`` (multilabel): mean over the labels with a positive element of
      sum_k (recall_k - recall_k-1) precision_k, equal scores taken as one step.
    - ``log_loss``: mean -log probability of the truth in nats, clipped at float32's resolution so
      that one saturated output costs at most 15.9.
    - ``ece``: expected calibration error over 15 equal-width bins: of the highest probability
      against its being right, or (multilabel) of every element's probability against its label.

    All lie in [0, 1] but ``log_loss``; `HIGHER_IS_BETTER` tells their direction.

    Args:
        task: the task, its classes known.
        probabilities: (n, K) with rows that sum to 1, or (n, L), each the probability of "on".
        labels: codes (n,) or (n, L); -1 = missing.
        thresholds: (L,) or one number: a label is predicted on from this probability up
            (default 0.5). Not for multiclass tasks, whose prediction is the likeliest class.

    Raises:
        LabelweaveError: shapes, codes or probabilities that do not fit the task.
    """
    metrics = weighted_metrics(task, probabilities, labels, thresholds)
    values = metrics(np.ones((len(np.atleast_1d(labels)), 1)))
    return {name: None if np.isnan(value[0]) else float(value[0]) for name, value in values.items()}


def weighted_metrics(
    task: Task, probabilities: ArrayLike, labels: ArrayLike, thresholds: ArrayLike | None = None
) -> Callable[[Floats], dict[str, Floats]]:
    """Return the function from row weights (n, B) to B values of each metric, NaN = no data.

    Args and errors are those of `evaluate`.
    """
    scores, codes, cuts = checked(task, probabilities, labels, thresholds)
    return (
        MulticlassMetrics(scores, codes) if cuts is None else MultilabelMetrics(scores, codes, cuts)
    )
