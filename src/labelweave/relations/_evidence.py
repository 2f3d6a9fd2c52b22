"""The evidence that a relation holds: figures, a verdict and a reason in words."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave._messages import Message, Text
from labelweave.errors import LabelweaveError
from labelweave.relations._lift import (
    Elements,
    Floats,
    GroupDraws,
    Mask,
    checked_probabilities,
    classes_exchanged,
    column_likelihood,
    elements,
    folds,
    pushed,
    recalibrated,
    residuals,
    row_likelihood,
    rows_exchanged,
)
from labelweave.relations._noisy_or import AnyRelation, NoisyOr
from labelweave.relations._relation import Relation
from labelweave.results import LabelLift, MeanInterval, RelationEvidence
from labelweave.tasks import Multiclass

EvidenceVerdict = Literal[
    "related", "not contradicted", "not related", "contradicted by the data", "not enough data"
]


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its bootstrap interval, in nats per labelled element."""

    mean: float
    low: float
    high: float

    def message(self) -> Message:
        """Return the figures for a sentence."""
        return Message("message.interval", {"mean": self.mean, "low": self.low, "high": self.high})

    def __str__(self) -> str:
        return str(self.message())


@dataclass(frozen=True)
class LabelEvidence:
    """The lift on one target label (or class: "this one or another").

    Args:
        name: of the label or class.
        lift: mean gain per labelled element in nats, None without data.
        low: lower end of its interval.
        high: upper end.
        n: labelled elements.
        keep: whether the relation may be used for it. A multiclass target is kept or left out as a
            whole.
        reason: why, in words.
    """

    name: str
    lift: float | None
    low: float | None
    high: float | None
    n: int
    keep: bool
    reason: Text


