"""Calibration: whether a probability means what it says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_expit, log_softmax

from labelweave.errors import LabelweaveError
from labelweave.evaluation._metrics import (
    BINS,
    Floats,
    Given,
    checked,
    debiased_error,
    mass_bins,
)
from labelweave.evaluation._top_classes import likeliest
from labelweave.tasks import Multiclass, Task


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram and its error.

    Attributes:
        ece: expected calibration error, in [0, 1]; None without elements.
        bins: per bin mean confidence, share right and number of elements, by rising confidence.
    """

    ece: float | None
    bins: tuple[tuple[float, float, int], ...]


def confidences(task: Task, probabilities: Given, labels: ArrayLike) -> tuple[Floats, Floats]:
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
        predicted, confidence = likeliest(scores)
        right = predicted == codes
        return confidence[codes >= 0], right[codes >= 0].astype(np.float64)
    return scores[codes >= 0], codes[codes >= 0].astype(np.float64)


def reliability(confidence: Floats, outcome: Floats, bins: int = BINS) -> Reliability:
    """Return the expected calibration error over bins of equal mass, and the bins.

    The error of Guo, Pleiss, Sun and Weinberger ("On Calibration of Modern Neural Networks", ICML
    2017) with bins of equally many elements (Nguyen and O'Connor, "Posterior calibration and
    exploratory analysis for NLP models", EMNLP 2015); equal confidences share a bin. What chance
    alone adds is taken off (Kumar, Liang and Ma, "Verified uncertainty calibration", NeurIPS 2019).
    It is the metric ``ece`` of `evaluate`.

    Args:
        confidence: probabilities (n,).
        outcome: 1 or 0 for each (n,).
        bins: at most so many.
    """
    if not len(confidence):
        return Reliability(None, ())
    code = mass_bins(confidence, bins)
    size, sure, right = (
        np.bincount(code, weights).astype(np.float64)
        for weights in (np.ones(len(code)), confidence, outcome)
    )
    found = [
        (float(sure[b] / size[b]), float(right[b] / size[b]), int(size[b]))
        for b in range(len(size))
    ]
    return Reliability(float(debiased_error(size, sure, right)), tuple(found))


LEAST, MOST = 0.2, 20.0  # rows without an error, or all wrong, would go to 0 or infinity
TINY = 1e-6


def best_temperature(task: Task, probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Return the T for which softmax(scores / T) gives labelled elements the highest likelihood.

    Temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017,
    arXiv 1706.04599); a multilabel task has one T for the sigmoids of all its labels. Above 1: the
    probabilities were over-confident.

    Args:
        task: the task, its classes known.
        probabilities: (n, K) or (n, L), of rows held out of the training.
        labels: codes (n,) or (n, L); -1 = missing.

    Returns:
        T, from 0.2 to 20; 1 where no element is labelled.

    Raises:
        LabelweaveError: shapes, codes or probabilities that do not fit the task.
    """
    given, codes, _ = checked(task, probabilities, labels)
    if not (codes >= 0).any():
        return 1.0
    scores = scores_of(task, given)

    def loss(log_temperature: float) -> float:
        softened = scores / np.exp(log_temperature)
        if isinstance(task, Multiclass):
            rows = np.flatnonzero(codes >= 0)
            return -float(log_softmax(softened[rows], axis=1)[range(len(rows)), codes[rows]].mean())
        signs = np.where(codes == 1, 1.0, -1.0)
        return -float(log_expit(signs * softened)[codes >= 0].mean())

    # in 1 / T the loss is convex, so in log T it has one minimum
    from scipy.optimize import minimize_scalar  # takes half a second to load

    found = minimize_scalar(loss, bounds=(np.log(LEAST), np.log(MOST)), method="bounded")
    return float(np.exp(found.x))


def scores_of(task: Task, probabilities: Floats) -> Floats:
    """Return scores (n, width) of P(class) or P(label on), which are cut off at 1e-6."""
    if isinstance(task, Multiclass):
        return np.log(np.maximum(probabilities, TINY))
    clipped = np.clip(probabilities, TINY, 1 - TINY)
    return np.log(clipped) - np.log1p(-clipped)


DEFAULT = 0.5
# with fewer observed elements the best threshold is mostly chance
MIN_OBSERVED = 10


def best_thresholds(task: Task, probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """Return per label the threshold (L,) that maximises F1 on the given (validation) rows.

    The candidates are the midpoints between neighbouring scores of observed elements, and between
    the lowest one and 0; of equally good ones the nearest to 0.5 is taken. A label with fewer than
    10 observed elements, or without a positive or a negative one, keeps 0.5.

    Args:
        task: a multilabel (or binary) task.
        probabilities: (n, L), of each label being on.
        labels: (n, L): 1, 0 or -1 = missing.

    Raises:
        LabelweaveError: a multiclass task, or input that does not fit the task.
    """
    if isinstance(task, Multiclass):
        raise LabelweaveError(
            f"task '{task.name}': found a multiclass task, expected a multilabel or binary one "
            "to choose thresholds for"
        )
    scores, codes, _ = checked(task, probabilities, labels)
    observed, positive = codes >= 0, codes == 1
    counts, positives = observed.sum(axis=0), positive.sum(axis=0)
    usable = (counts >= MIN_OBSERVED) & (positives > 0) & (positives < counts)
    if not usable.any():
        return np.full(task.width, DEFAULT)

    # descending; missing elements go last, where they add nothing to the sums
    order = np.argsort(np.where(observed, -scores, 1.0), axis=0, kind="stable")
    high = np.take_along_axis(np.where(observed, scores, 0.0), order, axis=0)
    low = np.concatenate([high[1:], np.zeros((1, task.width))])
    hits = np.cumsum(np.take_along_axis(positive, order, axis=0), axis=0)
    rank = np.arange(1, len(codes) + 1)[:, None]
    f1 = 2 * hits / (rank + positives)
    # a cut can only lie between different scores, or below the last observed one
    f1[(high == low) & (rank != counts)] = -1
    middle = (high + low) / 2
    # between two neighbouring floats the midpoint can round down to the lower one
    cuts = np.where(middle > low, middle, high)
    distance = np.where(f1 == f1.max(axis=0), np.abs(cuts - DEFAULT), np.inf)
    best = np.take_along_axis(cuts, distance.argmin(axis=0)[None], axis=0)[0]
    return np.where(usable, best, DEFAULT)
