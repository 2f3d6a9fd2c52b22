"""Label curves: a metric over the number of labels, smooth and never falling, and read backwards.

Within the labels that were measured the curve is the monotone regression of the means (pool
adjacent violators), joined by monotone cubics over the logarithm of the labels (Fritsch and
Carlson, "Monotone piecewise cubic interpolation", 1980). Beyond, it goes on from the last point as
the power law a - b n^-c that fits the points best (the usual law of learning curves: Viering and
Loog, "The Shape of Learning Curves", 2023), a at most 1.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Floats = NDArray[np.float64]
EXPONENTS = np.geomspace(0.1, 2.0, 40)
USUAL = 0.5  # of exponents that fit alike, the one nearest to this is taken
GRID = 240
TOLERANCE = 1e-9


class LabelCurve:
    """D curves through the same numbers of labels, D draws of what was measured.

    Args:
        labels: numbers of labels, (P,), rising, at least one.
        values: a metric that is better the higher, at most 1, for every draw, (D, P).
        limit: the largest number of labels that the curves may be asked for; where it is below the
            last of `labels`, that one.
    """

    def __init__(self, labels: Floats, values: Floats, limit: float) -> None:
        self.labels, self.values = labels, monotone(values)
        self.limit = max(limit, float(labels[-1]))
        _, self.slope, self.exponent = power_law(labels, self.values)

    def __call__(self, labels: Floats) -> Floats:
        """Return the curves at numbers of labels (N,), (D, N); constant below the first point."""
        first, last = float(self.labels[0]), float(self.labels[-1])
        inside = np.clip(labels, first, last)
        found = np.repeat(self.values[:, :1], len(labels), axis=1)
        if len(self.labels) > 1:
            cubic = PchipInterpolator(np.log(self.labels), self.values, axis=1)
            found = cubic(np.log(inside))
        slope, exponent = self.slope[:, None], self.exponent[:, None]
        beyond = slope * (last**-exponent - np.maximum(labels, last) ** -exponent)
        return np.asarray(np.minimum(found + beyond, 1.0))

    def needed(self, targets: Floats, today: Floats, has: float) -> Floats:
        """Return for every draw the labels at which its curve is at its target, (D,).

        Above today's value the fewest that reach it, never below `has`; below, the most that do not
        go beyond it, never above `has`; so on a flat piece of the curve the nearest to today's.
        Infinity where `limit` labels do not reach it, the first point where that is above it.

        Args:
            targets: the values to reach, (D,).
            today: the value with today's labels, (D,).
            has: today's number of labels.
        """
        grid = np.geomspace(float(self.labels[0]), self.limit, GRID)
        grid = np.unique(np.concatenate([grid, self.labels]))
        curve, rows, goal = self(grid), np.arange(len(targets)), targets[:, None]
        better = targets > today
        reached = curve >= goal - TOLERANCE
        passed = curve > goal + TOLERANCE
        none = len(grid) - 1
        first = np.where(reached.any(axis=1), reached.argmax(axis=1), none)
        last = np.where(passed.any(axis=1), passed.argmax(axis=1), none)
        at = np.where(better, first, last)
        before = np.maximum(at - 1, 0)
        low, high = curve[rows, before], curve[rows, at]
        rise = np.where(high > low, high - low, 1.0)
        part = np.where(high > low, np.clip((targets - low) / rise, 0, 1), 1.0)
        steps = np.log(grid)
        found = np.exp(steps[before] + part * (steps[at] - steps[before]))
        found = np.where(better & ~reached.any(axis=1), np.inf, found)
        return np.where(better, np.maximum(found, has), np.minimum(found, has))


def monotone(values: Floats) -> Floats:
    """Return the non-falling rows nearest to `values` (D, P) by least squares.

    By the max-min formula (Robertson, Wright, Dykstra, "Order Restricted Statistical Inference",
    1988, 1.4): the i-th is the largest, over starts up to i, of the smallest mean from there to an
    end from i on.
    """
    points = values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    fitted = np.full_like(values, -np.inf)
    for start in range(points):
        ends = np.arange(start, points)
        means = (sums[:, ends + 1] - sums[:, [start]]) / (ends + 1 - start)
        smallest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        fitted[:, start:] = np.maximum(fitted[:, start:], smallest)
    return fitted


def power_law(labels: Floats, values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return a, b and c, each (D,), of a - b n^-c by least squares: b >= 0, a <= 1, c 0.1 to 2.

    Args:
        labels: n, (P,), above 0.
        values: (D, P).
    """
    order = np.argsort(np.abs(np.log(EXPONENTS / USUAL)), kind="stable")
    centre = values.mean(axis=1)
    best = np.full(len(values), np.inf)
    found = [centre.copy(), np.zeros_like(centre), np.full_like(centre, USUAL)]
    for c in EXPONENTS[order]:
        x = labels**-c
        moved = x - x.mean()
        b = np.maximum(-(values @ moved) / max(float(moved @ moved), 1e-300), 0)
        a = centre + b * x.mean()
        over = a > 1
        a = np.where(over, 1.0, a)
        b = np.where(over, (1 - values) @ x / float(x @ x), b)
        error = ((a[:, None] - b[:, None] * x - values) ** 2).sum(axis=1)
        better = error < best - 1e-12
        best = np.where(better, error, best)
        for kept, new in zip(found, (a, b, np.full_like(a, c)), strict=True):
            kept[better] = new[better]
    return found[0], found[1], found[2]


def mean_draws(values: Floats, replicates: Floats, folds: int | None = None) -> Floats:
    """Return 1 + B draws of a mean over S runs: what was measured, then what else it might be.

    Test rows come in by their resamplings, training by Student's t over the runs: the runs'
    deviations from their mean under random weights. The weights depend on the sizes alone, so
    draws of several methods, or points of a curve, with the same runs are paired. What rows do to a
    single run counts in both parts, so draws spread too far rather than too little.

    Args:
        values: the metric of every run, (S,), none NaN.
        replicates: the same under B resamplings of the test rows, (S, B); NaN = no data.
        folds: K of a repeated K-fold cross-validation whose runs these are, see `spread`.
    """
    runs, count = replicates.shape
    rows = np.ma.masked_invalid(replicates).mean(axis=0)
    moved = (rows - rows.mean()).filled(0.0)
    if runs > 1:
        generator = np.random.default_rng([runs, count])
        weights = generator.normal(size=(count, runs))
        scale = np.sqrt(generator.chisquare(runs - 1, count) / (runs - 1)) * sqrt(runs * (runs - 1))
        more = 1.0 if folds is None else sqrt(1 + runs / (folds - 1))
        moved = moved + more * (weights @ (values - values.mean())) / scale
    return float(values.mean()) + np.concatenate([[0.0], moved])


def interval(draws: Floats, level: float) -> tuple[float | None, float | None]:
    """Return the middle share `level` of draws; an end that is not finite is None."""
    tail = (1 - level) / 2
    ends = np.quantile(draws, [tail, 1 - tail], method="nearest")
    low, high = (float(end) if np.isfinite(end) else None for end in ends)
    return low, high
