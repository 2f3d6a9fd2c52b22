"""The metrics of a task, on labelled elements only; no labelled element means "no data" (None)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr

from labelweave.annotations import Annotations, Codes
from labelweave.errors import LabelweaveError
from labelweave.evaluation._top_classes import TopClasses, likeliest, of_class
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Given = ArrayLike | TopClasses  # probabilities

# wide enough for a softmax computed in half precision
SUM_TOLERANCE = 1e-2


def checked(
    task: Task, probabilities: Given, labels: ArrayLike, thresholds: ArrayLike | None = None
) -> tuple[Any, Codes, Floats | None]:
    """Return probabilities (n, width) or `TopClasses`, label codes and thresholds (L,), or raise.

    Thresholds left out become 0.5 for every label of a multilabel task, None for a multiclass one.

    Raises:
        LabelweaveError: wrong shapes, codes out of range, values that are no probabilities, rows
            of a multiclass task that do not sum to 1, or thresholds for a multiclass task.
    """
    codes = Annotations((task,), {task.name: np.atleast_1d(labels)}).labels[task.name]
    if isinstance(probabilities, TopClasses):
        return _checked_top(task, probabilities, codes, thresholds), codes, None
    scores = _floats(task, "probabilities", probabilities, (len(codes), task.width))
    _check_range(task, "probabilities", scores)
    if isinstance(task, Multiclass):
        _no_thresholds(task, thresholds)
        wrong = np.abs(scores.sum(axis=1) - 1) > SUM_TOLERANCE
        if wrong.any():
            row = int(np.argmax(wrong))
            raise LabelweaveError(
                f"task '{task.name}', row {row + 1}: found probabilities that sum to "
                f"{scores[row].sum():.4g}, expected 1"
            )
        return scores, codes, None
    cuts = _floats(task, "thresholds", 0.5 if thresholds is None else thresholds, (task.width,))
    _check_range(task, "thresholds", cuts)
    return scores, codes, cuts


def _no_thresholds(task: Task, thresholds: ArrayLike | None) -> None:
    if thresholds is not None:
        raise LabelweaveError(
            f"task '{task.name}': found thresholds for a multiclass task, expected none"
        )


def _checked_top(
    task: Task, found: TopClasses, codes: Codes, thresholds: ArrayLike | None
) -> TopClasses:
    """Return what is kept of very many classes, its shape and values checked."""
    _no_thresholds(task, thresholds)
    if found.shape != (len(codes), task.width) or not isinstance(task, Multiclass):
        raise LabelweaveError(
            f"task '{task.name}': found probabilities of shape {found.shape}, expected "
            f"({len(codes)}, {task.width}) of a multiclass task"
        )
    p, total = found.probabilities, found.probabilities.sum(axis=1, dtype=np.float64)
    wrong = ~((p >= 0) & (p <= 1)).all(axis=1) | (total > 1 + SUM_TOLERANCE)  # also true for NaN
    if wrong.any():
        row = int(np.argmax(wrong))
        raise LabelweaveError(
            f"task '{task.name}', row {row + 1}: found no probabilities, expected numbers from 0 "
            "to 1 whose sum is at most 1"
        )
    return found


def _floats(task: Task, what: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    found: NDArray[Any] = np.asarray(values)
    if what == "thresholds" and found.ndim == 0:
        found = np.broadcast_to(found, shape)
    if found.shape != shape or found.dtype.kind not in "fiu":
        raise LabelweaveError(
            f"task '{task.name}': found {what} of type {found.dtype} and shape {found.shape}, "
            f"expected numbers of shape {shape}"
        )
    return found.astype(np.float64, copy=False)


def _check_range(task: Task, what: str, values: Floats) -> None:
    wrong = ~((values >= 0) & (values <= 1))  # also true for NaN
    if wrong.any():
        place = np.unravel_index(int(np.argmax(wrong)), values.shape)
        where = f", row {int(place[0]) + 1}" if values.ndim == 2 else ""
        name = task.names[int(place[-1])]
        raise LabelweaveError(
            f"task '{task.name}'{where}: found {values[place]:.4g} for '{name}' in the {what}, "
            "expected a number from 0 to 1"
        )


BINS = 10  # of a calibration error
# the smallest distance to 0 or 1 that float32 outputs of a network can represent
EPSILON = float(np.finfo(np.float32).eps)

Indices = NDArray[np.integer[Any]]


class MulticlassMetrics:
    """The metrics of a multiclass task; call it with weights (n, B) to get B values of each.

    Args:
        probabilities: (n, K), or the top classes of very many.
        labels: class indices (n,), -1 = missing.
    """

    def __init__(self, probabilities: Floats | TopClasses, labels: Codes) -> None:
        rows = np.flatnonzero(labels >= 0)
        shape = (probabilities.shape[1], len(labels))
        scores, truth = probabilities[rows], labels[rows]
        predicted, confidence = likeliest(scores)
        right = (predicted == truth).astype(np.float64)
        self.support = _adder(truth, rows, np.ones(len(rows)), shape)
        self.predicted = _adder(predicted, rows, np.ones(len(rows)), shape)
        self.correct = _adder(truth, rows, right, shape)
        self.calibration = CalibrationError(confidence, right, rows, len(labels))
        loss = -np.log(_clipped(of_class(scores, truth)))
        self.loss = _adder(np.zeros_like(rows), rows, loss, (1, len(labels)))

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the metrics by name, each (B,), NaN where there is nothing to measure."""
        support, predicted, correct = (
            _sums(part, weights) for part in (self.support, self.predicted, self.correct)
        )
        total = support.sum(axis=0)
        return {
            "accuracy": _ratio(correct.sum(axis=0), total),
            "balanced_accuracy": _mean(_ratio(correct, support)),
            "macro_f1": _mean(_ratio(2 * correct, support + predicted)),
            "log_loss": _ratio(_sums(self.loss, weights)[0], total),
            "ece": self.calibration(weights),
        }


