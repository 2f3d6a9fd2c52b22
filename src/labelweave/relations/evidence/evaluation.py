"""The evidence of one relation, measured on rows that its source head was not trained on."""

import numpy as np
from numpy.typing import ArrayLike

from labelweave.errors import LabelweaveError
from labelweave.relations.evidence.elements import (
    Floats,
    checked_probabilities,
    elements,
    pushed,
)
from labelweave.relations.evidence.evidence import Evidence, Interval
from labelweave.relations.evidence.lift import column_likelihood, row_likelihood
from labelweave.relations.evidence.permutation import classes_exchanged, residuals, rows_exchanged
from labelweave.relations.evidence.recalibration import folds, recalibrated
from labelweave.relations.evidence.resampling import Resampling
from labelweave.relations.evidence.verdict import NEWS, Figures, judged, judged_labels, too_little
from labelweave.relations.noisy_or import AnyRelation, NoisyOr
from labelweave.relations.relation import Relation


def evaluate_relation(
    relation: Relation,
    source_probabilities: ArrayLike,
    target_labels: ArrayLike,
    *,
    estimated: Relation | None = None,
    target_probabilities: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 1000,
    permutations: int = 200,
    level: float = 0.95,
) -> Evidence:
    """Measure how much a relation helps to predict its target's labels.

    The lift is the mean log-likelihood of the observed labels under q(t|x) = sum_s p(s|x) T[s,t]
    minus that under the base rate, after cross-fitted recalibration of q. "related" needs a lift
    whose interval lies above 0 and two permutation nulls rejected (labels exchanged between rows,
    table rows between classes); "contradicted by the data" means that the estimated table has
    a lift and the given one clearly loses against it: before recalibration, and after it more than
    a fifth of that lift.

    Args:
        relation: the relation; its table must not stem from these rows' target labels.
        source_probabilities: (n, K) predictions of the source head, trained on other rows.
        target_labels: codes (n,) or (n, L), -1 = missing; rows without a label are left out.
        estimated: the same relation estimated from other rows, to test the given one against.
        target_probabilities: (n, C) or (n, L) held-out predictions of the target's own head. With
            them, the lift is over these (recalibrated) instead of over the base rate: what the
            relation adds to what the network knows. It must then save 2 % of their log loss.
        groups: (n,) rows with equal values (person, plant) are held out, drawn and exchanged
            together.
        seed: decides folds, resamplings and permutations.
        replicates: bootstrap resamplings, at least 1.
        permutations: of each null, at least 1.
        level: of the intervals; a null is rejected below 1 - level.

    Raises:
        LabelweaveError: predictions, labels or groups that do not fit, an estimated relation
            between other tasks, or a setting out of range.
    """
    p = checked_probabilities(
        relation.name, relation.source, source_probabilities, len(np.atleast_1d(target_labels))
    )
    if estimated is not None and (estimated.source, estimated.target) != (
        relation.source,
        relation.target,
    ):
        raise LabelweaveError(
            f"relation {relation.name}: found the estimated relation {estimated.name}, expected "
            "one between the same tasks and classes"
        )
    judge = _Judge(
        relation, target_labels, target_probabilities, groups,
        seed, replicates, permutations, level,
    )  # fmt: skip
    q = pushed(relation, p)
    rival = None
    if estimated is not None:
        # a label that the estimated table is silent about is no difference
        rival = np.where(estimated.mask.any(axis=0), pushed(estimated, p), q)
    return judge(q, source_probabilities=p, estimated=rival)


def evaluate_noisy_or(
    noisy_or: NoisyOr,
    source_probabilities: ArrayLike,
    target_labels: ArrayLike,
    target_probabilities: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 1000,
    permutations: int = 200,
    level: float = 0.95,
) -> Evidence:
    """Measure what a noisy-OR relation adds to the target head's own predictions.

    Labels of one image, text or plant nearly always occur together in some way, so a lift over
    the base rate says little here: a noisy-OR is only worth coupling when it clearly saves more
    than 2 % of the log loss of what the network predicts without it. Otherwise as
    `evaluate_relation`, without the exchange of classes and the comparison of tables.

    Args:
        noisy_or: fitted on other rows.
        source_probabilities: (n, L_s) predictions of the source head, trained on other rows.
        target_labels: codes (n, L_t), -1 = missing.
        target_probabilities: (n, L_t) held-out predictions of the target's own head.
        groups: see `evaluate_relation`, as the rest.
        seed: decides folds, resamplings and permutations.
        replicates: bootstrap resamplings, at least 1.
        permutations: of the null, at least 1.
        level: of the intervals; the null is rejected below 1 - level.

    Raises:
        LabelweaveError: predictions, labels or groups that do not fit, or a setting out of range.
    """
    p = checked_probabilities(
        noisy_or.name, noisy_or.source, source_probabilities, len(np.atleast_1d(target_labels))
    )
    judge = _Judge(
        noisy_or, target_labels, target_probabilities, groups,
        seed, replicates, permutations, level,
    )  # fmt: skip
    return judge(noisy_or.predict(p))


