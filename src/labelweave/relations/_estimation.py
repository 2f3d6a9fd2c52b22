"""`estimate_relations`: tables from an expert, from co-labelled rows and from predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave._messages import Message
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations._em import EM, BlockColumns, Floats, Matrix, Posterior, Problem, intervals
from labelweave.relations._relation import Relation
from labelweave.tasks import Multiclass


@dataclass(frozen=True)
class Surprise:
    """An entry of the table on which expert and data disagree beyond their intervals.

    Attributes:
        class_name: the source task's class (row).
        label: the target's class or label (column).
        expert: the expert's probability.
        data: the data's own estimate, without the expert.
        low, high: interval of the data's estimate.
        surprise: the gap between the expert's interval and the data's, in (0, 1].
    """

    class_name: str
    label: str
    expert: float
    data: float
    low: float
    high: float
    surprise: float


@dataclass(frozen=True, eq=False)
class EstimatedRelation:
    """A relation's table as estimated; all arrays but `shares` and `class_prior` as the table.

    Attributes:
        relation: the posterior mean, with the entries that some evidence covers as known.
        low, high: credible interval of every entry (.95), given the labels that EM settled on.
        support: effective number of rows behind every entry, without the expert's pseudo-counts.
        shares: (K, 3) shares of knowledge, annotations and predictions in the evidence about each
            class; all 0 for a class without evidence.
        class_prior: (D, K) estimated class prior of the rows that carry target labels only, by
            data source; the class frequencies where a source has no such rows.
        data: the same estimate without the expert; `relation` itself where there is none.
        data_low, data_high: its interval.
        prior: the expert's relation, if any.
        prior_low, prior_high: interval of the expert's entries at the strength they were given.
        trust: probability that the expert's entry (or row, for a multiclass target) is right; 0
            where the expert says nothing.
    """

    relation: Relation
    low: Matrix
    high: Matrix
    support: Matrix
    shares: Matrix
    class_prior: Matrix
    data: Relation
    data_low: Matrix
    data_high: Matrix
    prior: Relation | None
    prior_low: Matrix
    prior_high: Matrix
    trust: Matrix

    def surprising(self) -> list[Surprise]:
        """Return the entries where expert and data disagree, most surprising first."""
        if self.prior is None:
            return []
        gap = np.maximum(self.prior_low - self.data_high, self.data_low - self.prior_high)
        gap = np.where(self.prior.mask & self.data.mask, gap, 0.0)
        rows, columns = np.nonzero(gap > 0)
        order = np.argsort(-gap[rows, columns], kind="stable")
        source, target = self.relation.source, self.relation.target
        return [
            Surprise(
                source.names[k],
                target.names[j],
                float(self.prior.table[k, j]),
                float(self.data.table[k, j]),
                float(self.data_low[k, j]),
                float(self.data_high[k, j]),
                float(gap[k, j]),
            )
            for k, j in zip(rows[order], columns[order], strict=True)
        ]

    def wrong_rows(self) -> list[str]:
        """Return the classes whose expert row the data contradict, in the table's order.

        A row is named when it holds a surprising entry that is trusted less than one half.
        """
        names, labels = self.relation.source.names, self.relation.target.names
        named = {
            s.class_name
            for s in self.surprising()
            if self.trust[names.index(s.class_name), labels.index(s.label)] < 0.5
        }
        return [name for name in names if name in named]


KINDS = ("knowledge", "annotations", "predictions")


def check_use(use: Sequence[str]) -> None:
    """Raise unless `use` names kinds of evidence."""
    for kind in use:
        if kind not in KINDS:
            raise LabelweaveError(
                f"use: unknown evidence '{kind}', expected {listing(KINDS)}{nearest(kind, KINDS)}"
            )
    if not use:
        raise LabelweaveError(f"use: found nothing, expected some of {listing(KINDS)}")


def check_pairs(annotations: Annotations, pairs: Sequence[tuple[str, str]]) -> None:
    """Raise unless every pair is a multiclass source and another task, each pair once."""
    if not pairs:
        raise LabelweaveError("pairs: found no relation to estimate, expected at least one")
    for source, target in pairs:
        source_ = annotations.task(source)
        annotations.task(target)
        if not isinstance(source_, Multiclass):
            raise LabelweaveError(
                f"relation {source}->{target}: the source task is {source_.kind}, "
                "expected multiclass"
            )
        if source == target:
            raise LabelweaveError(
                f"relation {source}->{target}: source and target are the same task"
            )
    twice = sorted({f"{s}->{t}" for s, t in pairs if list(pairs).count((s, t)) > 1})
    if twice:
        raise LabelweaveError(f"pairs: found twice: {listing(twice)}, expected once")


def checked_predictions(
    annotations: Annotations, predictions: Mapping[str, ArrayLike], names: Sequence[str]
) -> dict[str, Floats]:
    """Return the named tasks' predictions as arrays, after a look at shape and range."""
    arrays: dict[str, Floats] = {}
    for name in names:
        if name not in predictions:
            raise LabelweaveError(
                f"predictions: none of task '{name}', expected those of {listing(names)}"
                f"{nearest(name, predictions)}"
            )
        task, values = annotations.task(name), np.asarray(predictions[name])
        shape = (len(annotations), task.width)
        if values.shape != shape:
            raise LabelweaveError(
                f"predictions of '{name}': found shape {values.shape}, expected {shape}"
            )
        # written so that a value that is no number fails it as well
        bad = ~((values >= 0) & (values <= 1 + 1e-5))
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise LabelweaveError(
                f"predictions of '{name}': row {row + 1}, '{task.names[column]}': found "
                f"{values[row, column]:g}, expected a probability from 0 to 1"
            )
        arrays[name] = values
    return arrays