class MultilabelMetrics:
    """The metrics of a multilabel task; call it with weights (n, B) to get B values of each.

    Args:
        probabilities: (n, L), of each label being on.
        labels: 1 = on, 0 = off, -1 = missing, (n, L).
        thresholds: a label is predicted on from this probability up, (L,).
    """

    def __init__(self, probabilities: Floats, labels: Codes, thresholds: Floats) -> None:
        rows, columns = np.nonzero(labels >= 0)
        n, shape = len(labels), (labels.shape[1], len(labels))
        scores, truth = probabilities[rows, columns], labels[rows, columns].astype(np.float64)
        predicted = (scores >= thresholds[columns]).astype(np.float64)
        self.observed = _adder(columns, rows, np.ones(len(rows)), shape)
        self.on = _adder(columns, rows, truth, shape)
        self.predicted = _adder(columns, rows, predicted, shape)
        self.hits = _adder(columns, rows, truth * predicted, shape)
        self.calibration = CalibrationError(scores, truth, rows, n)
        loss = -np.log(_clipped(np.where(truth == 1, scores, 1 - scores)))
        self.loss = _adder(np.zeros_like(rows), rows, loss, (1, n))
        self.rankings = [
            Ranking(score, label) for score, label in zip(probabilities.T, labels.T, strict=True)
        ]

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the metrics by name, each (B,), NaN where there is nothing to measure."""
        observed, on, predicted, hits = (
            _sums(part, weights) for part in (self.observed, self.on, self.predicted, self.hits)
        )
        total = observed.sum(axis=0)
        off = observed - on
        rejected = off - predicted + hits
        recalls = np.stack([_ratio(hits, on), _ratio(rejected, off)])
        precision = np.stack([ranking.average_precision(weights) for ranking in self.rankings])
        return {
            "accuracy": _ratio((hits + rejected).sum(axis=0), total),
            "balanced_accuracy": _mean(_mean(recalls)),
            "macro_f1": _mean(_ratio(2 * hits, on + predicted)),
            "mean_average_precision": _mean(precision),
            "log_loss": _ratio(_sums(self.loss, weights)[0], total),
            "ece": self.calibration(weights),
        }


class Ranking:
    """The observed rows of one label from the highest score down, equal scores taken together.

    Args:
        scores: (n,).
        labels: 1, 0 or -1 = missing, (n,).
    """

    def __init__(self, scores: Floats, labels: Codes) -> None:
        rows = np.flatnonzero(labels >= 0)
        self.order = rows[np.argsort(-scores[rows], kind="stable")]
        ranked = scores[self.order]
        self.positive = np.flatnonzero(labels[self.order] == 1)
        # precision is read where the run of equal scores around a positive element ends
        self.ends = np.unique(np.searchsorted(-ranked, -ranked[self.positive], side="right") - 1)
        self.last = np.searchsorted(self.positive, self.ends, side="right") - 1

    def average_precision(self, weights: Floats) -> Floats:
        """Return the average precision (B,) under weights (n, B), NaN without a positive."""
        if not len(self.positive):
            return np.full(weights.shape[1], np.nan)
        ranked = weights[self.order]
        seen = np.cumsum(ranked, axis=0)[self.ends]
        found = np.cumsum(ranked[self.positive], axis=0)[self.last]
        gained = np.diff(found, axis=0, prepend=0)
        # nothing is gained where nothing has been seen
        precision = found / np.maximum(seen, np.finfo(np.float64).tiny)
        return _ratio((gained * precision).sum(axis=0), found[-1])


def _adder(groups: Indices, rows: Indices, values: Floats, shape: tuple[int, int]) -> csr_array:
    """Return a matrix (groups, n) whose product with weights sums `values` by group."""
    return csr_array((values, (groups, rows)), shape=shape)


def _sums(adder: csr_array, weights: Floats) -> Floats:
    return np.asarray(adder @ weights)


class CalibrationError:
    """The expected calibration error; call it with weights (n, B) to get B values.

    Args:
        confidence: (m,) probabilities of elements.
        outcome: (m,) 1 or 0.
        rows: (m,) the row of each element.
        n: number of rows.
    """

    def __init__(self, confidence: Floats, outcome: Floats, rows: Indices, n: int) -> None:
        bins = mass_bins(confidence)
        shape = (int(bins.max(initial=-1)) + 1, n)
        self.size = _adder(bins, rows, np.ones(len(rows)), shape)
        self.sure = _adder(bins, rows, confidence, shape)
        self.right = _adder(bins, rows, outcome, shape)

    def __call__(self, weights: Floats) -> Floats:
        return debiased_error(
            *(_sums(part, weights) for part in (self.size, self.sure, self.right))
        )


def mass_bins(confidence: Floats, bins: int = BINS) -> Indices:
    """Return the bin of every element, (m,), from 0: equally many a bin, ties together.

    Args:
        confidence: (m,) probabilities.
        bins: at most so many.
    """
    m = len(confidence)
    if not m:
        return np.zeros(0, np.int64)
    ranked = np.sort(confidence)
    ends = np.unique(ranked[np.maximum(np.arange(1, bins + 1) * m // bins, 1) - 1])
    return np.searchsorted(ends, confidence, side="left")


def debiased_error(size: Floats, sure: Floats, right: Floats) -> Floats:
    """Return the expected calibration error of binned elements, less what chance adds to it.

    The plain error, ``sum_b n_b / n |share right_b - mean confidence_b|``, is above 0 by chance
    alone. A gap g of a bin is a mean of n_b draws, of variance s^2 = r (1 - r) / (n_b - 1), so
    drawing again gives about E|N(g, s^2)| and what chance added is E|N(g, s^2)| - |g| (Kumar, Liang
    and Ma, "Verified uncertainty calibration", NeurIPS 2019, appendix B). Not below 0.

    Args:
        size: (bins, ...) elements, or their weight.
        sure: (bins, ...) the sum of their confidences.
        right: (bins, ...) the sum of their outcomes.

    Returns:
        The errors (...), in [0, 1]; NaN without elements.
    """
    share = np.divide(right, size, out=np.zeros_like(size), where=size > 0)
    gap = np.abs(np.divide(right - sure, size, out=np.zeros_like(size), where=size > 0))
    variance = np.maximum(share * (1 - share), 0.0) / np.maximum(size - 1, 1)
    deviation = np.sqrt(np.where(size > 1, variance, 0.0))
    ratio = np.divide(gap, deviation, out=np.zeros_like(gap), where=deviation > 0)
    again = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * (1 - 2 * ndtr(-ratio))
    less = np.where(deviation > 0, again - gap, 0.0)
    return np.clip(_ratio((size * (gap - less)).sum(axis=0), size.sum(axis=0)), 0.0, 1.0)


def _clipped(probability: Floats) -> Floats:
    return np.clip(probability, EPSILON, 1 - EPSILON)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _mean(values: Floats) -> Floats:
    """Return the mean over the first axis of what is not NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0).astype(np.float64))


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


