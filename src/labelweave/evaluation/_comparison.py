"""The statistics of a study: metrics over its runs, and paired differences, with intervals.

A run is one seed of the study: its own split, training and test rows. Groups of test rows (a row
by itself where there are none) are resampled for all runs and methods together, so differences are
paired by run and row, and a row that several runs test on is not counted as several. Runs are not
resampled: three of them give no distribution, so what training varies comes in by Student's t
(`labelweave.evaluation.spread`). Four things to know:

- Intervals are symmetric around the mean, cut off where the metric ends.
- One run says nothing of how training varies; then intervals hold for the trained networks only.
- Three runs give wide intervals (t is 4.3), five much narrower ones (2.8). In simulated studies
  95 % intervals held the truth in 92 to 99 %: docs/explanation/statistics.md.
- Resampling rows raises ``ece``: its interval is that of the ECE measured on as many rows, which is
  above 0 even when calibrated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import asin, exp, inf, log, sqrt
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, nctdtrinc, stdtrit

from labelweave.annotations import Codes
from labelweave.errors import LabelweaveError
from labelweave.evaluation._metrics import (
    SHARES,
    Floats,
    Given,
    checked,
    main_metric,
    metric_names,
    weighted_metrics,
)
from labelweave.tasks import Task


@dataclass(frozen=True, eq=False)
class TestResult:
    """What one method predicted for one task on the test rows of one run.

    Args:
        probabilities: (n, K) or (n, L), as in `evaluate`.
        labels: codes (n,) or (n, L); -1 = missing.
        thresholds: (L,), multilabel tasks only (default 0.5).
        groups: the code of each row's group (n,), from 0, the same in all runs; a row that stands
            in several runs, or belongs to nobody else, is a group as well. None = the rows of this
            run are independent of each other and of those of other runs.
    """

    __test__: ClassVar[bool] = False  # pytest would take the name for a test class

    probabilities: Given
    labels: ArrayLike
    thresholds: ArrayLike | None = None
    groups: ArrayLike | None = None


class _LabelledRows(NamedTuple):
    """The labelled test rows of one run; groups None = every row by itself."""

    scores: Any
    labels: Codes
    cuts: Floats | None
    groups: NDArray[np.int64] | None


def labelled(task: Task, result: TestResult) -> _LabelledRows:
    """Return the scores of a result's labelled rows.

    Raises:
        LabelweaveError: a result that does not fit the task, or groups that are no codes.
    """
    scores, labels, cuts = checked(task, result.probabilities, result.labels, result.thresholds)
    seen = labels >= 0 if labels.ndim == 1 else (labels >= 0).any(axis=1)
    if result.groups is None:
        return _LabelledRows(scores[seen], labels[seen], cuts, None)
    groups: NDArray[Any] = np.asarray(result.groups)
    if groups.shape != seen.shape or groups.dtype.kind not in "iu" or (groups < 0).any():
        raise LabelweaveError(
            f"task '{task.name}': found groups of type {groups.dtype} and shape {groups.shape}, "
            f"expected codes from 0, of shape {seen.shape}"
        )
    return _LabelledRows(scores[seen], labels[seen], cuts, groups[seen].astype(np.int64))


def numbered_groups(runs: Sequence[_LabelledRows]) -> list[NDArray[np.int64]]:
    """Return each run's groups, numbered from 0 over all runs; without groups, one a row."""
    lengths = np.cumsum([len(run.labels) for run in runs])
    codes = [
        # separate codes, below 0
        np.arange(len(run.labels)) - end if run.groups is None else run.groups
        for run, end in zip(runs, lengths, strict=True)
    ]
    numbers = np.unique(np.concatenate(codes), return_inverse=True)[1]
    return np.split(numbers, lengths[:-1])


# weights held as floats at a time: 4 MB, which stays in the processor's cache
CHUNK = 2**19


@lru_cache(maxsize=1)  # the methods and tasks of a study ask for the same, one after the other
def bootstrap_weights(groups: int, replicates: int, seed: int) -> NDArray[np.uint16]:
    """Return how often each of G groups is drawn in each resampling of G groups, shape (B, G).

    The weights depend on the arguments alone, so that all methods of a study are measured on the
    same resamplings. A group of one row is a row; the rows of a larger one all get the group's
    weight. Drawing rows anew within drawn groups would count their variance twice (Davison &
    Hinkley, "Bootstrap Methods and their Application", 1997, 3.8; Field & Welsh, "Bootstrapping
    clustered data", 2007).

    Args:
        groups: G, the number of groups.
        replicates: B, the number of resamplings.
        seed: the seed of the whole comparison.

    Returns:
        The weights, not to be written to.
    """
    generator = np.random.default_rng([seed, groups])
    weights = np.empty((replicates, groups), dtype=np.uint16)
    for row in weights if groups else ():
        row[:] = np.bincount(generator.integers(groups, size=groups), minlength=groups)
    weights.flags.writeable = False
    return weights


