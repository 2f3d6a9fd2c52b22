"""Calibration: whether a probability means what it says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from labelweave.evaluation._checks import Floats, checked
from labelweave.tasks import Task


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram and its error.

    Attributes:
        ece: expected calibration error, in [0, 1]; None without elements.
        bins: per bin mean confidence, share right and number of elements, by rising confidence.
    """

    ece: float | None
    bins: tuple[tuple[float, float, int], ...]


def confidences(task: Task, probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    """Return how sure every labelled element's prediction is, and whether it is right (0 or 1).

    A multiclass task has an element a row: its highest probability, against that class being the
    right one. A multilabel task has one a label: its probability, against the label being on.

    Args:
        task: the task, its classes known.
        probabilities: (n, K) with rows that sum to 1, or (n, L), each the probability of "on".
        labels: codes (n,) or (n, L); -1 = missing.

    Raises:
        LabelweaveError: shapes, codes or probabilities that do not fit the task.
    """
    scores, codes, cuts = checked(task, probabilities, labels)
    if cuts is None:
        right = scores.argmax(axis=1) == codes
        return scores.max(axis=1)[codes >= 0], right[codes >= 0].astype(np.float64)
    return scores[codes >= 0], codes[codes >= 0].astype(np.float64)


def reliability(confidence: Floats, outcome: Floats, bins: int = 10) -> Reliability:
    """Return the expected calibration error over bins of equal mass, and the bins.

    ECE = sum_b n_b / n |share right_b - mean confidence_b| (Guo, Pleiss, Sun and Weinberger, "On
    Calibration of Modern Neural Networks", ICML 2017), with bins of equally many elements (Nguyen
    and O'Connor, "Posterior calibration and exploratory analysis for NLP models", EMNLP 2015);
    equal confidences share a bin. Where bins are small it is above 0 by chance alone.

    Args:
        confidence: probabilities (n,).
        outcome: 1 or 0 for each (n,).
        bins: at most so many.
    """
    n = len(confidence)
    if not n:
        return Reliability(None, ())
    order = np.argsort(confidence, kind="stable")
    ranked, outcomes = confidence[order], outcome[order]
    last = ranked[np.maximum(np.arange(1, bins + 1) * n // bins, 1) - 1]
    ends = np.unique(np.searchsorted(ranked, last, side="right"))
    found = [
        (float(ranked[start:end].mean()), float(outcomes[start:end].mean()), int(end - start))
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    ece = sum(size * abs(right - sure) for sure, right, size in found) / n
    return Reliability(ece, tuple(found))
