"""Relations written down by an expert: a table, one row a class of the source task."""

import json
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._arguments import a_path
from labelweave._files import without_mark
from labelweave._messages import Message, Text
from labelweave.errors import LabelweaveError, LabelweaveWarning, listing, nearest
from labelweave.relations._noisy_or import LEAK, AnyRelation, NoisyOr
from labelweave.relations._relation import Relation
from labelweave.tables import ReadOptions, read_cells
from labelweave.tasks import Multiclass, Multilabel, Task, key

DECIMAL_COMMA = re.compile(r"^([0-9]*),([0-9]+)$")  # no probability has thousands
T = TypeVar("T", Multiclass, Multilabel)


def read_frame(
    table: str | Path | pd.DataFrame, read: ReadOptions | None = None
) -> tuple[str, pd.DataFrame]:
    """Return a table's name for errors, and its cells as text without blanks around it.

    Raises:
        LabelweaveError: see `labelweave.tables.read_cells`; or a column named twice.
    """
    if isinstance(table, pd.DataFrame):
        place, frame = "table", table.astype(object).where(table.notna(), "").map(key)
    else:
        path = a_path("table", table, "the path of a table, or a data frame")
        place = path.name
        cells = read_cells(path, replace(read or ReadOptions(), missing=("",), handwritten=True))
        for note in cells.notes:
            warnings.warn(str(note), LabelweaveWarning, stacklevel=3)
        frame = pd.DataFrame({name: cells.texts(name) for name in cells.columns})
    if frame.shape[1] < 2 or frame.empty:
        raise LabelweaveError(
            f"{place}: found {frame.shape[0]} rows and {frame.shape[1]} columns, expected a column "
            "of classes and at least one column about them"
        )
    frame = frame.fillna("").apply(lambda column: column.str.strip().map(without_mark))
    frame.columns = pd.Index([without_mark(key(column).strip()) for column in frame.columns])
    for column, repeated in zip(frame.columns, frame.columns.duplicated(), strict=True):
        if repeated:
            raise LabelweaveError(f"{place}: column '{column}' appears twice, expected once")
    return place, frame


def source_task(place: str, name: str, tasks: Sequence[Task], kind: type[T]) -> T:
    """Return the task whose classes or labels are a table's rows.

    Raises:
        LabelweaveError: no such task, or one of another kind.
    """
    by_name = {task.name: task for task in tasks}
    if name not in by_name:
        raise LabelweaveError(f"{place}: no task '{name}'{nearest(name, by_name)}")
    source = by_name[name]
    if not isinstance(source, kind):
        expected = "multiclass" if kind is Multiclass else "multilabel"
        raise LabelweaveError(
            f"{place}: the source task '{name}' is {source.kind}, expected {expected}"
        )
    return source


def check_targets(place: str, targets: Sequence[str] | None, said: Collection[str]) -> None:
    """Raise `LabelweaveError` for a wanted target that a table says nothing about."""
    for name in targets or ():
        if name not in said:
            raise LabelweaveError(f"{place}: says nothing about task '{name}'{nearest(name, said)}")


def check_new(place: str, column: str, earlier: str | None) -> None:
    """Raise `LabelweaveError` where an earlier column means the same as this one."""
    if earlier is not None:
        raise LabelweaveError(
            f"{place}: columns '{earlier}' and '{column}' mean the same, expected one of them"
        )