def replicate_metrics(
    task: Task,
    probabilities: Given,
    labels: ArrayLike,
    weights: ArrayLike,
    thresholds: ArrayLike | None = None,
) -> dict[str, Floats]:
    """Return every metric of `evaluate` under B weightings of the rows, each (B,), NaN = no data.

    A row of weight w counts as w copies of itself. Weightings are worked off in chunks, so memory
    beyond the input stays at a few times 4 MB plus one weighting.

    Args:
        task: the task, its classes known.
        probabilities: (n, K) or (n, L), as in `evaluate`.
        labels: codes (n,) or (n, L); -1 = missing.
        weights: (B, n), not negative.
        thresholds: (L,) or one number, multilabel tasks only (default 0.5).

    Raises:
        LabelweaveError: weights of a wrong shape or below 0, or input that does not fit the task.
    """
    metrics = weighted_metrics(task, probabilities, labels, thresholds)
    n, given = len(np.atleast_1d(labels)), np.asarray(weights)
    if given.ndim != 2 or given.shape[1] != n:
        raise LabelweaveError(
            f"task '{task.name}': found weights of shape {given.shape}, expected (replicates, {n})"
        )
    if given.size and not given.min() >= 0:
        raise LabelweaveError(
            f"task '{task.name}': found a weight of {given.min()}, expected none below 0"
        )
    step = max(1, CHUNK // max(1, n))
    # rows first: the sums then run along contiguous memory
    parts = [
        metrics(np.ascontiguousarray(given[start : start + step].T, dtype=np.float64))
        for start in range(0, len(given), step)
    ]
    return {name: np.concatenate([[], *(p[name] for p in parts)]) for name in metric_names(task)}


def cohens_h(share: float, baseline: float) -> float:
    """Return Cohen's h = 2 asin(sqrt(share)) - 2 asin(sqrt(baseline)), from -pi to pi.

    A point near 0 or 1 counts for more than one in the middle: .98 -> .99 removes half of the
    errors, .50 -> .51 hardly any, and h is .08 against .02. Cohen ("Statistical Power Analysis for
    the Behavioral Sciences", 1988, chapter 6) calls .2 small, .5 medium and .8 large.

    Args:
        share: from 0 to 1.
        baseline: from 0 to 1.
    """
    # a mean of shares can round to just above 1
    return 2 * asin(sqrt(min(1.0, share))) - 2 * asin(sqrt(min(1.0, baseline)))


SMALLEST_P = 1e-12


@dataclass(frozen=True)
class Spread:
    """The variance of a mean over S runs, in parts.

    How far the mean may be off takes the wider of two views of what the runs do not share: their
    test rows alone, or all that makes them differ, with Student's t of S - 1 degrees of freedom.
    What they share comes on top of both: rows (or their groups) that several runs test on. Nadeau
    and Bengio ("Inference for the Generalization Error", 2003) guess that part from the sizes of
    the sides; here it is measured. One run shows nothing about training.

    Args:
        shared: variance by test rows that several runs share.
        own: variance by the other test rows.
        runs: variance of the runs' values, over S; of cross-validation with the correction for
            training rows that runs share.
        groups: effective number of groups of test rows, more than 1.
        size: S, the number of runs.
        folds: whether the runs are those of a repeated cross-validation. Then the corrected
            resampled t-test of Nadeau and Bengio stands for all that runs share, and the rows
            alone for a lower bound.
    """

    shared: float
    own: float
    runs: float
    groups: float
    size: int
    folds: bool = False

    def reach(self, tail: float) -> float:
        """Return how far the mean gets beyond the truth with probability `tail`, at most 0.5."""
        rows = self._t(tail) ** 2
        runs = float(stdtrit(self.size - 1, tail)) ** 2 * self.runs if self.size > 1 else 0.0
        return sqrt(self._both(rows * self.shared, rows * self.own, runs))

    def _both(self, shared: float, own: float, runs: float) -> float:
        """Return the square of a reach from the squares of its parts."""
        return max(shared + own, runs) if self.folds else shared + max(own, runs)

    def p_value(self, mean: float) -> float:
        """Return the two-sided p-value of a mean whose truth is 0, at least 1e-12.

        It is below 1 - level where the interval of that level does not reach 0, and only there.
        """
        if mean == 0:
            return 1.0
        if self.reach(SMALLEST_P / 2) <= abs(mean):
            return SMALLEST_P
        from scipy.optimize import brentq  # takes half a second to load

        found: float = brentq(lambda x: self.reach(exp(x) / 2) - abs(mean), log(SMALLEST_P), 0)
        return exp(found)

    def detectable(
        self, level: float, tests: int, elements: int | None = None, power: float = 0.8
    ) -> float:
        """Return the smallest true change that would be found with a given probability.

        Found means that the simultaneous interval lies on one side of 0 (Bloom, "Minimum
        Detectable Effects", 1995). The variance of few runs is small more often than not: its
        median-unbiased estimate is taken, and the noncentral t for how far a mean must lie.

        Args:
            level: that of the intervals.
            tests: the number of tests that are decided together.
            elements: for a metric that is a share, the number of test elements of all runs. A
                share that changes by d takes at least d of them to change, so its variance is d /
                elements at least, however little was seen to change.
            power: the probability.
        """
        tail = (1 - level) / tests / 2
        rows, runs = (self._t(tail) + self._t(1 - power)) ** 2, 0.0
        if self.size > 1:
            freedom = self.size - 1
            critical = abs(float(stdtrit(freedom, tail)))
            needed = float(nctdtrinc(float(freedom), 1 - power, critical))
            runs = needed**2 * self.runs * freedom / float(chdtri(freedom, 0.5))
        found = sqrt(self._both(rows * self.shared, rows * self.own, runs))
        if elements is None:
            return found
        return min(1.0, max(found, rows / elements))

    def _t(self, tail: float) -> float:
        return abs(float(stdtrit(self.groups - 1, tail)))


def spread(
    values: Floats, replicates: Floats, sizes: Floats, folds: int | None = None
) -> Spread | None:
    """Return the spread of the mean of `values`, None where the variation of rows is unknown.

    Args:
        values: the measured value of every run (S,), at least one.
        replicates: the same under B resamplings of the groups of test rows, drawn for all runs
            together (S, B); NaN where a resampling gives no value.
        sizes: the number of test rows of every group (G,), over all runs.
        folds: K of a repeated K-fold cross-validation whose runs these are; None = they are not.
            The variance of S runs is then (1 / S + 1 / (K - 1)) times that between them, as test
            rows are to training rows (Nadeau and Bengio, 2003).
    """
    # this many groups of one size carry as much information (Kish, "Survey Sampling", 1965)
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
    scatter = moved.var(axis=0, ddof=1)
    own = min(rows, unbiased * float(scatter.mean()) / size) if scatter.count() else 0.0
    more = 0.0 if folds is None else 1 / (folds - 1)
    runs = float(values.var(ddof=1)) * (1 / size + more)
    return Spread(rows - own, own, runs, groups, size, folds is not None)


@dataclass(frozen=True)
class Estimate:
    """A metric over the runs of a study; None stands for "no data".

    Args:
        mean: mean over the runs that have a value.
        low: lower end of the interval.
        high: upper end of the interval.
        n: labelled test elements of a run (mean over all runs, rounded).
        seeds: the number of runs that have a value.
        values: the value of every run.
        counts: labelled test elements of every run.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    seeds: int
    values: tuple[float | None, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Difference(Estimate):
    """A method's metric minus the baseline's, paired by run and row, over the runs of a study.

    The interval (`low` to `high`) is simultaneous: with a probability of `level` all intervals that
    are decided together hold their true values. It and `p_adjusted` never contradict each other.

    Args:
        (the fields of `Estimate`)
        raw_low: lower end of the interval of this test alone.
        raw_high: upper end of the interval of this test alone.
        p_value: two-sided p-value of no difference, of this test alone; None = no test.
        p_adjusted: the same times the number of tests, at most 1 (Bonferroni).
        detectable: the smallest true change whose interval would have left out 0 with a
            probability of 80 %, in the metric's unit; None = no test, or no change that is possible
            is so large.
        effect: Cohen's h of the two means; None for a metric that is no share.
    """

    raw_low: float | None = None
    raw_high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    detectable: float | None = None
    effect: float | None = None


class Replicates:
    """The metrics of one method on one task, measured and bootstrapped once, for every comparison.

    Args:
        task: the task, its classes known.
        results: one test result a run, in the same order of runs for all methods.
        replicates: B, the number of resamplings.
        seed: seed of the resampling; methods to be compared need the same.
        folds: K, where the runs are those of a repeated K-fold cross-validation (`spread`).

    Attributes:
        values: per metric the measured value of every run (S,), NaN = no data.
        replicates: per metric the value under every resampling of a run's rows (S, B).
        main_metric: the metric that the task is judged by, from the labels of all runs.

    Raises:
        LabelweaveError: no result, no replicate, or a result that does not fit the task.
    """

    def __init__(
        self,
        task: Task,
        results: Sequence[TestResult],
        replicates: int = 1000,
        seed: int = 0,
        folds: int | None = None,
    ) -> None:
        if not results or replicates < 1:
            raise LabelweaveError(
                f"task '{task.name}': found {len(results)} test results and {replicates} "
                "replicates, expected at least one of each"
            )
        self.task, self.seed, self.folds = task, seed, folds
        runs = [labelled(task, result) for result in results]
        self.labels = [run.labels for run in runs]
        self.main_metric = main_metric(task, np.concatenate(self.labels))
        self.groups = numbered_groups(runs)
        self.sizes = np.bincount(np.concatenate(self.groups)).astype(np.float64)
        self.counts = tuple(int((labels >= 0).sum()) for labels in self.labels)
        weights = bootstrap_weights(len(self.sizes), replicates, seed)
        # the first weighting takes every row once: what was measured
        weights = np.vstack([np.ones_like(weights[:1]), weights])
        found = [
            replicate_metrics(task, run.scores, run.labels, weights[:, groups], run.cuts)
            for run, groups in zip(runs, self.groups, strict=True)
        ]
        self.values = {name: np.array([run[name][0] for run in found]) for name in found[0]}
        self.replicates = {name: np.stack([run[name][1:] for run in found]) for name in found[0]}

    def summary(self, level: float = 0.95) -> dict[str, Estimate]:
        """Return every metric's mean over the runs with its interval."""
        return {
            name: self._estimate(name, value, self._spread(value, self.replicates[name]), level)
            for name, value in self.values.items()
        }

    def difference(
        self, baseline: "Replicates", level: float = 0.95, tests: int = 1
    ) -> dict[str, Difference]:
        """Return every metric's difference to the baseline, with interval and p-value.

        Runs in which either has no value are left out.

        Args:
            baseline: what to compare with.
            level: with which all intervals that are decided together hold their true values.
            tests: how many are decided together, at least 1; each interval has the level
                1 - (1 - level) / tests (Bonferroni).

        Raises:
            LabelweaveError: the baseline was measured on another task, other rows, or under
                other resamplings; or fewer than one test.
        """
        if tests < 1:
            raise LabelweaveError(f"found {tests} tests, expected at least 1")
        self._check_paired(baseline)
        return {name: self._difference(name, baseline, level, tests) for name in self.values}

    def _difference(
        self, name: str, baseline: "Replicates", level: float, tests: int
    ) -> Difference:
        own, other = self.values[name], baseline.values[name]
        found = self._spread(own - other, self.replicates[name] - baseline.replicates[name])
        lowest = -inf if name == "log_loss" else -1
        estimate, raw = (
            self._estimate(name, own - other, found, 1 - (1 - level) / n, lowest)
            for n in (tests, 1)
        )
        p_value = detectable = effect = None
        both = ~np.isnan(own - other)
        if name in SHARES and both.any():
            effect = cohens_h(own[both].mean(), other[both].mean())
        if found is not None and estimate.mean is not None:
            p_value = found.p_value(estimate.mean)
            elements = sum(self.counts) if name in SHARES else None
            detectable = found.detectable(level, tests, elements)
            if detectable > _largest_change(name, float(other[both].mean())):
                detectable = None
        return Difference(
            **vars(estimate),
            raw_low=raw.low,
            raw_high=raw.high,
            p_value=p_value,
            p_adjusted=None if p_value is None else min(1.0, tests * p_value),
            detectable=detectable,
            effect=effect,
        )

    def _spread(self, values: Floats, replicates: Floats) -> Spread | None:
        known = ~np.isnan(values)
        if not known.any():
            return None
        return spread(values[known], replicates[known], self.sizes, self.folds)

    def _estimate(
        self, name: str, values: Floats, found: Spread | None, level: float, lowest: float = 0
    ) -> Estimate:
        if not 0 < level < 1:
            raise LabelweaveError(f"found level {level}, expected a number between 0 and 1")
        highest = inf if name == "log_loss" else 1
        known = values[~np.isnan(values)]
        mean = float(known.mean()) if len(known) else None
        low = high = None
        if mean is not None and found is not None:
            half = found.reach((1 - level) / 2)
            low, high = max(mean - half, lowest), min(mean + half, highest)
        return Estimate(
            mean=mean,
            low=low,
            high=high,
            n=round(sum(self.counts) / len(self.counts)),
            seeds=len(known),
            values=tuple(None if np.isnan(value) else float(value) for value in values),
            counts=self.counts,
        )

    def _check_paired(self, baseline: "Replicates") -> None:
        place = f"task '{self.task.name}'"
        if baseline.task != self.task:
            raise LabelweaveError(
                f"{place}: found a baseline on task '{baseline.task.name}', expected the same task"
            )
        found, expected = (
            f"{len(each.labels)} runs, seed {each.seed} and {each.replicates['ece'].shape[1]} "
            "replicates"
            for each in (baseline, self)
        )
        if found != expected:
            raise LabelweaveError(f"{place}: found a baseline of {found}, expected {expected}")
        for run, (own, other) in enumerate(zip(self.labels, baseline.labels, strict=True), 1):
            groups = self.groups[run - 1], baseline.groups[run - 1]
            for what, pair in (("labels", (own, other)), ("groups", groups)):
                if not np.array_equal(*pair):
                    raise LabelweaveError(
                        f"{place}, run {run}: found a baseline with other {what}, expected the "
                        "same test rows in the same order"
                    )


def summarise(
    task: Task,
    results: Sequence[TestResult],
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Return every metric of one method on one task, with its bootstrap interval.

    Args:
        task: the task, its classes known.
        results: one test result a run.
        replicates: B, the number of resamplings.
        seed: seed of the resampling.
        level: coverage of the intervals, above 0 and below 1.

    Raises:
        LabelweaveError: no result, no replicate, or a result that does not fit the task.
    """
    return Replicates(task, results, replicates, seed).summary(level)


def compare(
    task: Task,
    method: Sequence[TestResult],
    baseline: Sequence[TestResult],
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Return every metric of a method minus the baseline's, paired by run and row.

    Args:
        task: the task, its classes known.
        method: one test result a run.
        baseline: the baseline's results of the same runs, in the same order, on the same rows.
        replicates: B, the number of resamplings.
        seed: seed of the resampling.
        level: coverage of the intervals, above 0 and below 1.

    Raises:
        LabelweaveError: no result, no replicate, or a result that does not fit the task.
    """
    against = Replicates(task, baseline, replicates, seed)
    return Replicates(task, method, replicates, seed).difference(against, level)


def _largest_change(name: str, baseline: float) -> float:
    """Return how far a metric can move from the baseline's value; log loss knows no end."""
    return inf if name == "log_loss" else max(baseline, 1 - baseline)


Verdict = Literal["gain", "no difference", "negative transfer", "not enough data"]

MIN_ELEMENTS = 20
# a study that would miss a change of ten points has not shown that there is none
MAX_DETECTABLE = 0.1


def holm(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the p-values adjusted for their number by Holm's step-down method, at most 1.

    The i-th smallest of m p-values becomes the largest of (m - j + 1) p_(j) over j <= i (Holm, "A
    simple sequentially rejective multiple test procedure", 1979). A p-value of None is no test: it
    does not count and is left out of the result.

    Args:
        p_values: by the name of the test, each in [0, 1] or None.

    Raises:
        LabelweaveError: a p-value outside [0, 1].
    """
    tests = {name: p for name, p in p_values.items() if p is not None}
    for name, p in tests.items():
        if not 0 <= p <= 1:
            raise LabelweaveError(
                f"'{name}': found a p-value of {p}, expected a number from 0 to 1"
            )
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(tests, key=lambda name: tests[name])):
        largest = max(largest, min(1.0, (len(tests) - rank) * tests[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in tests}


def verdict(difference: Difference, lower_is_better: bool = False) -> Verdict:
    """Return in words what a difference to the baseline shows; its interval alone decides.

    In this order: "not enough data" when there is no interval or all runs together have fewer than
    20 labelled test elements; "gain" or "negative transfer" when the interval lies wholly on that
    side of 0; "not enough data" when only a change over 0.1 (ten points) could have been seen; else
    "no difference" (none was shown).

    Args:
        difference: method minus baseline, with a simultaneous interval.
        lower_is_better: whether a fall of the metric is the gain (log loss, ECE).
    """
    low, high = difference.low, difference.high
    if low is None or high is None or sum(difference.counts) < MIN_ELEMENTS:
        return "not enough data"
    if low <= 0 <= high:
        blind = difference.detectable is None or difference.detectable > MAX_DETECTABLE
        return "not enough data" if blind else "no difference"
    return "gain" if (high < 0) == lower_is_better else "negative transfer"
