"""How good predictions are: per task accuracy, balanced accuracy, log-loss and calibration error.

Written apart from the package, so that the measure does not change with what it measures; only the
calibration error is the package's, so that there is one definition of it.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.suite._data_sets import Task
from benchmarks.suite._scatterings import Case
from labelweave import LabelweaveError, Multiclass
from labelweave.evaluation import reliability
from labelweave.evaluation._calibration import confidences

METRICS = ("accuracy", "balanced_accuracy", "log_loss", "ece")
TINY = 1e-6  # a probability below it counts as this: a wrong certainty costs 13.8, not infinity

Floats = NDArray[np.float64]
Scores = dict[str, float]


def score_case(case: Case, probabilities: dict[str, Floats]) -> dict[str, Scores]:
    """Return every metric of every task on the labelled test elements; no label, no entry.

    Raises:
        LabelweaveError: a task lacks predictions, or they have a wrong shape or no finite values.
    """
    return {
        task.name: score(task, probabilities.get(task.name), case.test_labels.labels[task.name])
        for task in case.tasks
        if case.test_labels.observed(task.name).any()
    }


def score(task: Task, probabilities: Floats | None, labels: NDArray[np.integer]) -> Scores:
    """Return the metrics of one task.

    Accuracy and log-loss (natural logarithm) are means over labelled elements. Balanced accuracy is
    the mean over the classes present of the share found, for several labels the mean over labels of
    both sides' mean. The calibration error (ECE) is that of `labelweave.evaluation.reliability`.

    Args:
        task: the task.
        probabilities: (n, K) of the classes, or (n, L) of labels being on.
        labels: codes, (n,) or (n, L), -1 = missing; at least one is known.

    Raises:
        LabelweaveError: predictions are lacking, or have a wrong shape or no finite values.
    """
    shape = (len(labels), task.width)
    if probabilities is None or probabilities.shape != shape:
        found = "none" if probabilities is None else f"shape {probabilities.shape}"
        raise LabelweaveError(f"predictions of '{task.name}': found {found}, expected {shape}")
    if not np.isfinite(probabilities).all():
        raise LabelweaveError(f"predictions of '{task.name}': found values that are not finite")
    error = reliability(*confidences(task, probabilities, labels)).ece
    assert error is not None  # some label is known
    if isinstance(task, Multiclass):
        return _scores([(probabilities, np.asarray(labels))]) | {"ece": error}
    sides = [np.stack([1 - p, p], axis=1) for p in probabilities.T]
    columns = list(zip(sides, np.asarray(labels).T, strict=True))
    return _scores(columns) | {"ece": error}


def _scores(columns: list[tuple[Floats, NDArray[np.integer]]]) -> Scores:
    right, losses, balanced = [], [], []
    for probabilities, codes in columns:
        known = codes >= 0
        p = np.maximum(probabilities[known], TINY)
        p, truth = p / p.sum(axis=1, keepdims=True), codes[known]
        hit = p.argmax(axis=1) == truth
        right.append(hit)
        losses.append(-np.log(p[np.arange(len(p)), truth]))
        if len(truth):
            balanced.append(np.mean([hit[truth == c].mean() for c in np.unique(truth)]))
    hits = np.concatenate(right).astype(np.float64)
    return {
        "accuracy": float(hits.mean()),
        "balanced_accuracy": float(np.mean(balanced)),
        "log_loss": float(np.concatenate(losses).mean()),
    }