class Meanings:
    """What the columns of a table may be about: the tasks but the source, their classes and labels.

    Args:
        place: the table, for errors.
        tasks: all tasks.
        source: the task of the table's rows.
    """

    def __init__(self, place: str, tasks: Sequence[Task], source: Task) -> None:
        self.place, self.source = place, source
        self.targets = {task.name: task for task in tasks if task.name != source.name}
        self.full: dict[str, tuple[Task, int]] = {
            f"{task.name}={name}": (task, index)
            for task in self.targets.values()
            for index, name in enumerate(task.names)
        }
        self.fitting: dict[str, list[str]] = {}
        for full, (task, index) in self.full.items():
            self.fitting.setdefault(task.names[index], []).append(full)

    def __call__(self, column: str) -> tuple[Task, int | None]:
        """Return the task that a column is about, and its class or label (None = the whole task).

        Raises:
            LabelweaveError: a column about no task, about several, or about the source itself.
        """
        place, targets = self.place, self.targets
        if column == self.source.name:
            raise LabelweaveError(f"{place}: column '{column}' relates the task to itself")
        if column in targets:
            task = targets[column]
            if isinstance(task, Multiclass) or task.width == 1:
                return task, None
        if column in self.full:
            return self.full[column]
        fitting = self.fitting.get(column, [])
        if len(fitting) > 1:
            raise LabelweaveError(
                f"{place}: column '{column}' is ambiguous, write one of {listing(fitting)}"
            )
        if fitting:
            return self.full[fitting[0]]
        if column in targets:
            raise LabelweaveError(
                f"{place}: column '{column}' is a task of several labels, "
                f"expected one of them: {listing(targets[column].names)}"
            )
        options = [*targets, *(task.names[index] for task, index in self.full.values())]
        raise LabelweaveError(
            f"{place}: column '{column}' is no task, class or label{nearest(column, options)}"
        )


def probability(where: str, cell: str) -> float:
    """Return a cell as a number.

    Raises:
        LabelweaveError: no probability from 0 to 1; names the place.
    """
    try:
        weight = float(DECIMAL_COMMA.sub(r"\1.\2", cell))
    except ValueError:
        weight = np.nan
    if not 0 <= weight <= 1:
        raise LabelweaveError(f"{where}: found '{cell}', expected a probability from 0 to 1")
    return weight


def read_knowledge(
    table: str | Path | pd.DataFrame,
    source: str,
    tasks: Sequence[Task],
    *,
    targets: Sequence[str] | None = None,
    strength: float = 1.0,
    read: ReadOptions | None = None,
) -> list[Relation]:
    """Read an expert's table and return one relation for every task that it covers.

    The first column names a class of `source`; classes may be left out. Every further column is

    - the name of a multiclass or binary task, its cells one of that task's classes (or yes/no): the
      class has exactly that value. For a binary task a cell may also be a weight in [0, 1];
    - or a class or label of one task, its cells P(class or label | row's class) in [0, 1]. When two
      tasks know the name, write ``task=label``.

    An empty cell is unknown. A row of classes of a multiclass target must sum to one.

    >>> from labelweave import Binary, Multiclass
    >>> table = pd.DataFrame({"kind": ["ball", "box"], "shape": ["round", None], "rolls": [1, 0.1]})
    >>> kind, shape = Multiclass("kind", ("ball", "box")), Multiclass("shape", ("round", "square"))
    >>> found = read_knowledge(table, "kind", [kind, shape, Binary("rolls")])
    >>> {relation.name: relation.mask.all(axis=1).tolist() for relation in found}
    {'kind->shape': [True, False], 'kind->rolls': [True, True]}

    Args:
        table: a file that `labelweave.tables.read_cells` reads, such as CSV or a workbook, with any
            separator, decimal mark and encoding; or a data frame. Short lines end in unknown cells.
        source: the name of the multiclass task whose classes are the rows.
        tasks: all tasks, classes known.
        targets: only these target tasks; None = all that the table covers.
        strength: factor on the coupling terms of these relations.
        read: how the file is read; None = found out from it.

    Raises:
        LabelweaveError: unknown class, task or label (nearest name given), a class named twice, a
            cell that is no probability or class; names file, row and column.
    """
    place, frame = read_frame(table, read)
    speaker = source_task(place, source, tasks, Multiclass)
    rows = _rows(place, frame, speaker)
    entries: dict[str, NDArray[np.float64]] = {}
    said: dict[tuple[str, int | None], str] = {}
    meaning = Meanings(place, tasks, speaker)
    for column in frame.columns[1:]:
        task, index = meaning(column)
        check_new(place, column, said.get((task.name, index)))
        said[task.name, index] = column
        block = entries.setdefault(task.name, np.full((speaker.width, task.width), np.nan))
        for position, cell in zip(rows, frame[column], strict=True):
            if cell == "":
                continue
            where = f"{place}: row '{speaker.names[position]}', column '{column}'"
            if index is None:
                block[position] = _whole_row(where, task, cell)
            else:
                block[position, index] = probability(where, cell)
    check_targets(place, targets, entries)
    by_name = {task.name: task for task in tasks}
    wanted = [name for name in entries if targets is None or name in targets]
    origin = Message("message.knowledge_table", {"place": place})
    return [
        _relation(place, speaker, by_name[name], entries[name], strength, origin) for name in wanted
    ]


