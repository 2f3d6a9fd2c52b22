"""How good predictions are: per task accuracy, balanced accuracy, log-loss and calibration error.

Written apart from the package, so that the measure does not change with what it measures.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.suite._data_sets import Task
from benchmarks.suite._scatterings import Case
from labelweave import LabelweaveError, Multiclass

METRICS = ("accuracy", "balanced_accuracy", "log_loss", "ece")
TINY = 1e-6  # a probability below it counts as this: a wrong certainty costs 13.8, not infinity
BINS = 10

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
    both sides' mean. The calibration error (ECE) is the weighted mean over 10 bins of equal mass of
    |accuracy - confidence|, the confidence being the probability of the predicted class or side.

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
    if isinstance(task, Multiclass):
        return _scores([(probabilities, np.asarray(labels))])
    sides = [np.stack([1 - p, p], axis=1) for p in probabilities.T]
    return _scores(list(zip(sides, np.asarray(labels).T, strict=True)))


def _scores(columns: list[tuple[Floats, NDArray[np.integer]]]) -> Scores:
    right, sure, losses, balanced = [], [], [], []
    for probabilities, codes in columns:
        known = codes >= 0
        p = np.maximum(probabilities[known], TINY)
        p, truth = p / p.sum(axis=1, keepdims=True), codes[known]
        hit = p.argmax(axis=1) == truth
        right.append(hit)
        sure.append(p.max(axis=1))
        losses.append(-np.log(p[np.arange(len(p)), truth]))
        if len(truth):
            balanced.append(np.mean([hit[truth == c].mean() for c in np.unique(truth)]))
    hits = np.concatenate(right).astype(np.float64)
    return {
        "accuracy": float(hits.mean()),
        "balanced_accuracy": float(np.mean(balanced)),
        "log_loss": float(np.concatenate(losses).mean()),
        "ece": _calibration_error(np.concatenate(sure), hits),
    }


def _calibration_error(confidence: Floats, hits: Floats) -> float:
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(BINS, len(hits)))
    gaps = [len(rows) * abs(hits[rows].mean() - confidence[rows].mean()) for rows in parts]
    return float(sum(gaps) / len(hits))