UNEQUAL = 0.8  # a constant prediction that is right so often makes accuracy uninformative


def main_metric(task: Task, labels: ArrayLike | None = None) -> str:
    """Return the metric that a task is judged by.

    - Several labels: ``macro_f1``.
    - Classes, or one label: ``accuracy``, unless over 80 % of the labels are of one class. Then
      ``mean_average_precision`` for one label that is mostly off, else ``balanced_accuracy``
      (Saito & Rehmsmeier, "The Precision-Recall Plot Is More Informative", 2015).

    Args:
        task: the task.
        labels: codes of the rows to judge on (n,) or (n, L), -1 = missing; None = not known, as if
            the classes were equal.

    Raises:
        LabelweaveError: labels that do not fit the task.
    """
    if not isinstance(task, Multiclass) and task.width > 1:
        return "macro_f1"
    if labels is None:
        return "accuracy"
    codes = Annotations((task,), {task.name: np.atleast_1d(labels)}).labels[task.name]
    counts = np.bincount(codes[codes >= 0].ravel(), minlength=2)
    if counts.max() <= UNEQUAL * counts.sum():
        return "accuracy"
    rare = not isinstance(task, Multiclass) and counts.argmax() == 0
    return "mean_average_precision" if rare else "balanced_accuracy"


def evaluate(
    task: Task, probabilities: Given, labels: ArrayLike, thresholds: ArrayLike | None = None
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
    - ``ece``: expected calibration error over 10 bins of equal mass, less what chance adds
      (`debiased_error`): of the highest probability against its being right, or (multilabel) of
      every element's probability against its label.

    All but ``log_loss`` lie in [0, 1]; `HIGHER_IS_BETTER` gives their direction.

    Args:
        task: the task, its classes known.
        probabilities: (n, K) with rows that sum to 1, or (n, L), each the probability of "on"; of
            very many classes the `TopClasses` that studies keep.
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
    task: Task, probabilities: Given, labels: ArrayLike, thresholds: ArrayLike | None = None
) -> Callable[[Floats], dict[str, Floats]]:
    """Return the function from row weights (n, B) to B values of each metric, NaN = no data.

    Args and errors are those of `evaluate`.
    """
    scores, codes, cuts = checked(task, probabilities, labels, thresholds)
    return (
        MulticlassMetrics(scores, codes) if cuts is None else MultilabelMetrics(scores, codes, cuts)
    )