def _rows(place: str, frame: pd.DataFrame, source: Multiclass) -> list[int]:
    index = {name: i for i, name in enumerate(source.names)}
    rows: dict[int, None] = {}  # in order
    for name in frame.iloc[:, 0]:
        if name not in index:
            raise LabelweaveError(
                f"{place}: row '{name}' is no class of task '{source.name}', "
                f"expected {listing(source.names)}{nearest(name, index)}"
            )
        if index[name] in rows:
            raise LabelweaveError(f"{place}: class '{name}' has two rows, expected one")
        rows[index[name]] = None
    return list(rows)


def _whole_row(where: str, task: Task, cell: str) -> NDArray[np.float64]:
    if isinstance(task, Multilabel):
        return np.array([_probability_on(where, task, cell)])
    if cell not in task.names:
        raise LabelweaveError(
            f"{where}: '{cell}' is no class of task '{task.name}', "
            f"expected {listing(task.names)}{nearest(cell, task.names)}"
        )
    row = np.zeros(task.width)
    row[task.names.index(cell)] = 1.0
    return row


def _probability_on(where: str, task: Multilabel, cell: str) -> float:
    """Return a cell as P(on): a probability, or one of the words of the task for on and off."""
    try:
        return probability(where, cell)
    except LabelweaveError:
        on, off = task.words()
        word = key(cell).lower()
        if word in on or word in off:
            return float(word in on)
        words = [*sorted(on), *sorted(off)]
        raise LabelweaveError(
            f"{where}: found '{cell}', expected a probability from 0 to 1 or one of "
            f"{listing(words)}{nearest(cell, words)}"
        ) from None


def _relation(
    place: str,
    source: Multiclass,
    target: Task,
    entries: NDArray[np.float64],
    strength: float,
    origin: Text,
) -> Relation:
    known = ~np.isnan(entries)
    if isinstance(target, Multiclass):
        # classes that a row does not mention have probability zero once the row is known
        known = np.broadcast_to(known.any(axis=1, keepdims=True), known.shape)
    try:
        return Relation(source, target, np.nan_to_num(entries), known, strength, origin)
    except LabelweaveError as error:
        raise LabelweaveError(f"{place}: {error}") from None


def read_relations(
    table: str | Path | pd.DataFrame,
    source: str,
    tasks: Sequence[Task],
    *,
    targets: Sequence[str] | None = None,
    strength: float = 1.0,
    read: ReadOptions | None = None,
) -> list[AnyRelation]:
    """Read an expert's table by what its source task is: classes or labels.

    Args:
        table: a file or a data frame, as for `read_knowledge`. With a multilabel source a row
            is a label that may be on together with others, its cells weights of a `NoisyOr`.
        source: the name of the task whose classes or labels are the rows.
        tasks: all tasks, classes known.
        targets: only these target tasks; None = all that the table covers.
        strength: factor on the coupling terms of these relations.
        read: how the file is read; None = found out from it.

    Raises:
        LabelweaveError: as `read_knowledge`; names file, row and column.
    """
    multilabel = any(task.name == source and isinstance(task, Multilabel) for task in tasks)
    reader = read_noisy_or if multilabel else read_knowledge
    return [*reader(table, source, tasks, targets=targets, strength=strength, read=read)]


