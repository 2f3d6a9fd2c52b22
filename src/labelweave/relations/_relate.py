"""From labels, predictions and an expert's tables to the relatedness of tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from labelweave._arguments import a_list, kind_of
from labelweave._messages import Message, Text
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations._counting import confusion_counts, held_out_half, without_labels
from labelweave.relations._estimation import EstimatedRelation, estimate_relations
from labelweave.relations._evidence import Evidence, evaluate_noisy_or, evaluate_relation
from labelweave.relations._graph import acyclic, propose, rank_pairs
from labelweave.relations._label_noise import NoiseReport, estimate_noise
from labelweave.relations._noisy_or import AnyRelation, NoisyOr
from labelweave.relations._relatedness import Relatedness
from labelweave.relations._relation import Relation
from labelweave.relations._transfer_weights import HeldOut, estimate_transfer_weights
from labelweave.tasks import Multiclass, Multilabel

Origin = Literal["knowledge", "annotations", "predictions", "all"]
LOSS = 0.1  # share of the correction's lift that an expert's table may lose and still be kept
Pair = tuple[str, str]
Estimates = dict[tuple[Sequence[str], tuple[Pair, ...], str], list[EstimatedRelation]]
Probabilities = Mapping[str, NDArray[np.floating]]


class Judging:
    """State that the steps of `relate` share."""

    def __init__(
        self,
        annotations: Annotations,
        predictions: Probabilities,
        knowledge: Sequence[AnyRelation],
        origin: Origin,
        strength: float,
        sources: NDArray[np.int64] | None,
        groups: NDArray[np.int64] | None,
        held_out: HeldOut | None,
        seed: int,
        shared: Estimates | None = None,
    ) -> None:
        self.shared = {} if shared is None else shared
        self.annotations, self.predictions = annotations, predictions
        self.knowledge = {r.name: r for r in knowledge if isinstance(r, Relation)}
        self.noisy_ors = {r.name: r for r in knowledge if isinstance(r, NoisyOr)}
        self.origin, self.strength, self.seed = origin, strength, seed
        self.sources, self.groups = sources, groups
        # the target head's own predictions, on rows it was not trained on where that is known
        aligned = held_out is not None and held_out.annotations is annotations
        self.own = held_out.predictions if held_out and aligned else predictions
        self.confusion = (
            confusion_counts(held_out.annotations, held_out.predictions) if held_out else None
        )

    def estimate(
        self, pairs: Sequence[Pair], annotations: Annotations, labels: str = "all"
    ) -> list[EstimatedRelation]:
        """Return the estimates of pairs from some of the labels, named `labels`."""
        if not pairs:
            return []
        use = {
            # used as given, but also estimated, to find the rows that the data contradict
            "knowledge": ("knowledge", "annotations", "predictions"),
            "annotations": ("annotations",),
            "predictions": ("annotations", "predictions"),
            "all": ("knowledge", "annotations", "predictions"),
        }[self.origin]
        key = (use, tuple(pairs), labels)
        if key not in self.shared:
            self.shared[key] = estimate_relations(
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
        estimates = self.shared[key]
        if self.origin != "knowledge":
            return estimates
        return [replace(each, relation=self.knowledge[each.relation.name]) for each in estimates]

    def noise(
        self, used: Sequence[Relation], estimates: Sequence[EstimatedRelation]
    ) -> NoiseReport:
        """Return the noise of all targets, and the used relations with tables of clean labels.

        Wrong labels can hide a relation, so relations without evidence on the observed labels count
        too. An expert's tables that the data contradict do not describe clean labels.
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

    def judge(self, final: Relation, rival: EstimatedRelation, held: NDArray[np.bool_]) -> Evidence:
        """Return the evidence of a final table, measured with a table fitted without these rows."""
        if self.origin == "knowledge":
            return self._evaluated(final, rival.data, held, expert=True)
        return replace(self._evaluated(rival.relation, None, held), relation=final)

    def _evaluated(
        self,
        relation: Relation,
        rival: Relation | None,
        held: NDArray[np.bool_],
        *,
        expert: bool = False,
    ) -> Evidence:
        return evaluate_relation(
            relation,
            self._source_probabilities(relation.source.name)[held],
            self.annotations.labels[relation.target.name][held],
            estimated=rival,
            groups=None if self.groups is None else self.groups[held],
            expert=expert,
            seed=self.seed,
        )

    def uncorrected(
        self, expert: Relation, rival: EstimatedRelation, held: NDArray[np.bool_]
    ) -> Evidence | None:
        """Return the evidence of an expert's table, or None where the correction is clearly better.

        A correction by weak predictions blurs a correct table, so the expert's table is preferred
        unless it does clearly worse on rows that neither table was fitted on. Too few rows are no
        evidence against it.
        """
        if self.origin != "all":
            return None
        evidence = self._evaluated(expert, rival.relation, held, expert=True)
        against = evidence.against_estimated
        if not evidence.holds:
            return None
        if evidence.lift is None or against is None:
            return evidence
        best = evidence.lift - against.mean
        loses = against.high < 0 and -against.mean > LOSS * best
        return None if loses else evidence

    def noisy_or(self, pair: Pair, held: NDArray[np.bool_]) -> Evidence | Message:
        """Return the evidence of a noisy-OR, or why there is none.

        Judged on the held-out half of the rows with a target label, fitted on the other.
        """
        source, target = (self.annotations.task(name) for name in pair)
        if not isinstance(source, Multilabel) or not isinstance(target, Multilabel):
            return Message("message.no_table", {"source": source.name, "target": target.name})
        p, known = self.predictions[source.name], self.annotations.labels[source.name]
        values = np.where(known >= 0, known, np.asarray(p, np.float64))
        labels = self.annotations.labels[target.name]
        use = self.annotations.labelled(target.name)
        if self.origin == "annotations":
            use = use & self.annotations.labelled(source.name)
        expert = self.noisy_ors.get("->".join(pair))
        given = expert is not None and self.origin == "knowledge"
        if not given and (not (use & held).any() or not (use & ~held).any()):
            return Message("message.no_common_row")

        def fitted(rows: NDArray[np.bool_]) -> NoisyOr:
            if expert is not None and given:
                return expert
            prior = expert if self.origin == "all" else None
            found = NoisyOr.estimate(
                source, target, values[rows], labels[rows], prior=prior, strength=self.strength
            )
            return found if expert is None else replace(found, strength=expert.strength)

        rival = fitted(use & ~held)
        evidence = evaluate_noisy_or(
            rival,
            values[held & use],
            labels[held & use],
            np.asarray(self.own[target.name], np.float64)[held & use],
            groups=None if self.groups is None else self.groups[held & use],
            expert=given,
            seed=self.seed,
        )
        return replace(evidence, relation=fitted(use))

    def _source_probabilities(self, name: str) -> NDArray[np.float64]:
        """Return p(s|x); where the label is known, 1 for that label."""
        p = np.array(self.predictions[name], dtype=np.float64)
        codes = self.annotations.labels[name]
        known = codes >= 0
        p[known] = 0.0
        p[known, codes[known]] = 1.0
        return p


