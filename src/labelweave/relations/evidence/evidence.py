"""The evidence that a relation holds: figures, a verdict and a reason in words."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from labelweave.relations.noisy_or import AnyRelation, NoisyOr
from labelweave.remarks import Remark
from labelweave.tasks import Multiclass

EvidenceVerdict = Literal["related", "not related", "contradicted by the data", "not enough data"]


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its bootstrap interval, in nats per labelled element."""

    mean: float
    low: float
    high: float

    def remark(self) -> Remark:
        """Return the figures for a sentence."""
        return Remark("remark.interval", mean=self.mean, low=self.low, high=self.high)

    def __str__(self) -> str:
        return str(self.remark())


@dataclass(frozen=True)
class LabelEvidence:
    """The lift on one target label (or class: "this one or another").

    Args:
        name: of the label or class.
        lift: mean gain per labelled element in nats, None without data.
        low: lower end of its interval.
        high: upper end.
        n: labelled elements.
        keep: whether the relation may speak about it. A multiclass target is kept or left out as a
            whole.
        reason: why, in words.
    """

    name: str
    lift: float | None
    low: float | None
    high: float | None
    n: int
    keep: bool
    reason: str


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
        per_label: the lift on every label that the relation speaks about.
        against_estimated: mean log-likelihood under the given minus that under the estimated
            table, both recalibrated, or None without one.
        raw_against_estimated: the same before recalibration.
        verdict: what follows.
        reason: the verdict's figures in one sentence.
        trust: factor for the relation's strength, 0 to 1: low / lift, the share of the lift that
            is sure; 0 unless the verdict is "related".
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
    reason: str
    trust: float

    @property
    def left_out(self) -> tuple[LabelEvidence, ...]:
        """The labels about which the relation must not speak, with the reasons."""
        return tuple(label for label in self.per_label if not label.keep)

    @property
    def information(self) -> float:
        """What the relation tells about a row with all labels, in nats; 0 unless "related".

        About the mutual information of the two tasks, and so comparable between relations.
        """
        if self.verdict != "related" or self.lift is None:
            return 0.0
        one = isinstance(self.relation.target, Multiclass)
        return self.lift * (1 if one else len(self.per_label))

    def filtered(self) -> AnyRelation | None:
        """Return the relation that may couple tasks, or None.

        Its strength is multiplied by the trust, and labels without lift are unknown in it.
        """
        if self.verdict != "related":
            return None
        relation, mask = self.relation, self.relation.mask
        if not isinstance(relation.target, Multiclass):
            dropped = {label.name for label in self.left_out}
            mask = mask & np.array([name not in dropped for name in relation.target.names])
        strength = relation.strength * self.trust
        if isinstance(relation, NoisyOr):
            return replace(relation, known=mask, strength=strength)
        return replace(relation, known=mask, strength=strength)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and words as JSON-able values, without the table itself."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["relation"]
        intervals = {
            name: asdict(value) for name, value in values.items() if isinstance(value, Interval)
        }
        return values | intervals | {"per_label": [asdict(label) for label in self.per_label]}
