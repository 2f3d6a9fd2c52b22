"""Every metric as a function of row weights, for many weightings at once.

A row of weight w counts as w copies of itself. Each metric is made of weighted sums over rows
(confusion counts, calibration gaps, losses), so a sparse matrix holds what a row adds to each sum
and one product with the weights (n, B) gives the sums of all B weightings. Only average precision
needs more: weighted cumulative sums down the ranking.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from labelweave.annotations import Codes
from labelweave.evaluation._checks import Floats

BINS = 15
# the smallest distance to 0 or 1 that float32 outputs of a network can tell
EPSILON = float(np.finfo(np.float32).eps)

Indices = NDArray[np.integer[Any]]


class MulticlassMetrics:
    """The metrics of a multiclass task; call it with weights (n, B) to get B values of each.

    Args:
        probabilities: (n, K).
        labels: class indices (n,), -1 = missing.
    """

    def __init__(self, probabilities: Floats, labels: Codes) -> None:
        rows = np.flatnonzero(labels >= 0)
        shape = (probabilities.shape[1], len(labels))
        scores, truth = probabilities[rows], labels[rows]
        predicted, confidence = scores.argmax(axis=1), scores.max(axis=1)
        right = (predicted == truth).astype(np.float64)
        self.support = _adder(truth, rows, np.ones(len(rows)), shape)
        self.predicted = _adder(predicted, rows, np.ones(len(rows)), shape)
        self.correct = _adder(truth, rows, right, shape)
        self.gaps = _calibration_gaps(confidence, right, rows, len(labels))
        loss = -np.log(_clipped(scores[np.arange(len(rows)), truth]))
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
            "ece": _ratio(np.abs(_sums(self.gaps, weights)).sum(axis=0), total),
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
        self.gaps = _calibration_gaps(scores, truth, rows, n)
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
            "ece": _ratio(np.abs(_sums(self.gaps, weights)).sum(axis=0), total),
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


def _calibration_gaps(probability: Floats, outcome: Floats, rows: Indices, n: int) -> csr_array:
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    return _adder(bins, rows, outcome - probability, (BINS, n))


def _clipped(probability: Floats) -> Floats:
    return np.clip(probability, EPSILON, 1 - EPSILON)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _mean(values: Floats) -> Floats:
    """Return the mean over the first axis of what is not NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0).astype(np.float64))
