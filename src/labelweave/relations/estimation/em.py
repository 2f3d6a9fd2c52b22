"""Expectation maximisation: table, priors and powers from all evidence at once.

Variational EM (the table's rows are Dirichlet posteriors, the E-steps use their expected
logarithm): a row of the table with little evidence steers the E-step less than a sure one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from labelweave.relations.estimation import expectation
from labelweave.relations.estimation.columns import Columns, Matrix
from labelweave.relations.estimation.prior import (
    Expert,
    expert_counts,
    fit_concentration,
    update_trust,
)
from labelweave.relations.estimation.problem import Problem, Rows
from labelweave.relations.estimation.temperature import matched_power, newton_step

SAMPLE = 10_000  # rows of each kind that the powers and the start are learnt on
STEPS, TOLERANCE = 50, 5e-4
WARM = 3  # steps before anything but the table is learnt
FULL_STEPS = 2  # passes over all rows, where there are more than the sample


@dataclass
class Posterior:
    """What EM leaves.

    Attributes:
        annotated: (K, W) counts from co-labelled rows.
        predicted: (K, W) effective counts from predictions.
        base: (K, W) or (1, W) prior counts from the base rate.
        expert: the expert's pseudo-counts and the trust in them.
        class_prior: (D, K) class prior of every data source.
    """

    annotated: Matrix
    predicted: Matrix
    base: Matrix
    expert: Expert
    class_prior: Matrix

    def rows(self) -> Matrix:
        """Return the effective rows from the data, (K, W)."""
        return self.annotated + self.predicted

    def counts(self, columns: Columns) -> Matrix:
        """Return the posterior's Dirichlet parameters, (K, W)."""
        return np.asarray(self.rows() + self.base + self.expert.counts(columns))


class EM:
    """One run of EM on a problem.

    Args:
        problem: the data.
        table: (K, W) the expert's table.
        strength: (K, W) its pseudo-counts, 0 where the expert says nothing.
        confusion: per task the (C, C) or (L, 2, 2) counts of its head on rows kept out of training.
        seed: decides which rows the sample takes.
    """

    def __init__(
        self,
        problem: Problem,
        table: Matrix,
        strength: Matrix,
        confusion: Mapping[str, NDArray[np.float64]],
        seed: int,
    ) -> None:
        self.problem, self.columns = problem, problem.columns
        self.frequencies, self.rates = problem.class_frequencies(), problem.base_rates()
        self.expert = expert_counts(self.columns, table, strength, self.rates)
        self.annotated = self.predicted = np.zeros(table.shape)
        if problem.co_labelled:
            self.annotated = expectation.co_labelled(problem)
        sources = int(problem.data_source.max(initial=0)) + 1
        self.class_prior = np.tile(self.frequencies, (sources, 1))
        self.concentration = np.ones(len(self.columns.sizes))
        self.class_rows, self.target_rows = problem.class_rows(), problem.target_rows()
        rng = np.random.default_rng(seed)
        self.sample = _sample(self.class_rows, rng), _sample(self.target_rows, rng)
        self.class_power, self.label_power = 1.0, np.ones(len(self.columns.sizes))
        if problem.predictions and confusion:
            self._start_powers(confusion)

    def run(self) -> Posterior:
        """Iterate on the sample until the table stands still, then on all rows."""
        if self.problem.predictions:
            # the first table: mean predicted label of the labelled rows
            neutral = np.tile(np.log(self.rates), (self.problem.source.width, 1))
            self.predicted = self._labels(self.sample[0], neutral).table
        before = self._mean()
        for step in range(STEPS):
            self._step(*self.sample, warm=step >= WARM, powers=step >= WARM)
            after = self._mean()
            if step > WARM and np.abs(after - before).max() < TOLERANCE:
                break
            before = after
        complete = len(self.class_rows) + len(self.target_rows)
        if complete > sum(len(rows) for rows in self.sample):
            for _ in range(FULL_STEPS):
                self._step(self.class_rows, self.target_rows, warm=True, powers=False)
        return Posterior(
            self.annotated, self.predicted, self._base(), self.expert, self.class_prior
        )

    def _step(self, class_rows: Rows, target_rows: Rows, *, warm: bool, powers: bool) -> None:
        if self.problem.predictions:
            self._expect(class_rows, target_rows, powers)
        if warm:
            counts = self.annotated + self.predicted
            self.concentration = fit_concentration(
                self.columns, counts, self.rates, self.concentration
            )
            update_trust(self.expert, self.columns, counts, self._base())

    def _expect(self, class_rows: Rows, target_rows: Rows, powers: bool) -> None:
        counts = self._counts()
        log_table = digamma(counts) - self.columns.spread(digamma(self.columns.sums(counts)))
        labels = self._labels(class_rows, log_table)
        log_prior = np.log(self.class_prior / self.frequencies)
        classes = expectation.which_class(
            self.problem, target_rows, log_table, log_prior, self.class_power
        )
        if powers:
            self.label_power = newton_step(self.label_power, labels.slope, labels.curvature)
            power = newton_step(np.array(self.class_power), classes.slope, classes.curvature)
            self.class_power = float(power)
        # one pseudo-row a class, so that none dies out
        prior = classes.mass + 1.0
        self.class_prior = prior / prior.sum(axis=1, keepdims=True)
        self.predicted = labels.table + classes.table

    def _labels(self, rows: Rows, log_table: Matrix) -> expectation.Counts:
        return expectation.which_label(
            self.problem, rows, log_table, self._mean(), self.rates, self.label_power
        )

    def _base(self) -> Matrix:
        return np.asarray(self.columns.spread(self.concentration) * self.rates)[None]

    def _counts(self) -> Matrix:
        prior = self._base() + self.expert.counts(self.columns)
        return np.asarray(self.annotated + self.predicted + prior)

    def _mean(self) -> Matrix:
        return np.asarray(self.columns.normalised(self._counts()))

    def _start_powers(self, confusion: Mapping[str, NDArray[np.float64]]) -> None:
        source = self.problem.source.name
        if source in confusion:
            log_p = self.problem.log_predicted_class(self.sample[1])
            self.class_power = matched_power(log_p, confusion[source])
        log_q = self.problem.log_predicted_targets(self.sample[0])
        for number, target in enumerate(self.columns.targets):
            if target.name not in confusion:
                continue
            blocks = np.flatnonzero(self.columns.target == number)
            counts = confusion[target.name]
            for block, matrix in zip(
                blocks, counts.reshape(len(blocks), *counts.shape[-2:]), strict=True
            ):
                inside = self.columns.block == block
                self.label_power[block] = matched_power(log_q[:, inside], matrix)


def _sample(rows: Rows, rng: np.random.Generator) -> Rows:
    if len(rows) <= SAMPLE:
        return rows
    return np.sort(rng.choice(rows, SAMPLE, replace=False))
