"""Joining without pooling rows: what one site hands to another about its tasks.

Both sites have a table of rows that carry no labels. One hands over what its model predicts for
them and its tables between tasks; the other fits its own model with both.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labelweave._arguments import a_list, a_number
from labelweave._messages import Message
from labelweave._targets import Table, Targets, annotations_of
from labelweave.annotations import Annotations
from labelweave.data import Source
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations import AnyRelation, Relation
from labelweave.relations._relatedness import relation_table
from labelweave.results import Check, MeanInterval
from labelweave.tables._frames import input_frame
from labelweave.tasks import Binary, Multiclass, Task, key
from labelweave.trust._predictions import AnyModel, predictor_of, probabilities_of
from labelweave.trust._protected_counts import (
    LEAST,
    Counts,
    Protection,
    cells_of,
    class_counts,
    joint_counts,
)

DECIMALS = 3  # of probabilities that leave a site, unless fewer are asked for
MOST_DRAWS = 100
KEY = 24  # digits of a hash
SMOOTHING = 1.0  # pseudo-rows of a counted table's row, as in `count_relation`
Answers = Literal["probabilities", "labels"]
Probabilities = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Exchange:
    """What a site hands over: its tasks, protected counts, tables, predictions of shared rows.

    No input, label or identifier of a row of the site is in it.

    Args:
        name: the site's name.
        tasks: the site's tasks, classes known.
        probabilities: per task what its model gives for the n shared rows, (n, K) or (n, L).
        relations: tables that its experts know.
        counts: per task how many of its labelled rows carry each class, (K,), or each label off and
            on, (L, 2); -1 = hidden.
        tables: by (source, target) the counts of its rows with labels of both, (K, C) or
            (K, L, 2); -1 = hidden.
        keys: hashes of the shared rows' identifiers; None = rows go by their number.
        protection: how the counts were protected, in words.
        noise: scale of the noise on every count; 0 = none.
    """

    name: str
    tasks: tuple[Task, ...]
    probabilities: Probabilities
    relations: tuple[AnyRelation, ...] = ()
    counts: Mapping[str, Counts] = field(default_factory=dict)
    tables: Mapping[tuple[str, str], Counts] = field(default_factory=dict)
    keys: tuple[str, ...] | None = None
    protection: str = ""
    noise: float = 0.0

    def __len__(self) -> int:
        return len(next(iter(self.probabilities.values())))

    @property
    def known_relations(self) -> tuple[AnyRelation, ...]:
        """The experts' tables, and for other pairs of tasks the counted ones."""
        given = {frozenset((r.source.name, r.target.name)) for r in self.relations}
        by_name = {task.name: task for task in self.tasks}
        found = list(self.relations)
        for (source, target), counts in self.tables.items():
            if frozenset((source, target)) not in given:
                relation = _counted(by_name[source], by_name[target], counts, self.noise)
                found += [] if relation is None else [relation]
        return tuple(found)

    def checks(self) -> tuple[Check, ...]:
        """Return what a study's report shows of it."""
        cells = [*self.counts.values(), *self.tables.values()]
        found = [
            Check(Message("checks.shared", {"task": task.name}), MeanInterval(len(self)))
            for task in self.tasks
        ]
        if cells:
            shown, hidden = (
                sum(int(part.sum()) for part in parts)
                for parts in ([c >= 0 for c in cells], [c < 0 for c in cells])
            )
            name = Message("checks.handed_counts")
            noised = Message("checks.noised", {"scale": f"{self.noise:.1f}"})
            how = noised if self.noise else Message("checks.rounded")
            found.append(Check(name, MeanInterval(shown), hidden, how))
        tables = MeanInterval(len(self.known_relations))
        return (*found, Check(Message("checks.handed_tables"), tables))

    def source(
        self,
        shared: Table,
        ids: ArrayLike | None = None,
        *,
        tasks: Sequence[Task] | None = None,
        least: float = 0.0,
        draws: int = 0,
        seed: int = 0,
    ) -> Source:
        """Return the shared rows as a source whose labels are the likeliest of each prediction.

        With `draws` every row stands there as often, each time with labels drawn from the
        predictions: soft labels, for any learner. Copies of a row are one group.

        Args:
            shared: the same rows at this site, with its own inputs; in the same order, or with
                `ids`.
            ids: (n,) their identifiers, where the exchange was made with some.
            tasks: all tasks of this site's fit, those of the exchange among them: sources of one
                fit have the same tasks. None = those of the exchange.
            least: leave out a label below this probability.
            draws: copies of every row with drawn labels; 0 = each row once, the likeliest labels.
            seed: of the draws.

        Raises:
            LabelweaveError: other rows than those of the exchange, tasks without one of its, or
                more draws than 100.
        """
        frame = input_frame(shared)
        places = self._places(len(frame), ids)
        a_number("least", least, low=0, high=1)
        a_number("draws", draws, low=0, high=MOST_DRAWS)
        copies, rng = max(1, draws), np.random.default_rng(seed)
        rows = np.repeat(np.arange(len(frame)), copies)
        places = places[rows]
        labels = {}
        for task in self.tasks:
            p = self.probabilities[task.name][places]
            chance = rng.random((len(p), 1 if isinstance(task, Multiclass) else task.width))
            if isinstance(task, Multiclass):
                total = p.cumsum(axis=1)
                drawn = (total <= chance * total[:, -1:]).sum(axis=1)
                codes = np.where(p.max(axis=1) >= least, drawn if draws else p.argmax(axis=1), -1)
            else:
                on = chance < p if draws else p >= 0.5
                codes = np.where(np.maximum(p, 1 - p) >= least, on, -1).astype(np.int8)
            known = (places >= 0).reshape(-1, *[1] * (codes.ndim - 1))
            labels[task.name] = np.where(known, codes, codes.dtype.type(-1))
        given = Annotations(tuple(tasks or self.tasks), labels)
        if not draws:
            return Source(self.name, frame, given)
        repeated = frame.iloc[rows].reset_index(drop=True)
        return Source(self.name, repeated, given, groups=[f"{self.name} {row}" for row in rows])

    def _places(self, rows: int, ids: ArrayLike | None) -> NDArray[np.int64]:
        """Return where each of the rows stands in the exchange, (rows,); -1 = nowhere."""
        if self.keys is None:
            if ids is not None:
                raise LabelweaveError("ids: found some, expected none: the exchange has none")
            if rows != len(self):
                raise LabelweaveError(
                    f"shared rows: found {rows:,}, expected the {len(self):,} of the exchange"
                )
            return np.arange(rows)
        if ids is None:
            raise LabelweaveError("ids: found none, expected the identifiers of the shared rows")
        place = {key: i for i, key in enumerate(self.keys)}
        found = np.array([place.get(key, -1) for key in _hashed(ids, rows)], np.int64)
        if not (found >= 0).any():
            raise LabelweaveError("ids: found none of the identifiers of the exchange")
        return found