def checked_sources(sources: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Return the data source of every row, (n,), numbered from 0; one for all where none given."""
    if sources is None:
        return np.zeros(n, np.int64)
    codes = np.asarray(sources)
    if codes.shape != (n,) or codes.dtype.kind not in "iu" or (n and codes.min() < 0):
        raise LabelweaveError(
            f"sources: found {codes.dtype} of shape {codes.shape}, "
            f"expected ({n},) integers of 0 or more"
        )
    return codes.astype(np.int64)


def checked_confusion(
    annotations: Annotations, confusion: Mapping[str, ArrayLike] | None
) -> dict[str, NDArray[np.float64]]:
    """Return the confusion counts as arrays, (K, K), (2,) or (L, 2, 2)."""
    arrays: dict[str, NDArray[np.float64]] = {}
    for name, counts in (confusion or {}).items():
        task, values = annotations.task(name), np.asarray(counts, dtype=np.float64)
        square = (task.width, task.width)
        shape = square if isinstance(task, Multiclass) else (task.width, 2, 2)
        if values.shape != shape and (values.shape != (2,) or not isinstance(task, Multiclass)):
            raise LabelweaveError(
                f"confusion of '{name}': found shape {values.shape}, expected {shape}"
            )
        if not ((values >= 0) & np.isfinite(values)).all():
            raise LabelweaveError(f"confusion of '{name}': expected counts of 0 or more")
        arrays[name] = values
    return arrays


def checked_knowledge(
    annotations: Annotations, knowledge: Sequence[Relation], pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Relation]:
    """Return the experts' relations by their pair; each must cover tasks as annotated."""
    found: dict[tuple[str, str], Relation] = {}
    for relation in knowledge:
        pair = (relation.source.name, relation.target.name)
        if pair not in pairs:
            options = [f"{source}->{target}" for source, target in pairs]
            raise LabelweaveError(
                f"knowledge {relation.name}: no such pair, expected {listing(options)}"
                f"{nearest(relation.name, options)}"
            )
        if pair in found:
            raise LabelweaveError(f"knowledge {relation.name}: found twice, expected once")
        for task in (relation.source, relation.target):
            if annotations.task(task.name) != task:
                raise LabelweaveError(
                    f"knowledge {relation.name}: task '{task.name}' has other classes than in the "
                    "annotations, expected the same"
                )
        found[pair] = relation
    return found


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
) -> list[EstimatedRelation]:
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
        confusion: per task (K, K) or (L, 2, 2) counts, true x predicted, on labelled rows held out
            of training: the heads start as confident as they are accurate. A multiclass task may
            have the numbers of right and wrong predictions, (2,), instead.
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
    found: dict[tuple[str, str], EstimatedRelation] = {}
    for source in dict.fromkeys(source for source, _ in pairs):
        group = [pair for pair in pairs if pair[0] == source]
        source_ = annotations.task(source)
        assert isinstance(source_, Multiclass)  # checked above
        columns = BlockColumns([annotations.task(target) for _, target in group])
        problem = Problem(
            source_, columns, annotations, given, data_source, "annotations" in use, chunk
        )
        tables, pseudo = _priors(columns, source_.width, group, experts, strengths)
        posterior = EM(problem, tables, pseudo, counts, seed).run()
        alone = posterior
        if pseudo.any():
            alone = EM(problem, tables, np.zeros_like(pseudo), counts, seed).run()
        report = _Report(source_, columns, posterior, alone, minimum)
        for number, pair in enumerate(group):
            found[pair] = report.estimate(number, experts.get(pair))
    return [found[pair] for pair in pairs]


class _Report:
    """Turns the posteriors of one source task into estimates."""

    def __init__(
        self,
        source: Multiclass,
        columns: BlockColumns,
        posterior: Posterior,
        alone: Posterior,
        minimum: float,
    ) -> None:
        self.source, self.columns, self.minimum = source, columns, minimum
        self.posterior, self.alone = posterior, alone
        self.full, self.data = posterior.counts(columns), alone.counts(columns)
        self.expert = posterior.expert.pseudo_counts
        self.bounds = [
            intervals(columns, *posterior.cautious(columns)),
            intervals(columns, *alone.cautious(columns)),
            intervals(columns, self.expert),
        ]

    def estimate(self, number: int, expert: Relation | None) -> EstimatedRelation:
        part = self.columns.part
        (low, high), (data_low, data_high), (prior_low, prior_high) = (
            (part(a, number), part(b, number)) for a, b in self.bounds
        )
        return EstimatedRelation(
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
            Message(
                "message.kind_share", {"kind": Message(f"message.{kind}"), "share": share / total}
            )
            for kind, share in zip(KINDS, shares.tolist(), strict=True)
            if share > 0
        ]
        origin = Message("message.unfounded")
        if kinds:
            origin = Message("message.estimated", {"kinds": tuple(kinds)})
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
    columns: BlockColumns,
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