@dataclass(frozen=True, eq=False)
class Evidence:
    """Whether a relation helps to predict its target's labels on held-out rows.

    Args:
        name: the relation, ``source->target``.
        relation: the relation that was judged.
        benchmark: what the lift is over: "base rate" or "own predictions" of the target's head.
        n: labelled elements.
        lift: mean log-likelihood of the labels under the recalibrated predictions of the relation
            minus that under the benchmark, nats per labelled element; None without data.
        low: lower end of its interval.
        high: upper end.
        raw_lift: the same before recalibration, for comparison.
        p_value: share of exchanges of the labels between rows that fit as well.
        p_value_classes: share of exchanges of the table's rows between classes that fit as well;
            None when there is no other table, or for a noisy-OR.
        per_label: the lift on every label that the relation covers.
        against_estimated: mean log-likelihood under the given minus that under the estimated
            table, both recalibrated, or None without one.
        raw_against_estimated: the same before recalibration.
        verdict: what follows.
        reason: the verdict's figures in one sentence.
        trust: factor for the relation's strength, 0 to 1: low / lift, the share of the lift that
            is sure; .65 where the verdict is "not contradicted", else 0 unless it is "related".
        promise: mean lift that the relation would have if it and the predictions were right: the
            mutual information of source and target in the predictions, nats per element.
    """

    name: str
    relation: AnyRelation
    benchmark: str
    n: int
    lift: float | None
    low: float | None
    high: float | None
    raw_lift: float | None
    p_value: float | None
    p_value_classes: float | None
    per_label: tuple[LabelEvidence, ...]
    against_estimated: Interval | None
    raw_against_estimated: Interval | None
    verdict: EvidenceVerdict
    reason: Text
    trust: float
    promise: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the relation may couple tasks: "related", or an expert's "not contradicted"."""
        return self.verdict in ("related", "not contradicted")

    @property
    def left_out(self) -> tuple[LabelEvidence, ...]:
        """The labels for which the relation must not be used, with the reasons."""
        return tuple(label for label in self.per_label if not label.keep)

    @property
    def information(self) -> float:
        """What the relation adds on a row with all labels, in nats; 0 unless it `holds`.

        About the mutual information of the two tasks, and so comparable between relations.
        """
        gain = self.lift if self.verdict == "related" else self.promise
        if not self.holds or gain is None:
            return 0.0
        one = isinstance(self.relation.target, Multiclass)
        return gain * (1 if one else len(self.per_label))

    def filtered(self) -> AnyRelation | None:
        """Return the relation that may couple tasks, or None.

        Its strength is multiplied by the trust, and labels without lift are unknown in it.
        """
        if not self.holds:
            return None
        relation, mask = self.relation, self.relation.mask
        if not isinstance(relation.target, Multiclass):
            dropped = {label.name for label in self.left_out}
            mask = mask & np.array([name not in dropped for name in relation.target.names])
        strength = relation.strength * self.trust
        if isinstance(relation, NoisyOr):
            return replace(relation, known=mask, strength=strength)
        return replace(relation, known=mask, strength=strength)

    def summary(self) -> RelationEvidence:
        """Return figures and words without the table, as results hold them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["relation"]
        for name, value in values.items():
            if isinstance(value, Interval):
                values[name] = MeanInterval(value.mean, value.low, value.high)
        values["per_label"] = tuple(LabelLift(**vars(label)) for label in self.per_label)
        return RelationEvidence(**values)


MIN_ELEMENTS = 20
MIN_SIDE = 10  # a label that is on, or off, less often says too little about itself
MIN_GROUPS = 5  # one for every fold of the recalibration
NEWS = 0.02  # share of the target head's loss that a relation must save to count as related
PROMISED = 0.5  # share of the lift it implies that an expert's table must be able to reach
LEAST_PROMISE = 1e-3  # nats; a table that implies less carries no information
TRUST_STANDING = 0.65  # mean of the prior of an expert's strength (docs/explanation/coupling.md)
CONTRADICTION = 0.2  # share of the estimated table's lift that a given one may lose


@dataclass(frozen=True)
class Figures:
    """What was measured about a relation; see `Evidence` for the meaning.

    Args:
        least: what the interval of the lift must lie above.
    """

    count: int
    benchmark: str
    lift: Interval
    least: float
    p_value: float
    p_value_classes: float | None
    estimated_lift: Interval | None
    against_estimated: Interval | None
    raw_against_estimated: Interval | None


def too_little(elements: Elements) -> Text:
    """Return why there is not enough data to judge a relation, or an empty string."""
    groups = len(np.unique(elements.groups))
    if elements.count < MIN_ELEMENTS or groups < MIN_GROUPS:
        return Message(
            "message.few_elements",
            {
                "elements": elements.count, "groups": groups, "least": MIN_ELEMENTS,
                "least_groups": MIN_GROUPS,
            },
        )  # fmt: skip
    varied = (elements.values.max(axis=0) == 1) & (elements.values < elements.seen).any(axis=0)
    return "" if varied.any() else Message("message.labels_alike")


def judged(figures: Figures, alpha: float) -> tuple[EvidenceVerdict, Text]:
    """Return the verdict and its reason; a test fails when its p-value reaches `alpha`."""
    over = "base" if figures.benchmark == "base rate" else "own"
    lift = Message(
        f"message.lift_{over}", {"lift": figures.lift.message(), "labels": figures.count}
    )
    given, best = figures.against_estimated, figures.estimated_lift
    p, classes = figures.p_value, figures.p_value_classes
    if given is not None and best is not None and _contradicted(figures):
        values = {"best": best.message(), "given": given.message(), "lift": lift}
        return "contradicted by the data", Message("message.contradicted", values)
    if figures.lift.low <= figures.least:
        return "not related", Message("message.not_above", {"lift": lift, "least": figures.least})
    if p >= alpha:
        return "not related", Message("message.rows_exchanged", {"lift": lift, "p": p})
    if classes is None:
        return "related", Message("message.holds", {"lift": lift, "p": p})
    if classes >= alpha:
        return "not related", Message("message.classes_exchanged", {"lift": lift, "p": classes})
    return "related", Message("message.holds_by_class", {"lift": lift, "p": p, "classes": classes})


def promised(q: Floats, covered: Mask, exclusive: bool) -> float:
    """Return the mean divergence of predictions q, (n, W), from their mean, nats per element."""
    if not len(q) or not covered.any():
        return 0.0
    seen = np.clip(q if exclusive else q[:, covered], 1e-7, 1 - 1e-7)
    mean = seen.mean(axis=0)
    gain = seen * np.log(seen / mean)
    if exclusive:
        return float(max(0.0, gain.sum(axis=1).mean()))
    return float(max(0.0, (gain + (1 - seen) * np.log((1 - seen) / (1 - mean))).mean()))


def _contradicted(figures: Figures) -> bool:
    """Return whether the given table clearly loses against the estimated one.

    After recalibration alone, an estimate that has learnt the source head's confusions could beat a
    true table; before it alone, a softer estimate could profit from over-confident predictions.
    """
    best, given = figures.estimated_lift, figures.against_estimated
    raw = figures.raw_against_estimated
    if best is None or given is None or raw is None:
        return False
    lost = given.high < 0 and -given.mean > CONTRADICTION * best.mean
    return best.low > 0 and lost and raw.high < 0


def judged_labels(
    elements: Elements,
    covered: Mask,
    lifts: tuple[Floats, Floats, Floats] | None,
    verdict: EvidenceVerdict,
) -> tuple[LabelEvidence, ...]:
    """Return the evidence of every column that the relation covers.

    A label is kept when the relation is and the label's own interval lies above 0. One with fewer
    than 20 labelled elements, or 10 on or off, cannot be judged and follows the relation; so do all
    labels of an expert's table that is not contradicted.

    Args:
        elements: the labels.
        covered: (W,).
        lifts: mean, low and high, each (W,); None when nothing was measured.
        verdict: on the relation as a whole.
    """
    counts = elements.seen.sum(axis=0)
    on = elements.values.sum(axis=0)
    result = []
    for j in np.flatnonzero(covered):
        n = int(counts[j])
        mean, low, high = (float(part[j]) for part in lifts) if lifts and n else (None, None, None)
        if verdict not in ("related", "not contradicted"):
            keep, reason = False, Message("message.label_left_out")
        elif verdict == "not contradicted":
            keep, reason = True, Message("message.label_not_contradicted")
        elif elements.exclusive:
            keep, reason = True, Message("message.label_as_whole")
        elif n < MIN_ELEMENTS or min(on[j], n - on[j]) < MIN_SIDE:
            keep, reason = True, Message("message.label_few", {"labels": n, "on": int(on[j])})
        elif low is not None and low > 0:
            keep, reason = True, Message("message.label_lift", {"lift": mean, "labels": n})
        else:
            keep = False
            reason = Message(
                "message.label_not_above", {"lift": mean, "low": low, "high": high, "labels": n}
            )
        name = elements.target.names[j]
        result.append(LabelEvidence(name, mean, low, high, n, keep, reason))
    return tuple(result)


def evaluate_relation(
    relation: Relation,
    source_probabilities: ArrayLike,
    target_labels: ArrayLike,
    *,
    estimated: Relation | None = None,
    target_probabilities: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    expert: bool = False,
    without_fold: Sequence[Relation] = (),
    fold: NDArray[np.integer] | None = None,
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
    a fifth of that lift. An expert's table is not refused for want of labels: it is "not
    contradicted" where there are too few, and where the intervals of its lift still reach half of
    its promise.

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
        expert: whether an expert gave the table; without evidence against it, it is used.
        without_fold: the table estimated without fold 0, 1, ...: each row is predicted by the table
            of its fold, so that `relation` may know all labels.
        fold: (n,) the rows' folds.
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
        relation, target_labels, target_probabilities, groups, expert,
        seed, replicates, permutations, level,
    )  # fmt: skip
    q = pushed(relation, p)
    for number, table in enumerate(without_fold):
        rows = np.flatnonzero(fold == number)
        q[rows] = pushed(table, p[rows])
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
    expert: bool = False,
    seed: int = 0,
    replicates: int = 1000,
    permutations: int = 200,
    level: float = 0.95,
) -> Evidence:
    """Measure what a noisy-OR relation adds to the target head's own predictions.

    Labels of one image, text or plant nearly always occur together in some way, so a lift over
    the base rate is too weak a comparison here: a noisy-OR counts only when it clearly saves more
    than 2 % of the log loss of what the network predicts without it. Otherwise as
    `evaluate_relation`, without the exchange of classes and the comparison of tables.

    Args:
        noisy_or: fitted on other rows.
        source_probabilities: (n, L_s) predictions of the source head, trained on other rows.
        target_labels: codes (n, L_t), -1 = missing.
        target_probabilities: (n, L_t) held-out predictions of the target's own head.
        groups: see `evaluate_relation`, as the rest.
        expert: whether an expert gave it; it is used where labels are too few.
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
        noisy_or, target_labels, target_probabilities, groups, expert,
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
        expert: bool,
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
        self.relation, self.level, self.expert = relation, level, expert
        self.covered = np.asarray(relation.mask.any(axis=0))
        self.replicates, self.permutations = replicates, permutations
        self.elements, self.rows = elements(name, target, labels, self.covered, groups)
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
            # the labelled rows are too few even for their predictions' mean
            return self._undecided(little, promised(scores, self.covered, held.exclusive))
        fold = folds(held.groups, self.generators[0])
        draw = GroupDraws(held.groups, self.replicates, self.level, self.generators[1])
        q = scores[self.rows]
        promise = promised(q, self.covered, held.exclusive)
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
        if self.expert and self.own is None and verdict == "not related":
            most = max(lift.high, _interval(draw, raw - base, counts).high)
            if promise > LEAST_PROMISE and most >= PROMISED * promise:
                verdict, reason = (
                    "not contradicted",
                    Message("message.not_contradicted", {"reason": reason}),
                )
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
            per_label=judged_labels(held, self.covered, lifts, verdict),
            against_estimated=against,
            raw_against_estimated=raw_against,
            verdict=verdict,
            reason=reason,
            trust=(
                float(np.clip(lift.low / lift.mean, 0, 1))
                if verdict == "related"
                else TRUST_STANDING * (verdict == "not contradicted")
            ),
            promise=promise,
        )

    def _undecided(self, reason: Text, promise: float) -> Evidence:
        verdict: EvidenceVerdict = "not enough data"
        if self.expert:
            verdict, reason = (
                "not contradicted",
                Message("message.not_contradicted", {"reason": reason}),
            )
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
            per_label=judged_labels(self.elements, self.covered, None, verdict),
            against_estimated=None,
            raw_against_estimated=None,
            verdict=verdict,
            reason=reason,
            trust=TRUST_STANDING * self.expert,
            promise=promise,
        )


def _interval(draw: GroupDraws, totals: Floats, counts: Floats) -> Interval:
    mean, low, high = draw.mean(totals[:, None], counts[:, None])
    return Interval(float(mean[0]), float(low[0]), float(high[0]))
