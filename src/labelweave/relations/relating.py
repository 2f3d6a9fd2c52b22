"""From labels, predictions and an expert's tables to the relatedness of tasks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations.evidence import (
    Evidence,
    acyclic,
)
from labelweave.relations.grouping import propose, rank_pairs
from labelweave.relations.halves import held_out_half, without_labels
from labelweave.relations.judging import Judging, Origin, Pair, Probabilities
from labelweave.relations.needs import KeptOut, learning_needs
from labelweave.relations.noisy_or import AnyRelation, NoisyOr
from labelweave.relations.relatedness import Relatedness
from labelweave.relations.relation import Relation
from labelweave.remarks import Remark
from labelweave.tasks import Multiclass, Multilabel

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
    kept_out: KeptOut | None = None,
    noise: bool = False,
    seed: int = 0,
) -> Relatedness:
    """Estimate relations, test each on held-out rows, and say which tasks belong together.

    The evidence is cross-fitted: the rows that carry target labels are cut in two halves (whole
    groups); tables estimated without the target labels of one half are judged on that half. An
    expert's table is judged on it as it is, too, against the table estimated from the other half:
    with ``origin="all"`` it stands where it does as well, and is corrected by the data where it
    clearly does worse. The final tables come from all rows. A noisy-OR is fitted and judged
    likewise, but must tell something beyond the target head's own predictions.

    Args:
        annotations: the training rows' labels.
        predictions: an uncoupled multi-task model's probabilities on the same n rows.
        pairs: (source, target) names; None = every pair with a multiclass source, and every
            pair of multilabel tasks for a noisy-OR.
        knowledge: an expert's tables and noisy-ORs.
        origin: which evidence enters the tables: the expert's as given, counts of co-labelled rows,
            predictions and counts, or all three as one estimate.
        strength: what a row of an expert's table counts, in pseudo-rows.
        sources: (n,) data source of each row: each has its own class prior.
        groups: (n,) group of each row.
        kept_out: rows that the network was not trained on, with its predictions: they say how far
            these can be trusted, and how much each task has to learn from the others.
        noise: estimate the label noise of the target tasks, too; the tables of an expert used as
            they are count as tables of clean labels.
        seed: decides halves, folds and resamplings.

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
        annotations, predictions, knowledge, origin, strength, sources, groups, kept_out, seed
    )
    estimates = work.estimate(tables, annotations)
    rivals = work.estimate(tables, without_labels(annotations, {p[1] for p in tables}, held))
    corrected = list(estimates)
    evidence: dict[str, Evidence] = {}
    left_out: dict[str, str] = {}
    noisy_ors: list[NoisyOr] = []
    for number, (final, rival) in enumerate(zip(estimates, rivals, strict=True)):
        found = work.judge(final.relation, rival, held)
        told = work.knowledge.get(found.name)
        if told is not None and (stands := work.stands(told, rival, held)) is not None:
            found, corrected[number] = stands, replace(final, relation=told)
        evidence[found.name] = found
    for pair in (p for p in wanted if p not in tables):
        judged = work.noisy_or(pair, held)
        if isinstance(judged, Remark):
            left_out["->".join(pair)] = judged
            continue
        evidence[judged.name] = judged
        if isinstance(judged.relation, NoisyOr):
            noisy_ors.append(judged.relation)
    candidates = [r for e in evidence.values() if (r := e.filtered()) is not None]
    left_out |= {e.name: e.reason for e in evidence.values() if e.filtered() is None}
    weights = {e.name: e.information * e.trust for e in evidence.values()}
    kept, doubled = acyclic(candidates, weights)
    ranking = rank_pairs(annotations, list(evidence.values()))
    report = None
    if noise:
        report = work.noise([r for r in kept if isinstance(r, Relation)], estimates)
    return Relatedness(
        estimates=tuple(corrected),
        noisy_ors=tuple(noisy_ors),
        evidence=evidence,
        relations=tuple(kept),
        left_out=left_out | doubled,
        ranking=tuple(ranking),
        proposal=propose(ranking),
        noise=report,
        needs=learning_needs(kept_out, kept, seed) if kept_out is not None else {},
    )


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
        return list(dict.fromkeys([*given, *pairs]))
    tasks = annotations.tasks
    every = [
        (s.name, t.name)
        for s in tasks
        for t in tasks
        if s is not t and (isinstance(s, Multiclass) or isinstance(t, Multilabel))
    ]
    return list(dict.fromkeys([*given, *every]))