def make_exchange(
    model: AnyModel,
    shared: Table,
    name: str,
    *,
    labels: Targets | None = None,
    relations: Sequence[AnyRelation] = (),
    ids: ArrayLike | None = None,
    tasks: Sequence[str] | None = None,
    least: int = LEAST,
    epsilon: float | None = None,
    answers: Answers = "probabilities",
    decimals: int = DECIMALS,
    seed: int | None = None,
) -> Exchange:
    """Return what a site may hand to another: see `Exchange`.

    The counts of one file are protected together. Predictions are not: they reveal what the model
    reveals (`membership_advantage`). Class names and experts' tables leave as they are.

    Args:
        model: the site's fitted classifier or saved model.
        shared: the n shared rows, with this site's inputs.
        name: the site's name; the other site's source is called so.
        labels: labels of the site's own rows, to count; None = no counts.
        relations: tables that its experts know.
        ids: (n,) identifiers of the shared rows that both sites know, each once; only hashes of
            them leave. None = rows go by their number.
        tasks: names of the tasks to hand over; None = all.
        least: smaller counts are hidden, the others rounded down to multiples of it.
        epsilon: differential privacy of all counts together, for a row, instead; by discrete
            Laplace noise.
        answers: hand over ``probabilities``, rounded, or only ``labels``, which reveal less.
        decimals: of the probabilities, 1 to 3: fewer reveal less.
        seed: of the noise; None = from the operating system, as privacy needs it.

    Raises:
        LabelweaveError: inputs, labels, tasks or relations that do not fit the model.
    """
    found = predictor_of(model)
    chosen = _chosen(found.tasks, tasks)
    names = {task.name for task in chosen}
    frame = input_frame(shared)
    given = probabilities_of(model, frame)
    protection = Protection(least, epsilon)
    counts: dict[str, Counts] = {}
    tables: dict[tuple[str, str], Counts] = {}
    noise = 0.0
    if labels is not None:
        own = annotations_of(labels, found.tasks, None)
        counts, tables, noise = _protected(own, chosen, protection, np.random.default_rng(seed))
    for relation in relations:
        for end in (relation.source.name, relation.target.name):
            if end not in names:
                raise LabelweaveError(
                    f"relation {relation.name}: no task '{end}', expected {listing(names)}"
                    f"{nearest(end, names)}"
                )
    keys = None if ids is None else tuple(_hashed(ids, len(frame)))
    if keys is not None and len(set(keys)) < len(keys):
        raise LabelweaveError("ids: found an identifier of several rows, expected each once")
    return Exchange(
        name,
        chosen,
        {task.name: _answers(task, given[task.name], answers, decimals) for task in chosen},
        tuple(relations),
        counts,
        tables,
        keys,
        str(protection) if labels is not None else "",
        noise,
    )


