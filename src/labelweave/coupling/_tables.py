"""The tables that couple tasks: an expert's, the expert's revised by data, and estimated ones.

Whatever is estimated is estimated once from all labels, for predictions, and once without each
fold, to be judged on that fold. Only labels are hidden; predictions are out-of-fold anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from labelweave._messages import Text
from labelweave.annotations import Annotations
from labelweave.coupling._posterior import Link, make_link, too_wide
from labelweave.learners._folds import ALWAYS
from labelweave.relations import (
    AnyRelation,
    NoisyOr,
    Relation,
    estimate_noisy_or,
    estimate_relations,
)
from labelweave.relations._graph import acyclic
from labelweave.tasks import Multiclass, Multilabel

Floats = NDArray[np.float64]
Folds = NDArray[np.int64]
Pair = tuple[str, str]

PSEUDO_ROWS = 5.0  # behind each row of an expert's table
# labels a class of both tasks, for the data to revise an expert's table: a learner of fewer labels
# predicts what the inputs have in common with them, and a table made of that is about the inputs
REVISED_FROM = 5
LEAST_ROWS = 10  # with labels of both tasks, for a noisy-OR to be fitted
GIVEN_FIRST = 1e6  # an expert's table comes before any estimated one


@dataclass(frozen=True, eq=False)
class TableVersion:
    """One table of a relation: from all labels, and without each fold.

    Attributes:
        whole: estimated from all labels.
        folds: estimated without the labels of fold 0, 1, ...; an expert's table is the same in all.
    """

    whole: Link
    folds: tuple[Link, ...]


@dataclass(frozen=True, eq=False)
class RelationVersions:
    """All versions of one relation.

    Attributes:
        name: ``source->target``.
        given: whether an expert gave it: the first version is the expert's table as it is, then
            come its revision by the data and what the data say without it, where there are any.
        versions: the tables.
    """

    name: str
    given: bool
    versions: tuple[TableVersion, ...]

    @property
    def any(self) -> TableVersion:
        """The version to look at for shapes and tasks."""
        return self.versions[0]


def hidden(annotations: Annotations, folds: Mapping[str, Folds], fold: int) -> Annotations:
    """Return the labels without those that lie in a fold, task by task."""
    labels = {}
    for task in annotations.tasks:
        codes = annotations.labels[task.name].copy()
        codes[folds[task.name] == fold] = -1
        labels[task.name] = codes
    return Annotations(annotations.tasks, labels, len(annotations))


def table_folds(
    annotations: Annotations, folds: Mapping[str, Folds], count: int
) -> dict[str, Folds]:
    """Return the folds in which labels are hidden from the tables.

    As the learners' folds, but rows that no learner can do without are assigned in turn: a table
    judged on them must not know them.
    """
    result = {}
    for task in annotations.tasks:
        fold = folds[task.name].copy()
        always = np.flatnonzero(fold == ALWAYS)
        fold[always] = np.arange(len(always)) % count
        result[task.name] = fold
    return result


def as_relation(link: Link) -> Relation:
    """Return a link between tables of classes as a relation of its mean strength."""
    assert isinstance(link.source, Multiclass)
    table = link.table
    if isinstance(link.target, Multiclass):
        table = table / table.sum(axis=1, keepdims=True)
    strength = (link.to_source + link.to_target) / 2
    return Relation(link.source, link.target, table, link.known, strength)


def build_sources(
    annotations: Annotations,
    predictions: Mapping[str, Floats],
    rates: Mapping[str, Floats],
    given: Sequence[AnyRelation],
    pairs: Sequence[Pair],
    folds: Mapping[str, Folds],
    count: int,
    seed: int,
) -> list[RelationVersions]:
    """Return the versions of every relation.

    Args:
        annotations: labels of n rows.
        predictions: per task probabilities of the same rows, out-of-fold where they are labelled.
        rates: per task the shares that the predictions are for.
        given: the expert's tables and noisy-ORs.
        pairs: (source, target) names to estimate a table for, in addition to the given ones.
        folds: per task what `table_folds` returns.
        count: number of folds.
        seed: decides the estimator's sample.
    """
    by_name = {relation.name: relation for relation in given}
    wanted = list(dict.fromkeys([*((r.source.name, r.target.name) for r in given), *pairs]))
    stands = {p for p in wanted if "->".join(p) in by_name and not _can_revise(annotations, p)}
    # tables with one source are estimated together
    estimated = [p for p in wanted if any(q[0] == p[0] and q not in stands for q in wanted)]
    every = [_estimates(annotations, predictions, estimated, by_name, seed)]
    every += [
        _estimates(hidden(annotations, folds, f), predictions, estimated, by_name, seed)
        for f in range(count)
    ]
    found: list[RelationVersions] = []
    for pair in wanted:
        name = "->".join(pair)
        versions = []
        if name in by_name:
            link = make_link(by_name[name], rates)
            versions.append(TableVersion(link, (link,) * count))
            if pair in stands:
                found.append(RelationVersions(name, True, tuple(versions)))
                continue
        for number in range(len(every[0].get(name, ()))):
            whole = make_link(every[0][name][number], rates)
            # a fold that leaves nothing to estimate from leaves a table that says nothing
            silent = replace(whole, known=np.zeros_like(whole.known))
            links = [make_link(e[name][number], rates) if name in e else silent for e in every[1:]]
            versions.append(TableVersion(whole, tuple(links)))
        if versions:
            found.append(RelationVersions(name, name in by_name, tuple(versions)))
    return found


def _can_revise(annotations: Annotations, pair: Pair) -> bool:
    return all(
        annotations.labelled(name).sum() >= REVISED_FROM * max(2, annotations.task(name).width)
        if isinstance(annotations.task(name), Multiclass)
        else annotations.labelled(name).sum() >= 2 * REVISED_FROM
        for name in pair
    )


def choose_forest(
    sources: Sequence[RelationVersions], trust: Mapping[str, float], rates: Mapping[str, Floats]
) -> tuple[list[RelationVersions], dict[str, Text]]:
    """Return the relations of the forest of the greatest information, and why others are left out.

    Args:
        sources: all relations.
        trust: by name, from 0 to 1, how far each is to be believed (its mean strength).
        rates: per task the shares of its classes or labels.
    """
    weights = {}
    for source in sources:
        version = source.any.whole
        bonus = GIVEN_FIRST if source.given else 0.0
        weights[source.name] = bonus + _information(version, rates) * trust[source.name]
    relations = [_Named(s.any.whole.source, s.any.whole.target) for s in sources]
    # of a relation the forest looks at the names alone
    kept, left_out = acyclic(cast("list[AnyRelation]", relations), weights)
    reasons = dict(left_out)
    names = [relation.name for relation in kept]
    links = {source.name: source.any.whole for source in sources}
    while wide := too_wide([links[name] for name in names]):
        # drop the weakest relation of a task that an exact posterior cannot hold
        touching = [name for name in names if wide[0] in links[name].ends()]
        weakest = min(touching, key=lambda name: weights[name])
        names.remove(weakest)
        reasons[weakest] = f"task '{wide[0]}' has too many labels for several relations"
    return [source for source in sources if source.name in names], reasons


@dataclass(frozen=True)
class _Named:
    """What the forest looks at of a relation."""

    source: Multiclass | Multilabel
    target: Multiclass | Multilabel

    @property
    def name(self) -> str:
        return f"{self.source.name}->{self.target.name}"


def _estimates(
    annotations: Annotations,
    predictions: Mapping[str, Floats],
    pairs: Sequence[Pair],
    given: Mapping[str, AnyRelation],
    seed: int,
) -> dict[str, tuple[AnyRelation, ...]]:
    """Return by name the estimates of every relation: with the expert as prior, and without."""
    tables = [p for p in pairs if isinstance(annotations.task(p[0]), Multiclass)]
    # a table needs labels of both tasks
    tables = [p for p in tables if all(annotations.labelled(name).any() for name in p)]
    names = {"->".join(pair) for pair in tables}
    experts = [r for name, r in given.items() if name in names and isinstance(r, Relation)]
    found: dict[str, tuple[AnyRelation, ...]] = {}
    if tables:
        estimates = estimate_relations(
            annotations, predictions, tables, knowledge=experts, strength=PSEUDO_ROWS, seed=seed
        )
        for each in estimates:
            both = each.relation, each.data
            found[each.relation.name] = both if each.prior is not None else both[:1]
    for pair in (p for p in pairs if p not in tables):
        name = "->".join(pair)
        tasks = [annotations.task(end) for end in pair]
        rows = annotations.labelled(pair[0]) & annotations.labelled(pair[1])
        if all(isinstance(task, Multilabel) for task in tasks) and rows.sum() >= LEAST_ROWS:
            prior = given.get(name)
            alone = estimate_noisy_or(annotations, *pair)
            revised = _noisy_or(annotations, pair, prior, rows)
            found[name] = (alone,) if revised is None else (revised, alone)
    return found


def _noisy_or(
    annotations: Annotations, pair: Pair, prior: AnyRelation | None, both: NDArray[np.bool_]
) -> NoisyOr | None:
    if not isinstance(prior, NoisyOr):
        return None
    causes, labels = annotations.labels[pair[0]][both], annotations.labels[pair[1]][both]
    return NoisyOr.estimate(
        prior.source, prior.target, causes, labels, prior=prior, strength=PSEUDO_ROWS
    )


def _information(link: Link, rates: Mapping[str, Floats]) -> float:
    """Return the mutual information of both tasks' labels under the table, in nats."""
    on, off = link.log_ratio(link.target.name)
    states = len(link.table)
    rate = rates[link.source.name]
    prior = rate if len(rate) == states else np.full(states, 1 / states)
    gain = link.table * on
    if off is not None:
        gain = gain + (1 - link.table) * off
    return float(max(0.0, prior @ gain.sum(axis=1)))
