"""`estimate_relations`: tables from an expert, from co-labelled rows and from predictions."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations.estimation.checks import (
    KINDS,
    check_pairs,
    check_use,
    checked_confusion,
    checked_knowledge,
    checked_predictions,
    checked_sources,
)
from labelweave.relations.estimation.columns import Columns, Matrix
from labelweave.relations.estimation.em import EM, Posterior
from labelweave.relations.estimation.estimate import Estimate
from labelweave.relations.estimation.intervals import intervals
from labelweave.relations.estimation.problem import Problem
from labelweave.relations.relation import Relation
from labelweave.remarks import Remark
from labelweave.tasks import Multiclass

Strength = float | Mapping[str, ArrayLike]


def estimate_relations(
    annotations: Annotations,
    predictions: Mapping[str, ArrayLike],
    pairs: Sequence[tuple[str, str]],
    *,
    knowledge: Sequence[Relation] = (),
    strength: Strength = 5.0,
    sources: ArrayLike | None = None,
    confusion: Mapping[str, ArrayLike] | None = None,
    use: Sequence[str] = KINDS,
    minimum: float = 0.5,
    seed: int = 0,
    chunk: int = 8192,
) -> list[Estimate]:
    """Estimate T = P(target | source) from all evidence at once.

    Relations that share their source task are estimated together, by variational EM over the
    labels that a row lacks; the time is linear in the rows.

    Args:
        annotations: labels of n training rows.
        predictions: per task (n, K) class or (n, L) label-on probabilities, of a multi-task model
            trained on these rows without coupling. A prediction counts only where its own label is
            missing, so it is out of sample. Not looked at when `use` leaves predictions out.
        pairs: (source, target) names; the source multiclass.
        knowledge: experts' tables, each of one of the pairs.
        strength: pseudo-counts behind a row (an entry, for a multilabel target) of an expert's
            table; or per relation name (``source->target``) a number or an array that broadcasts
            to the table, 5 for a relation without one.
        sources: (n,) number of the data source of every row; each has its own class prior.
        confusion: per task (K, K) or (L, 2, 2) counts, true x predicted, on labelled rows kept out
            of training: the heads start as confident as they are accurate.
        use: which kinds of evidence count: ``knowledge``, ``annotations``, ``predictions``.
        minimum: a row (an entry, for a multilabel target) with less evidence than this, in rows
            and trusted pseudo-counts, stays unknown.
        seed: decides the sample that large data start from; equal seeds give equal estimates.
        chunk: rows worked on at a time; bounds the memory.

    Returns:
        One estimate a pair, in order.

    Raises:
        LabelweaveError: unknown tasks or evidence, a wrong shape, or no probability.
    """
    check_use(use)
    pairs = list(pairs)
    check_pairs(annotations, pairs)
    if chunk < 1:
        raise LabelweaveError(f"chunk: found {chunk}, expected at least 1")
    experts = checked_knowledge(annotations, knowledge, pairs) if "knowledge" in use else {}
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    given = checked_predictions(annotations, predictions, names) if "predictions" in use else {}
    data_source = checked_sources(sources, len(annotations))
    counts = checked_confusion(annotations, confusion)
    strengths = _strengths(strength, annotations, pairs)
    found: dict[tuple[str, str], Estimate] = {}
    for source in dict.fromkeys(source for source, _ in pairs):
        group = [pair for pair in pairs if pair[0] == source]
        speaker = annotations.task(source)
        assert isinstance(speaker, Multiclass)  # checked above
        columns = Columns([annotations.task(target) for _, target in group])
        problem = Problem(
            speaker, columns, annotations, given, data_source, "annotations" in use, chunk
        )
        tables, pseudo = _priors(columns, speaker.width, group, experts, strengths)
        posterior = EM(problem, tables, pseudo, counts, seed).run()
        alone = posterior
        if pseudo.any():
            alone = EM(problem, tables, np.zeros_like(pseudo), counts, seed).run()
        report = _Report(speaker, columns, posterior, alone, minimum)
        for number, pair in enumerate(group):
            found[pair] = report.estimate(number, experts.get(pair))
    return [found[pair] for pair in pairs]


class _Report:
    """Turns the posteriors of one source task into estimates."""

    def __init__(
        self,
        source: Multiclass,
        columns: Columns,
        posterior: Posterior,
        alone: Posterior,
        minimum: float,
    ) -> None:
        self.source, self.columns, self.minimum = source, columns, minimum
        self.posterior, self.alone = posterior, alone
        self.full, self.data = posterior.counts(columns), alone.counts(columns)
        self.expert = posterior.expert.pseudo_counts
        self.bounds = [intervals(columns, c) for c in (self.full, self.data, self.expert)]

    def estimate(self, number: int, expert: Relation | None) -> Estimate:
        part = self.columns.part
        (low, high), (data_low, data_high), (prior_low, prior_high) = (
            (part(a, number), part(b, number)) for a, b in self.bounds
        )
        return Estimate(
            relation=self._relation(number, self.posterior, self.full),
            low=low,
            high=high,
            support=part(self._spread(self.posterior.rows()), number),
            shares=self._shares(number),
            class_prior=self.posterior.class_prior,
            data=self._relation(number, self.alone, self.data),
            data_low=data_low,
            data_high=data_high,
            prior=expert,
            prior_low=prior_low,
            prior_high=prior_high,
            trust=part(self.columns.spread(self.posterior.expert.trust), number),
        )

    def _spread(self, values: Matrix) -> Matrix:
        return np.asarray(self.columns.spread(self.columns.sums(values)))

    def _relation(self, number: int, posterior: Posterior, counts: Matrix) -> Relation:
        evidence = self._spread(posterior.rows() + posterior.expert.counts(self.columns))
        known = self.columns.part(evidence, number) >= self.minimum
        table = self.columns.part(self.columns.normalised(counts), number)
        shares = self._evidence(number, posterior).sum(axis=0)
        total = max(shares.sum(), 1e-12)
        kinds = [
            Remark("remark.kind_share", kind=Remark(f"remark.{kind}"), share=share / total)
            for kind, share in zip(KINDS, shares.tolist(), strict=True)
            if share > 0
        ]
        origin = Remark("remark.estimated", kinds=kinds) if kinds else Remark("remark.unfounded")
        target = self.columns.targets[number]
        return Relation(self.source, target, np.where(known, table, 0.0), known, origin=origin)

    def _evidence(self, number: int, posterior: Posterior) -> Matrix:
        """Return the counts of each kind of evidence about every class, (K, 3)."""
        inside = self.columns.target[self.columns.block] == number
        kinds = (posterior.expert.counts(self.columns), posterior.annotated, posterior.predicted)
        return np.stack([kind[:, inside].sum(axis=1) for kind in kinds], axis=1)

    def _shares(self, number: int) -> Matrix:
        evidence = self._evidence(number, self.posterior)
        total = evidence.sum(axis=1, keepdims=True)
        return evidence / np.where(total > 0, total, 1.0)


def _strengths(
    strength: Strength, annotations: Annotations, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], NDArray[np.float64]]:
    names = [f"{source}->{target}" for source, target in pairs]
    given = strength if isinstance(strength, Mapping) else dict.fromkeys(names, strength)
    for name in given:
        if name not in names:
            raise LabelweaveError(
                f"strength of '{name}': no such relation, expected {listing(names)}"
                f"{nearest(name, names)}"
            )
    result: dict[tuple[str, str], NDArray[np.float64]] = {}
    for name, (source, target) in zip(names, pairs, strict=True):
        shape = (annotations.task(source).width, annotations.task(target).width)
        values = np.asarray(given.get(name, 5.0), dtype=np.float64)
        try:
            result[source, target] = np.broadcast_to(values, shape)
        except ValueError:
            raise LabelweaveError(
                f"strength of {name}: found shape {values.shape}, expected a number or {shape}"
            ) from None
        if not ((values >= 0) & np.isfinite(values)).all():
            raise LabelweaveError(f"strength of {name}: expected pseudo-counts of 0 or more")
    return result


def _priors(
    columns: Columns,
    width: int,
    group: Sequence[tuple[str, str]],
    experts: Mapping[tuple[str, str], Relation],
    strengths: Mapping[tuple[str, str], NDArray[np.float64]],
) -> tuple[Matrix, Matrix]:
    """Return the experts' tables and their strengths as columns, both (K, W)."""
    tables = [
        experts[pair].table if pair in experts else np.zeros((width, target.width))
        for pair, target in zip(group, columns.targets, strict=True)
    ]
    weights = [
        strengths[pair] * experts[pair].mask if pair in experts else np.zeros(table.shape)
        for pair, table in zip(group, tables, strict=True)
    ]
    # both columns of a label carry the strength of its entry
    both = [
        weight if isinstance(target, Multiclass) else np.repeat(weight, 2, axis=1)
        for weight, target in zip(weights, columns.targets, strict=True)
    ]
    return columns.join(tables), np.concatenate(both, axis=1)
