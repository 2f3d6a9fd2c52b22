"""Cross-fitted recalibration: every row's predictions are corrected by a fit on other rows.

A network's probabilities are over-confident and assume the class prior of its own labelled rows.
Both would hide or fake what a relation knows. Every column therefore gets its own logistic
regression on the log-odds of its predictions (Platt, "Probabilistic outputs for support vector
machines", 1999); classes that exclude one another are normalised after it (Zadrozny and Elkan,
"Transforming classifier scores into accurate multiclass probability estimates", 2002).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.evidence.elements import Elements, Floats

FOLDS = 5
FIT_ROWS = 20_000  # a column has two or three parameters; more rows would not change them
RIDGE = 1.0  # of the slope per standard deviation: holds where few labels could be told apart
ITERATIONS = 50
HALVINGS = 20
TOLERANCE = 1e-6
TINY = 1e-7


def folds(groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return every row's fold, 0 to 4, (n,); a group lies in one fold."""
    count = int(groups.max()) + 1
    return (generator.permutation(count) % FOLDS)[groups]


@dataclass(frozen=True)
class Fit:
    """Logistic regressions of W columns on F features each.

    Args:
        intercept: (W,).
        slopes: (F, W), of the standardised features.
        mean: (F, W), of the features.
        scale: (F, W), their standard deviations, 1 where they do not vary.
    """

    intercept: Floats
    slopes: Floats
    mean: Floats
    scale: Floats

    def __call__(self, features: Sequence[Floats]) -> Floats:
        """Return the probabilities of "on", (n, W)."""
        score = np.broadcast_to(self.intercept, (len(features[0]), len(self.intercept))).copy()
        for x, slope, mean, scale in zip(features, self.slopes, self.mean, self.scale, strict=True):
            score += slope * (x - mean) / scale
        return sigmoid(score)


def fit(features: Sequence[Floats], elements: Elements, rows: NDArray[np.int64]) -> Fit:
    """Return the logistic regressions fitted on some rows, by Newton's method.

    One pseudo-row at the features' mean keeps a label that is always on or off from a
    probability of 1; a ridge of 1 holds the slopes.

    Args:
        features: F arrays (n, W) of log-odds.
        elements: the labels.
        rows: the rows to fit on.
    """
    seen, values = elements.seen[rows].astype(np.float64), elements.values[rows]
    start = base_rate(elements, rows)
    xs, means, scales = [], [], []
    for feature in features:
        x = feature[rows]
        count = np.maximum(seen.sum(axis=0), 1)
        mean = (seen * x).sum(axis=0) / count
        spread = np.sqrt((seen * (x - mean) ** 2).sum(axis=0) / count)
        scale = np.where(spread > TINY, spread, 1.0)
        means.append(mean)
        scales.append(scale)
        xs.append((x - mean) / scale)
    width, order = elements.values.shape[1], len(xs) + 1
    parameters = np.zeros((width, order))
    parameters[:, 0] = log_odds(start)
    ridge = np.diag([0.0] + [RIDGE] * len(xs))
    pseudo = _pseudo(elements)

    def likelihood(trial: Floats) -> Floats:
        score = trial[:, 0] + sum(x * trial[:, f] for f, x in enumerate(xs, start=1))
        of_rows = (seen * (values * score - np.logaddexp(0, score))).sum(axis=0)
        of_pseudo = pseudo * trial[:, 0] - np.logaddexp(0, trial[:, 0])
        return np.asarray(of_rows + of_pseudo - 0.5 * RIDGE * (trial[:, 1:] ** 2).sum(axis=1))

    for _ in range(ITERATIONS):
        score = parameters[:, 0] + sum(x * parameters[:, f] for f, x in enumerate(xs, start=1))
        mu = sigmoid(np.asarray(score))
        residual, weight = seen * (values - mu), seen * mu * (1 - mu)
        gradient = -parameters @ ridge
        hessian = np.tile(ridge, (width, 1, 1))
        at_mean = sigmoid(parameters[:, 0])
        gradient[:, 0] += pseudo - at_mean
        hessian[:, 0, 0] += at_mean * (1 - at_mean)
        for f in range(order):
            left = weight if f == 0 else weight * xs[f - 1]
            gradient[:, f] += (residual if f == 0 else residual * xs[f - 1]).sum(axis=0)
            for g in range(f, order):
                entry = left.sum(axis=0) if g == 0 else (left * xs[g - 1]).sum(axis=0)
                hessian[:, f, g] += entry
                hessian[:, g, f] = hessian[:, f, g]
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        if np.abs(step).max() < TOLERANCE:
            break
        parameters += _damped(step, parameters, likelihood)
    return Fit(parameters[:, 0], parameters[:, 1:].T, np.stack(means), np.stack(scales))


def _damped(step: Floats, start: Floats, likelihood: Callable[[Floats], Floats]) -> Floats:
    """Return Newton's steps, each column's halved until its likelihood does not fall.

    Where a feature tells on from off without an error, whole steps go back and forth for ever.
    """
    before = likelihood(start)
    for _ in range(HALVINGS):
        worse = likelihood(start + step) < before
        if not worse.any():
            break
        step = np.where(worse[:, None], 0.5 * step, step)
    return step


def base_rate(elements: Elements, rows: NDArray[np.int64]) -> Floats:
    """Return the share of "on" among some rows' labels, with one pseudo-row, (W,)."""
    seen = elements.seen[rows].sum(axis=0)
    return np.asarray((elements.values[rows].sum(axis=0) + _pseudo(elements)) / (seen + 1))


def recalibrated(
    scores: Floats,
    elements: Elements,
    fold: NDArray[np.int64],
    own: Floats | None,
    generator: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return the benchmark's and the relation's recalibrated predictions, both cross-fitted.

    The benchmark is the base rate or, with `own`, the target head's recalibrated predictions; the
    relation adds its log-odds to it. A column whose slope would be negative (the more the relation
    expects a label, the rarer it is) keeps the benchmark: a relation that has to be turned round
    is none.

    Args:
        scores: (n, W) the relation's predictions q.
        elements: the labels.
        fold: (n,) every row's fold.
        own: (n, W) the target head's own held-out predictions, or None.
        generator: draws the rows of a fit when there are more than 20,000.

    Returns:
        Two arrays (n, W); those of a multiclass target sum to one.
    """
    without = [] if own is None else [log_odds(own)]
    x = log_odds(scores)
    benchmark, relation = np.empty_like(scores), np.empty_like(scores)
    for number in range(FOLDS):
        out = np.flatnonzero(fold == number)
        train = np.flatnonzero(fold != number)
        drawn = train
        if len(train) > FIT_ROWS:
            drawn = generator.choice(train, FIT_ROWS, replace=False)
        if without:
            benchmark[out] = fit(without, elements, drawn)([f[out] for f in without])
        else:
            benchmark[out] = base_rate(elements, train)
        full = fit([*without, x], elements, drawn)
        found = full([f[out] for f in [*without, x]])
        relation[out] = np.where(full.slopes[-1] > 0, found, benchmark[out])
    if elements.exclusive:
        benchmark /= benchmark.sum(axis=1, keepdims=True)
        relation /= relation.sum(axis=1, keepdims=True)
    return benchmark, relation


def sigmoid(score: Floats) -> Floats:
    """Return 1 / (1 + exp(-score)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * score)))


def log_odds(p: Floats) -> Floats:
    """Return log(p / (1 - p)), p clipped to [1e-7, 1 - 1e-7]."""
    clipped = np.clip(p, TINY, 1 - TINY)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _pseudo(elements: Elements) -> float:
    return 1 / elements.target.width if elements.exclusive else 0.5
