"""The statistics of a study: metrics over its runs, and paired differences, with intervals.

A run is one seed of the study: its own split, training and test rows. Groups of test rows (a row
by itself where there are none) are resampled for all runs and arms together, so differences are
paired by run and row, and a row that several runs test on is not counted as several. Runs are not
resampled: three of them give no distribution, so what training varies comes in by Student's t
(`labelweave.evaluation.spread`). Four things to know:

- Intervals are symmetric around the mean, cut off where the metric ends.
- One run says nothing of how training varies; then intervals hold for the trained networks only.
- Three runs give wide intervals (t is 4.3), five much narrower ones (2.8). In simulated studies
  95 % intervals held the truth in 92 to 99 %: docs/statistics.md.
- Resampling rows raises ``ece``: its interval is that of the ECE measured on as many rows, which is
  above 0 even when calibrated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from labelweave.errors import LabelweaveError
from labelweave.evaluation._checks import Floats
from labelweave.evaluation.bootstrap import group_weights, replicate_metrics
from labelweave.evaluation.effects import cohens_h
from labelweave.evaluation.metrics import SHARES
from labelweave.evaluation.runs import TestResult, labelled, numbered_groups
from labelweave.evaluation.spread import Spread, spread
from labelweave.tasks import Task


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
    """An arm's metric minus the baseline's, paired by run and row, over the runs of a study.

    Args:
        (the fields of `Estimate`)
        p_value: two-sided p-value of no difference, before `holm`; None = no test.
        detectable: the smallest true change that would have been found with a probability of
            80 %, at the study's level after `holm`, in the metric's unit; None = no test.
        effect: Cohen's h of the two means; None for a metric that is no share.
    """

    p_value: float | None
    detectable: float | None
    effect: float | None


class Replicates:
    """The metrics of one arm on one task, measured and bootstrapped once, for every comparison.

    Args:
        task: the task, its classes known.
        results: one test result a run, in the same order of runs for all arms.
        replicates: B, the number of resamplings.
        seed: seed of the resampling; arms to be compared need the same.

    Attributes:
        values: per metric the measured value of every run (S,), NaN = no data.
        replicates: per metric the value under every resampling of a run's rows (S, B).

    Raises:
        LabelweaveError: no result, no replicate, or a result that does not fit the task.
    """

    def __init__(
        self, task: Task, results: Sequence[TestResult], replicates: int = 1000, seed: int = 0
    ) -> None:
        if not results or replicates < 1:
            raise LabelweaveError(
                f"task '{task.name}': found {len(results)} test results and {replicates} "
                "replicates, expected at least one of each"
            )
        self.task, self.seed = task, seed
        runs = [labelled(task, result) for result in results]
        self.labels = [run.labels for run in runs]
        self.groups = numbered_groups(runs)
        self.sizes = np.bincount(np.concatenate(self.groups)).astype(np.float64)
        self.counts = tuple(int((labels >= 0).sum()) for labels in self.labels)
        weights = group_weights(len(self.sizes), replicates, seed)
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
            level: that of the intervals.
            tests: the number of tests that `holm` will adjust the p-values for.

        Raises:
            LabelweaveError: the baseline was measured on another task, other rows, or under
                other resamplings.
        """
        self._check_paired(baseline)
        return {name: self._difference(name, baseline, level, tests) for name in self.values}

    def _difference(
        self, name: str, baseline: "Replicates", level: float, tests: int
    ) -> Difference:
        own, other = self.values[name], baseline.values[name]
        found = self._spread(own - other, self.replicates[name] - baseline.replicates[name])
        estimate = self._estimate(
            name, own - other, found, level, -inf if name == "log_loss" else -1
        )
        p_value = detectable = effect = None
        both = ~np.isnan(own - other)
        if name in SHARES and both.any():
            effect = cohens_h(own[both].mean(), other[both].mean())
        if found is not None and estimate.mean is not None:
            p_value = found.p_value(estimate.mean)
            elements = sum(self.counts) if name in SHARES else None
            detectable = found.detectable(level, tests, elements)
        return Difference(**vars(estimate), p_value=p_value, detectable=detectable, effect=effect)

    def _spread(self, values: Floats, replicates: Floats) -> Spread | None:
        known = ~np.isnan(values)
        return spread(values[known], replicates[known], self.sizes) if known.any() else None

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
    """Return every metric of one arm on one task: `Replicates` and its `summary` in one call."""
    return Replicates(task, results, replicates, seed).summary(level)


def compare(
    task: Task,
    arm: Sequence[TestResult],
    baseline: Sequence[TestResult],
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Return every metric of an arm minus the baseline's: `Replicates.difference` in one call."""
    against = Replicates(task, baseline, replicates, seed)
    return Replicates(task, arm, replicates, seed).difference(against, level)