ORIGINS: tuple[Origin, ...] = get_args(Origin)


def relate(
    annotations: Annotations,
    predictions: Probabilities,
    pairs: Sequence[Pair] | None = None,
    *,
    knowledge: Sequence[AnyRelation] = (),
    origin: Origin = "all",
    strength: float = 5.0,
    sources: NDArray[np.int64] | None = None,
    groups: NDArray[np.int64] | None = None,
    held_out: HeldOut | None = None,
    noise: bool = False,
    seed: int = 0,
    shared: Estimates | None = None,
) -> Relatedness:
    """Estimate relations, test each on held-out rows, and propose which tasks to join.

    >>> from labelweave import Multiclass
    >>> kind, shape = Multiclass("kind", ("ball", "box")), Multiclass("shape", ("round", "square"))
    >>> truth = np.arange(80) % 2
    >>> labels = {"kind": np.where(np.arange(80) < 20, truth, -1), "shape": truth}
    >>> sure = np.where(truth[:, None] == [0, 1], 0.9, 0.1)
    >>> related = relate(Annotations((kind, shape), labels), {"kind": sure, "shape": sure})
    >>> related.evidence["kind->shape"].verdict
    'related'

    The evidence is cross-fitted: the rows with target labels are split into two halves (whole
    groups), and tables estimated without the target labels of one half are tested on that half. An
    expert's table is tested there as given, against the table estimated from the other half: with
    ``origin="all"`` it is kept where it does as well and corrected by the data where it does
    clearly worse; too few labels never count against it. The final tables come from all rows. A
    noisy-OR is fitted and tested in the same way, but must improve on the target head's
    predictions.

    Args:
        annotations: the training rows' labels.
        predictions: an uncoupled multi-task model's probabilities on the same n rows.
        pairs: (source, target) names; None = every pair with a multiclass source, and every
            pair of multilabel tasks for a noisy-OR.
        knowledge: an expert's tables and noisy-ORs.
        origin: which evidence enters the tables: the expert's as given, counts of co-labelled rows,
            predictions and counts, or all three as one estimate.
        strength: how much a row of an expert's table counts, in pseudo-rows.
        sources: (n,) data source of each row: each has its own class prior.
        groups: (n,) group of each row.
        held_out: rows that the network was not trained on, with its predictions: they show how
            reliable the predictions are and give the transfer weights.
        noise: estimate the label noise of the target tasks, too; expert tables used as given
            count as tables of clean labels.
        seed: decides halves, folds and resamplings.
        shared: a dictionary, empty at first, for several calls that differ in `origin` only: what
            one of them has estimated the next does not estimate again.

    Raises:
        LabelweaveError: an unknown origin or task, or nothing to estimate from.
    """
    if origin not in ORIGINS:
        raise LabelweaveError(
            f"relations from '{origin}': expected {listing(ORIGINS)}{nearest(origin, ORIGINS)}"
        )
    wanted = _pairs(annotations, knowledge, pairs, origin)
    tables = [p for p in wanted if isinstance(annotations.task(p[0]), Multiclass)]
    held = held_out_half(annotations, groups, seed)
    work = Judging(
        annotations, predictions, knowledge, origin, strength, sources, groups, held_out, seed,
        shared,
    )  # fmt: skip
    estimates = work.estimate(tables, annotations)
    blind = without_labels(annotations, {p[1] for p in tables}, held)
    rivals = work.estimate(tables, blind, "of one half")
    corrected = list(estimates)
    evidence: dict[str, Evidence] = {}
    left_out: dict[str, Text] = {}
    noisy_ors: list[NoisyOr] = []
    for number, (final, rival) in enumerate(zip(estimates, rivals, strict=True)):
        found = work.judge(final.relation, rival, held)
        expert = work.knowledge.get(found.name)
        if expert is not None and (kept := work.uncorrected(expert, rival, held)) is not None:
            found, corrected[number] = kept, replace(final, relation=expert)
        evidence[found.name] = found
    for pair in (p for p in wanted if p not in tables):
        judged = work.noisy_or(pair, held)
        if isinstance(judged, Message):
            left_out["->".join(pair)] = judged
            continue
        evidence[judged.name] = judged
        if isinstance(judged.relation, NoisyOr):
            noisy_ors.append(judged.relation)
    candidates = [r for e in evidence.values() if (r := e.filtered()) is not None]
    left_out |= {e.name: e.reason for e in evidence.values() if e.filtered() is None}
    weights = {e.name: e.information * e.trust for e in evidence.values()}
    used, doubled = acyclic(candidates, weights)
    ranking = rank_pairs(annotations, list(evidence.values()))
    report = None
    if noise:
        report = work.noise([r for r in used if isinstance(r, Relation)], estimates)
    return Relatedness(
        estimates=tuple(corrected),
        noisy_ors=tuple(noisy_ors),
        evidence=evidence,
        relations=tuple(used),
        left_out=left_out | doubled,
        ranking=tuple(ranking),
        proposal=propose(ranking),
        noise=report,
        transfer_weights=(
            estimate_transfer_weights(held_out, used, annotations, seed)
            if held_out is not None
            else {}
        ),
    )


def _pair(found: object) -> Pair:
    names = found if isinstance(found, tuple | list) else ()
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        shown = f"{len(names)} values" if names else kind_of(found)
        raise LabelweaveError(f"pairs: found {shown}, expected a source and a target task")
    return names[0], names[1]


def _pairs(
    annotations: Annotations,
    knowledge: Sequence[AnyRelation],
    pairs: Sequence[Pair] | None,
    origin: Origin,
) -> list[Pair]:
    given = [(relation.source.name, relation.target.name) for relation in knowledge]
    if origin == "knowledge":
        if not given:
            raise LabelweaveError("relations from knowledge: found no table, expected one")
        return given
    if pairs is not None:
        return list(dict.fromkeys([*given, *map(_pair, a_list("pairs", pairs, "a list of pairs"))]))
    tasks = annotations.tasks
    every = [
        (s.name, t.name)
        for s in tasks
        for t in tasks
        if s is not t and (isinstance(s, Multiclass) or isinstance(t, Multilabel))
    ]
    return list(dict.fromkeys([*given, *every]))