def labels_as_columns(source: Source) -> pd.DataFrame:
    """Return the labels of a source as the columns of a table; None = missing.

    One column a task, of a multilabel task one a label with 0 and 1.
    """
    columns: dict[str, Any] = {}
    for task in source.annotations.tasks:
        codes = source.annotations.labels[task.name]
        if isinstance(task, Multiclass):
            columns[task.name] = task.decode(codes)
        elif isinstance(task, Binary):
            columns[task.name] = task.decode(codes[:, 0])
        else:
            found = codes.astype(object)
            found[codes < 0] = None
            columns |= dict(zip(task.names, found.T, strict=True))
    return pd.DataFrame(columns, dtype=object)


def tables_of_relations(relations: Sequence[AnyRelation]) -> dict[str, pd.DataFrame]:
    """Return relations by their source as the tables that `read_relations` reads."""
    found: dict[str, pd.DataFrame] = {}
    for relation in relations:
        shown = relation_table(relation)
        columns = pd.Index([f"{shown.target}={name}" for name in shown.columns])
        rows = pd.Index(list(shown.rows), name=shown.source)
        table = pd.DataFrame(shown.table, rows, columns).where(np.array(shown.known))
        known = found.get(shown.source)
        found[shown.source] = table if known is None else known.join(table)
    return found


def _chosen(known: Sequence[Task], wanted: Sequence[str] | None) -> tuple[Task, ...]:
    if wanted is None:
        return tuple(known)
    by_name = {task.name: task for task in known}
    for name in a_list("tasks", wanted, "a list of names"):
        if name not in by_name:
            raise LabelweaveError(
                f"tasks: no task '{name}', expected {listing(by_name)}{nearest(name, by_name)}"
            )
    if not len(wanted):
        raise LabelweaveError("tasks: found none, expected at least one")
    return tuple(by_name[name] for name in dict.fromkeys(wanted))