def read_noisy_or(
    table: str | Path | pd.DataFrame,
    source: str,
    tasks: Sequence[Task],
    *,
    targets: Sequence[str] | None = None,
    strength: float = 1.0,
    read: ReadOptions | None = None,
) -> list[NoisyOr]:
    """Read an expert's table of causes and return one noisy-OR for every task it covers.

    The first column names a label of `source`. Every further column is a binary task or a label of
    a multilabel one (``task=label`` where two tasks know it); its cells are the probability that
    the row's label alone switches it on, 0 = it is no cause. What is left out or empty is unknown:
    where that label is on, the relation says nothing. A row ``leak`` is the probability that
    anything else does; left out or empty = 0.

    Args:
        table: a file that `labelweave.tables.read_cells` reads, such as CSV or a workbook, with any
            separator, decimal mark and encoding; or a data frame. Short lines end in unknown cells.
        source: the name of the multilabel task whose labels are the rows.
        tasks: all tasks.
        targets: only these target tasks; None = all that the table covers.
        strength: factor on the coupling terms of these relations.
        read: how the file is read; None = found out from it.

    Raises:
        LabelweaveError: unknown or repeated label, a column that is no label, a cell that is no
            probability; names file, row and column.
    """
    place, frame = read_frame(table, read)
    speaker = source_task(place, source, tasks, Multilabel)
    rows, names = _noisy_or_rows(place, frame, speaker), (*speaker.names, LEAK)
    entries: dict[str, tuple[Multilabel, NDArray[np.float64]]] = {}
    said: dict[tuple[str, int], str] = {}
    meaning = Meanings(place, tasks, speaker)
    for column in frame.columns[1:]:
        task, index = meaning(column)
        if not isinstance(task, Multilabel):
            raise LabelweaveError(
                f"{place}: column '{column}' is about the classes of '{task.name}', expected a "
                f"label: those of '{source}' may be on together and make a noisy-OR"
            )
        label = index or 0
        check_new(place, column, said.get((task.name, label)))
        said[task.name, label] = column
        # one row more than labels: the leak
        empty = np.full((speaker.width + 1, task.width), np.nan)
        block = entries.setdefault(task.name, (task, empty))[1]
        block[-1, label] = 0.0
        for row, cell in zip(rows, frame[column], strict=True):
            if cell:
                where = f"{place}: row '{names[row]}', column '{column}'"
                block[row, label] = probability(where, cell)
    check_targets(place, targets, entries)
    relations = []
    for task, block in entries.values():
        if targets is None or task.name in targets:
            known, (*weights, leak) = ~np.isnan(block[:-1]), np.nan_to_num(block)
            origin = Message("message.knowledge_table", {"place": place})
            found = NoisyOr(speaker, task, np.array(weights), leak, known, strength, origin)
            relations.append(found)
    return relations


def _noisy_or_rows(place: str, frame: pd.DataFrame, source: Multilabel) -> list[int]:
    if LEAK in source.names:
        raise LabelweaveError(
            f"{place}: task '{source.name}' has a label '{LEAK}', which names the row of the leak; "
            "expected another name"
        )
    names = {name: i for i, name in enumerate((*source.names, LEAK))}
    rows: dict[int, None] = {}  # in order
    for name in frame.iloc[:, 0]:
        if name not in names:
            raise LabelweaveError(
                f"{place}: row '{name}' is no label of task '{source.name}', expected "
                f"{listing(names)}{nearest(name, names)}"
            )
        if names[name] in rows:
            raise LabelweaveError(f"{place}: '{name}' has two rows, expected one")
        rows[names[name]] = None
    return list(rows)


SUFFIX = ".json"


