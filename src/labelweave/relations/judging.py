"""Estimates of relations, and what held-out rows say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.relations.confusion import confusion_counts
from labelweave.relations.estimation import Estimate, estimate_relations
from labelweave.relations.evidence import (
    Evidence,
    evaluate_noisy_or,
    evaluate_relation,
)
from labelweave.relations.needs import KeptOut
from labelweave.relations.noise import NoiseReport, estimate_noise
from labelweave.relations.noisy_or import AnyRelation, NoisyOr
from labelweave.relations.relation import Relation
from labelweave.remarks import Remark
from labelweave.tasks import Multilabel

Origin = Literal["knowledge", "annotations", "predictions", "all"]
LOSS = 0.1  # share of the correction's lift that an expert's table may lose and still stand
Pair = tuple[str, str]
Probabilities = Mapping[str, NDArray[np.floating]]


class Judging:
    """What the steps of `relate` share."""

    def __init__(
        self,
        annotations: Annotations,
        predictions: Probabilities,
        knowledge: Sequence[AnyRelation],
        origin: Origin,
        strength: float,
        sources: NDArray[np.int64] | None,
        groups: NDArray[np.int64] | None,
        kept_out: KeptOut | None,
        seed: int,
    ) -> None:
        self.annotations, self.predictions = annotations, predictions
        self.knowledge = {r.name: r for r in knowledge if isinstance(r, Relation)}
        self.noisy_ors = {r.name: r for r in knowledge if isinstance(r, NoisyOr)}
        self.origin, self.strength, self.seed = origin, strength, seed
        self.sources, self.groups = sources, groups
        # the target head's own predictions, on rows it was not trained on where that is known
        aligned = kept_out is not None and kept_out.annotations is annotations
        self.own = kept_out.predictions if kept_out and aligned else predictions
        self.confusion = (
            confusion_counts(kept_out.annotations, kept_out.predictions) if kept_out else None
        )

    def estimate(self, pairs: Sequence[Pair], annotations: Annotations) -> list[Estimate]:
        """Return the estimates of pairs from some of the labels."""
        if not pairs:
            return []
        use = {
            # used as it is, but estimated too: that names the rows which the data contradict
            "knowledge": ("knowledge", "annotations", "predictions"),
            "annotations": ("annotations",),
            "predictions": ("annotations", "predictions"),
            "all": ("knowledge", "annotations", "predictions"),
        }[self.origin]
        estimates = estimate_relations(
            annotations,
            self.predictions,
            pairs,
            knowledge=list(self.knowledge.values()),
            strength=self.strength,
            sources=self.sources,
            confusion=self.confusion,
            use=use,
            seed=self.seed,
        )
        if self.origin != "knowledge":
            return estimates
        return [replace(each, relation=self.knowledge[each.relation.name]) for each in estimates]

    def noise(self, used: Sequence[Relation], estimates: Sequence[Estimate]) -> NoiseReport:
        """Return the noise of all targets, and the used relations with tables of clean labels.

        Wrong labels hide a relation, so those without evidence on the labels found are looked at
        as well; but an expert's tables that do not hold are no tables of clean labels.
        """
        given = self.origin == "knowledge"
        report = estimate_noise(
            self.annotations,
            self.predictions,
            used if given else [estimate.relation for estimate in estimates],
            sources=self.sources,
            clean=given,
        )
        clean = {relation.name: relation for relation in report.relations}
        tables = [replace(clean[r.name], known=r.known, strength=r.strength) for r in used]
        return replace(report, relations=tuple(tables))

    def judge(self, final: Relation, rival: Estimate, held: NDArray[np.bool_]) -> Evidence:
        """Return the evidence of a final table, measured with one that has not seen the rows."""
        if self.origin == "knowledge":
            return self._evaluated(final, rival.data, held)
        return replace(self._evaluated(rival.relation, None, held), relation=final)

    def _evaluated(
        self, relation: Relation, rival: Relation | None, held: NDArray[np.bool_]
    ) -> Evidence:
        return evaluate_relation(
            relation,
            self._source_probabilities(relation.source.name)[held],
            self.annotations.labels[relation.target.name][held],
            estimated=rival,
            groups=None if self.groups is None else self.groups[held],
            seed=self.seed,
        )

    def stands(self, told: Relation, rival: Estimate, held: NDArray[np.bool_]) -> Evidence | None:
        """Return the evidence of an expert's table that does as well as its correction, or None.

        A correction by weak predictions blurs a table that was right, so the expert's is
        preferred unless it clearly does worse on rows that neither has seen.
        """
        if self.origin != "all":
            return None
        evidence = self._evaluated(told, rival.relation, held)
        against = evidence.against_estimated
        if evidence.verdict != "related" or evidence.lift is None or against is None:
            return None
        best = evidence.lift - against.mean
        loses = against.high < 0 and -against.mean > LOSS * best
        return None if loses else evidence

    def noisy_or(self, pair: Pair, held: NDArray[np.bool_]) -> Evidence | Remark:
        """Return the evidence of a noisy-OR, or why there is none.

        Judged on the held-out half of the rows with a target label, fitted on the other.
        """
        source, target = (self.annotations.task(name) for name in pair)
        if not isinstance(source, Multilabel) or not isinstance(target, Multilabel):
            return Remark("remark.no_table", source=source.name, target=target.name)
        p, known = self.predictions[source.name], self.annotations.labels[source.name]
        values = np.where(known >= 0, known, np.asarray(p, np.float64))
        labels = self.annotations.labels[target.name]
        use = self.annotations.labelled(target.name)
        if self.origin == "annotations":
            use = use & self.annotations.labelled(source.name)
        if not (use & held).any() or not (use & ~held).any():
            return Remark("remark.no_common_row")
        told = self.noisy_ors.get("->".join(pair))

        def fitted(rows: NDArray[np.bool_]) -> NoisyOr:
            if told is not None and self.origin == "knowledge":
                return told
            prior = told if self.origin == "all" else None
            found = NoisyOr.fit(
                source, target, values[rows], labels[rows], prior=prior, strength=self.strength
            )
            return found if told is None else replace(found, strength=told.strength)

        rival = fitted(use & ~held)
        evidence = evaluate_noisy_or(
            rival,
            values[held & use],
            labels[held & use],
            np.asarray(self.own[target.name], np.float64)[held & use],
            groups=None if self.groups is None else self.groups[held & use],
            seed=self.seed,
        )
        return replace(evidence, relation=fitted(use))

    def _source_probabilities(self, name: str) -> NDArray[np.float64]:
        """Return p(s|x), where the label is known that label."""
        p = np.array(self.predictions[name], dtype=np.float64)
        codes = self.annotations.labels[name]
        known = codes >= 0
        p[known] = np.eye(p.shape[1])[codes[known]]
        return p