class _Judge:
    """The held-out labels, folds and resamplings that all predictions of a target share."""

    def __init__(
        self,
        relation: AnyRelation,
        labels: ArrayLike,
        own: ArrayLike | None,
        groups: ArrayLike | None,
        seed: int,
        replicates: int,
        permutations: int,
        level: float,
    ) -> None:
        if replicates < 1 or permutations < 1 or not 0 < level < 1:
            raise LabelweaveError(
                f"relation {relation.name}: found {replicates} replicates, {permutations} "
                f"permutations and level {level}, expected at least 1, at least 1 and a number "
                "between 0 and 1"
            )
        name, target = relation.name, relation.target
        self.relation, self.level = relation, level
        self.spoken = np.asarray(relation.mask.any(axis=0))
        self.replicates, self.permutations = replicates, permutations
        self.elements, self.rows = elements(name, target, labels, self.spoken, groups)
        self.own = None
        if own is not None:
            checked = checked_probabilities(name, target, own, len(np.atleast_1d(labels)))
            self.own = checked[self.rows]
        self.benchmark = "base rate" if own is None else "own predictions"
        self.generators = [np.random.default_rng([seed, stream]) for stream in range(5)]

    def __call__(
        self,
        scores: Floats,
        *,
        source_probabilities: Floats | None = None,
        estimated: Floats | None = None,
    ) -> Evidence:
        held = self.elements
        little = too_little(held)
        if little:
            return self._undecided(little)
        fold = folds(held.groups, self.generators[0])
        draw = Resampling(held.groups, self.replicates, self.level, self.generators[1])
        q = scores[self.rows]
        benchmark, found = recalibrated(q, held, fold, self.own, self.generators[2])
        base, counts = row_likelihood(benchmark, held)
        likelihood = row_likelihood(found, held)[0]
        lift = _interval(draw, likelihood - base, counts)
        raw = row_likelihood(q, held)[0]
        best = against = raw_against = None
        if estimated is not None:
            rival = recalibrated(estimated[self.rows], held, fold, self.own, self.generators[2])[1]
            rival_likelihood = row_likelihood(rival, held)[0]
            best = _interval(draw, rival_likelihood - base, counts)
            against = _interval(draw, likelihood - rival_likelihood, counts)
            raw_rival = row_likelihood(estimated[self.rows], held)[0]
            raw_against = _interval(draw, raw - raw_rival, counts)
        residual = residuals(held, benchmark)
        p_value = rows_exchanged(q, residual, held.groups, self.permutations, self.generators[3])
        p_classes = None
        if isinstance(self.relation, Relation) and source_probabilities is not None:
            p_classes = classes_exchanged(
                self.relation.filled(), source_probabilities[self.rows], residual,
                self.permutations, self.generators[4],
            )  # fmt: skip
        least = 0.0 if self.own is None else -NEWS * float(base.sum() / counts.sum())
        figures = Figures(
            held.count, self.benchmark, lift, least, p_value, p_classes, best, against, raw_against
        )
        verdict, reason = judged(figures, 1 - self.level)
        related = verdict == "related"
        gains = column_likelihood(found, held) - column_likelihood(benchmark, held)
        lifts = draw.mean(gains, held.seen.astype(np.float64))
        return Evidence(
            name=self.relation.name,
            relation=self.relation,
            benchmark=self.benchmark,
            n=held.count,
            lift=lift.mean,
            low=lift.low,
            high=lift.high,
            raw_lift=float((raw - base).sum() / counts.sum()),
            p_value=p_value,
            p_value_classes=p_classes,
            per_label=judged_labels(held, self.spoken, lifts, related),
            against_estimated=against,
            raw_against_estimated=raw_against,
            verdict=verdict,
            reason=reason,
            trust=float(np.clip(lift.low / lift.mean, 0, 1)) if related else 0.0,
        )

    def _undecided(self, reason: str) -> Evidence:
        return Evidence(
            name=self.relation.name,
            relation=self.relation,
            benchmark=self.benchmark,
            n=self.elements.count,
            lift=None,
            low=None,
            high=None,
            raw_lift=None,
            p_value=None,
            p_value_classes=None,
            per_label=judged_labels(self.elements, self.spoken, None, False),
            against_estimated=None,
            raw_against_estimated=None,
            verdict="not enough data",
            reason=reason,
            trust=0.0,
        )


def _interval(draw: Resampling, totals: Floats, counts: Floats) -> Interval:
    mean, low, high = draw.mean(totals[:, None], counts[:, None])
    return Interval(float(mean[0]), float(low[0]), float(high[0]))