@dataclass(frozen=True, eq=False)
class KnownTable:
    """A published table of P(label | class), restricted to a data set's labels.

    Args:
        name: the table's name.
        vocabulary: the name of the data set's list of labels, ``"all"`` where there is none.
        citation: the publication.
        notes: what to know before using it.
        frame: one row a class, first column its name, then one column a label; probabilities, or
            an empty cell where nothing is known. In the form of `read_knowledge`.
    """

    name: str
    vocabulary: str
    citation: str
    notes: str
    frame: pd.DataFrame

    def relations(
        self, source: str, tasks: Sequence[Task], *, strength: float = 1.0
    ) -> list[Relation]:
        """Return the relations from a task whose classes are the rows to those with the labels.

        The tasks may have further classes; labels must have the names of the frame's columns.

        Raises:
            LabelweaveError: a row is no class of the source, or a column no label of any task.
        """
        return read_knowledge(self.frame, source, tasks, strength=strength)

    def restricted(self, classes: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
        """Return the frame's rows and columns that are among some classes and labels.

        Raises:
            LabelweaveError: none of the labels is a column, or none of the classes a row.
        """
        columns = [label for label in self.frame.columns[1:] if label in labels]
        rows = self.frame.iloc[:, 0].isin(classes)
        for found, kind, known, wanted in (
            (len(columns), "label", self.frame.columns[1:], labels),
            (int(rows.sum()), "class", self.frame.iloc[:, 0], classes),
        ):
            if not found:
                raise LabelweaveError(
                    f"known table '{self.name}': found no {kind} of it in {listing(wanted)}, "
                    f"expected some of {listing(known)}"
                )
        return self.frame.loc[rows, [self.frame.columns[0], *columns]]


def known_tables() -> dict[str, tuple[str, ...]]:
    """Return the names of the tables that ship, each with its vocabularies."""
    return {name: tuple(_read(name)["vocabularies"]) for name in _names()}


def known_table(name: str, *, vocabulary: str | None = None, strong: float = 1.0) -> KnownTable:
    """Return a published table, restricted to the labels of a data set.

    A label that no class of the published table names is unknown (an empty cell); one that some
    class names has probability 0 for the classes that do not.

    Args:
        name: ``"du-tao-martinez-2014"``: facial expression -> action units.
        vocabulary: ``"aff-wild2"``, ``"emotionet"``, ``"disfa"``, ``"bp4d"`` or ``"all-17"``;
            None = all labels that any of them has.
        strong: the probability of labels that the publication calls prototypical.

    Raises:
        LabelweaveError: an unknown name or vocabulary (nearest one given), or `strong` outside
            [0, 1].
    """
    names = _names()
    if name not in names:
        raise LabelweaveError(
            f"no known table '{name}', expected {listing(names)}{nearest(name, names)}"
        )
    table = _read(name)
    vocabularies = table["vocabularies"]
    if vocabulary is not None and vocabulary not in vocabularies:
        raise LabelweaveError(
            f"known table '{name}': no vocabulary '{vocabulary}', expected "
            f"{listing(vocabularies)}{nearest(vocabulary, vocabularies)}"
        )
    if not 0 <= strong <= 1:
        raise LabelweaveError(
            f"known table '{name}': strong {strong}, expected a probability from 0 to 1"
        )
    rows = {
        row: dict.fromkeys(said["prototypical"], strong) | said["observational"]
        for row, said in table["rows"].items()
    }
    named = {label for said in rows.values() for label in said}
    everything = dict.fromkeys(label for labels in vocabularies.values() for label in labels)
    labels = list(everything) if vocabulary is None else vocabularies[vocabulary]
    cells = [
        [row, *(said.get(label, 0.0) if label in named else None for label in labels)]
        for row, said in rows.items()
    ]
    frame = pd.DataFrame(cells, columns=[table["classes"], *labels], dtype=object)
    return KnownTable(name, vocabulary or "all", table["citation"], table["notes"], frame)


def _names() -> list[str]:
    found = (file.name for file in files("labelweave.relations").joinpath("tables").iterdir())
    return sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))


def _read(name: str) -> dict[str, Any]:
    file = files("labelweave.relations").joinpath("tables", f"{name}{SUFFIX}")
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return table
