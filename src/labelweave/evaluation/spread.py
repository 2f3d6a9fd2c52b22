"""How far a mean over the runs of a study may be off: test rows and training, taken apart.

A run is one seed. Runs differ because their test rows differ and because training does. What rows
do is learnt from resampling them; what training does shows only in how much more the runs differ.
"""

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, nctdtrinc, stdtrit

from labelweave.evaluation._checks import Floats

SMALLEST_P = 1e-12


@dataclass(frozen=True)
class Spread:
    """The variance of a mean over S runs, in parts.

    How far the mean may be off takes the wider of two views of what the runs do not share: their
    test rows alone, or all that makes them differ, with Student's t of S - 1 degrees of freedom.
    What they share comes on top of both: rows (or their groups) that several runs test on. Nadeau
    and Bengio ("Inference for the Generalization Error", 2003) guess that part from the sizes of
    the sides; here it is measured. One run tells nothing of training.

    Args:
        shared: variance by test rows that several runs share.
        own: variance by the other test rows.
        runs: variance of the runs' values, over S.
        groups: effective number of groups of test rows, more than 1.
        size: S, the number of runs.
    """

    shared: float
    own: float
    runs: float
    groups: float
    size: int

    def reach(self, tail: float) -> float:
        """Return how far the mean gets beyond the truth with probability `tail`, at most 0.5."""
        rows = self._t(tail) ** 2
        differing = rows * self.own
        if self.size > 1:
            differing = max(differing, float(stdtrit(self.size - 1, tail)) ** 2 * self.runs)
        return sqrt(rows * self.shared + differing)

    def p_value(self, mean: float) -> float:
        """Return the two-sided p-value of a mean whose truth is 0, at least 1e-12.

        It is below 1 - level where the interval of that level does not reach 0, and only there.
        """
        if mean == 0:
            return 1.0
        if self.reach(SMALLEST_P / 2) <= abs(mean):
            return SMALLEST_P
        found: float = brentq(lambda x: self.reach(exp(x) / 2) - abs(mean), log(SMALLEST_P), 0)
        return exp(found)

    def detectable(
        self, level: float, tests: int, elements: int | None = None, power: float = 0.8
    ) -> float:
        """Return the smallest true change that would be found with a given probability.

        Found means p < (1 - level) / tests, the first step of Holm's method (Bloom, "Minimum
        Detectable Effects", 1995). The variance of few runs is small more often than not: its
        median-unbiased estimate is taken, and the noncentral t for how far a mean must lie.

        Args:
            level: that of the intervals.
            tests: the number of tests that p-values are adjusted for.
            elements: for a metric that is a share, the number of test elements of all runs. A
                share that changes by d takes at least d of them to change, so its variance is d /
                elements at least, however little was seen to change.
            power: the probability.
        """
        tail = (1 - level) / tests / 2
        rows = (self._t(tail) + self._t(1 - power)) ** 2
        differing = rows * self.own
        if self.size > 1:
            freedom = self.size - 1
            critical = abs(float(stdtrit(freedom, tail)))
            needed = float(nctdtrinc(float(freedom), 1 - power, critical))
            runs = self.runs * freedom / float(chdtri(freedom, 0.5))
            differing = max(differing, needed**2 * runs)
        found = sqrt(rows * self.shared + differing)
        if elements is None:
            return found
        return min(1.0, max(found, rows / elements))

    def _t(self, tail: float) -> float:
        return abs(float(stdtrit(self.groups - 1, tail)))


def spread(values: Floats, replicates: Floats, sizes: Floats) -> Spread | None:
    """Return the spread of the mean of `values`, None where nothing can be said of how rows vary.

    Args:
        values: the measured value of every run (S,), at least one.
        replicates: the same under B resamplings of the groups of test rows, drawn for all runs
            together (S, B); NaN where a resampling gives no value.
        sizes: the number of test rows of every group (G,), over all runs.
    """
    # as many groups of one size tell as much (Kish, "Survey Sampling", 1965)
    groups = float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0
    known = np.ma.masked_invalid(replicates)
    if groups <= 1 or known.mean(axis=0).count() < 2:
        return None
    # resampling G groups gives (G - 1) / G of their variance
    unbiased = groups / (groups - 1)
    rows = unbiased * float(known.mean(axis=0).var(ddof=1))
    size = len(values)
    if size == 1:
        return Spread(0.0, rows, 0.0, groups, size)
    moved = known - known.mean(axis=1, keepdims=True)
    apart = moved.var(axis=0, ddof=1)
    own = min(rows, unbiased * float(apart.mean()) / size) if apart.count() else 0.0
    return Spread(rows - own, own, float(values.var(ddof=1)) / size, groups, size)