def _protected(
    labels: Annotations, tasks: Sequence[Task], protection: Protection, rng: np.random.Generator
) -> tuple[dict[str, Counts], dict[tuple[str, str], Counts], float]:
    """Return the protected counts of tasks and of pairs, and the scale of their noise."""
    pairs = _pairs(tasks)
    # a pair that no row has is counted, too: which are must not depend on a single row
    counts = [class_counts(labels, task) for task in tasks]
    counts += [joint_counts(labels, source, target) for source, target in pairs]
    cells = sum(map(cells_of, tasks)) + sum(cells_of(target) for _, target in pairs)
    kept = protection.apply(counts, cells, rng)
    return (
        {task.name: each for task, each in zip(tasks, kept, strict=False)},
        {
            (source.name, target.name): each
            for (source, target), each in zip(pairs, kept[len(tasks) :], strict=True)
        },
        protection.noise(cells),
    )


def _pairs(tasks: Sequence[Task]) -> list[tuple[Multiclass, Task]]:
    """Return each pair of tasks once, from the multiclass task with more classes."""
    found: list[tuple[Multiclass, Task]] = []
    for i, first in enumerate(tasks):
        for second in tasks[i + 1 :]:
            ends = [t for t in (first, second) if isinstance(t, Multiclass)]
            if ends:
                source = max(ends, key=lambda task: task.width)
                found.append((source, second if source is first else first))
    return found


def _counted(source: Task, target: Task, counts: Counts, noise: float) -> Relation | None:
    """Return P(target | source) of protected counts; None where no row of it is known."""
    if not isinstance(source, Multiclass):
        return None
    # noise alone reaches 3 scales in one cell of forty, and 8 in one of six thousand
    shown = np.where(counts < 3 * noise, 0, np.maximum(counts, 0)).astype(np.float64)
    if isinstance(target, Multiclass):
        hits, support = shown, np.repeat(shown.sum(axis=1, keepdims=True), target.width, axis=1)
        known = np.repeat(shown.max(axis=1, keepdims=True) > 8 * noise, target.width, axis=1)
    else:
        hits, support, known = shown[..., 1], shown.sum(axis=2), shown.max(axis=2) > 8 * noise
    if not known.any():
        return None
    base = hits.sum(axis=0) / np.maximum(support.sum(axis=0), 1)
    table = (hits + SMOOTHING * base) / (support + SMOOTHING)
    rows = int(shown.sum() if isinstance(target, Multiclass) else support.max(axis=1).sum())
    origin = Message("message.counted", {"rows": rows})
    return Relation(source, target, np.where(known, table, 0.0), known, origin=origin)


def _answers(task: Task, p: NDArray[Any], kind: Answers, decimals: int) -> NDArray[np.float64]:
    if kind == "labels":
        chosen = np.eye(task.width)[p.argmax(axis=1)] if isinstance(task, Multiclass) else p >= 0.5
        return np.asarray(chosen, np.float64)
    if kind != "probabilities":
        raise LabelweaveError(
            f"answers: found '{kind}', expected {listing(get_args(Answers))}"
            f"{nearest(kind, get_args(Answers))}"
        )
    a_number("decimals", decimals, low=1, high=DECIMALS)
    rounded = np.round(p.astype(np.float64), decimals)
    if isinstance(task, Multiclass) and decimals < DECIMALS:
        total = rounded.sum(axis=1, keepdims=True)  # 0 where all are small
        shares = rounded / np.where(total > 0, total, 1)
        rounded = np.round(np.where(total > 0, shares, np.eye(task.width)[p.argmax(axis=1)]), 3)
    return np.asarray(rounded, np.float64)


def _hashed(ids: ArrayLike, rows: int) -> list[str]:
    """Return a hash of each identifier, by its text."""
    given = np.asarray(ids, object)
    if given.shape != (rows,):
        raise LabelweaveError(f"ids: found shape {given.shape}, expected ({rows},)")
    texts = [key(value) for value in given]
    if any(pd.isna(value) or not text for value, text in zip(given, texts, strict=True)):
        raise LabelweaveError("ids: found a missing one, expected an identifier for each row")
    return [hashlib.sha256(text.encode()).hexdigest()[:KEY] for text in texts]
