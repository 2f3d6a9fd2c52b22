"""A collection: the rows of all sources, one after another, with the same tasks and columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from rich.table import Table as TextTable

from labelweave._arguments import kind_of, one_column
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.tables import Roles, Schema, Table
from labelweave.tables._frames import input_frame
from labelweave.tables._table import column_names
from labelweave.tasks import Multiclass, Task, factorize, key

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True, eq=False, init=False)
class Source:
    """One data set: n rows of raw inputs and their annotations.

    >>> from labelweave import Multiclass
    >>> kind = Multiclass("kind", ("a", "b"))
    >>> labels = Annotations.from_columns([kind], {"kind": ["a", "b", None]})
    >>> weights = pd.DataFrame({"weight": [1.0, 2.5, 0.5]})
    >>> plant = Source("plant 1", weights, labels, groups=[1, 1, 2])
    >>> len(plant.inputs), plant.groups.tolist()
    (3, [1, 1, 2])

    Args:
        name: the source's name, unique in a collection.
        inputs: n rows of raw input columns; an array of shape (n, d) gets the columns x0, x1, ...
        annotations: the labels of the same n rows.
        groups: (n,) values that tie rows together (person, plant, batch of goods), compared
            across sources by value; None, NaN or "" = the row is its own group.
        split: the side on which all rows stay, for official test sets; None = free.
        numbers: (n,) the number that each row has in its file; None = 1, 2, ...

    Raises:
        LabelweaveError: no rows, different lengths, repeated column names, a label column among the
            inputs, or an unknown side.
    """

    name: str
    inputs: pd.DataFrame
    annotations: Annotations
    groups: NDArray[Any] | None
    split: Side | None
    numbers: NDArray[np.int64]

    def __init__(
        self,
        name: str,
        inputs: pd.DataFrame | NDArray[Any],
        annotations: Annotations,
        groups: ArrayLike | None = None,
        split: Side | None = None,
        numbers: NDArray[np.int64] | None = None,
    ) -> None:
        if not name:
            raise LabelweaveError("a source needs a name, found an empty one")
        place = f"source '{name}'"
        frame = _frame(place, inputs)
        members = None if groups is None else _members(place, groups)
        if len(frame) == 0:
            raise LabelweaveError(f"{place}: found no rows, expected at least one")
        if len(annotations) != len(frame):
            raise LabelweaveError(
                f"{place}: found annotations of {len(annotations)} rows, "
                f"expected {len(frame)} as in the inputs"
            )
        if members is not None and members.shape != (len(frame),):
            raise LabelweaveError(
                f"{place}: found groups of shape {members.shape}, expected ({len(frame)},)"
            )
        if split is not None and not (isinstance(split, str) and split in SIDES):
            raise LabelweaveError(
                f"{place}: unknown split {kind_of(split)}, expected {listing(SIDES)}"
                f"{nearest(split, SIDES)}"
            )
        for task in annotations.tasks:
            for column in label_columns(task):
                if column in frame.columns:
                    raise LabelweaveError(
                        f"{place}: column '{column}' is a label column of task '{task.name}' and "
                        "cannot be an input"
                    )
        for field, value in {
            "name": name, "inputs": frame, "annotations": annotations,
            "groups": members, "split": split,
            "numbers": np.arange(1, len(frame) + 1) if numbers is None else numbers,
        }.items():  # fmt: skip
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.inputs)


def label_columns(task: Task) -> tuple[str, ...]:
    """Return the columns that hold the labels of a task."""
    return (task.name,) if isinstance(task, Multiclass) else task.labels


def _members(place: str, groups: ArrayLike) -> NDArray[Any]:
    given = one_column(groups)
    # a gap would turn whole numbers into floats, which merge long ones
    members = given if isinstance(given, np.ndarray) else np.array(given, dtype=object)
    if members.ndim == 1:
        with in_place(f"{place}, groups"):
            factorize(members)
    return members


def _frame(place: str, inputs: pd.DataFrame | NDArray[Any]) -> pd.DataFrame:
    frame = input_frame(inputs, place)
    return frame.set_axis(column_names(place, frame), axis=1)


NO_DATA = "-"


@dataclass(frozen=True, eq=False)
class Coverage:
    """The labels of every source and task, counted.

    Args:
        annotations: the annotations of n rows.
        source: the index of each row's source in `names`, (n,).
        names: the sources' names.
    """

    annotations: Annotations
    source: NDArray[np.int64]
    names: Sequence[str]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per source and task.

        Columns: source, task, rows, labelled (rows with a label), elements (known labels), seen
        (classes, or labels that are on at least once), width (all classes or labels), rarest (the
        rarest of those seen; None when there is none) and rarest_count.
        """
        return pd.DataFrame(self._rows())

    def counts(self, task: str) -> pd.DataFrame:
        """Return how often each source labels each class of a task (sources x classes).

        A multilabel task has two columns a label: (label, "off") and (label, "on").

        Raises:
            LabelweaveError: no such task.
        """
        known = self.annotations.task(task)
        columns = (
            pd.Index(known.names)
            if isinstance(known, Multiclass)
            else pd.MultiIndex.from_product([known.names, ["off", "on"]])
        )
        counts = [part.counts(task).ravel() for part in self._parts()]
        return pd.DataFrame(np.stack(counts), index=list(self.names), columns=columns)

    @property
    def co_labelled(self) -> pd.DataFrame:
        """How many rows carry labels of both tasks, for every pair (tasks x tasks)."""
        return self.annotations.co_labelled()

    def shared_lines(self) -> list[str]:
        """Return which tasks have rows that carry both labels, a line for every such task."""
        counts = self.co_labelled.to_numpy()
        names = [task.name for task in self.annotations.tasks]
        lines = []
        for i, name in enumerate(names):
            others = range(i + 1, len(names))
            shared = [f"{names[j]} ({counts[i, j]:,})" for j in others if counts[i, j]]
            if shared:
                lines.append(f"rows labelled with {name} and: {', '.join(shared)}")
        np.fill_diagonal(counts := counts.copy(), 0)
        alone = [name for name, row in zip(names, counts, strict=True) if not row.any()]
        if alone and len(names) > 1:
            lines.append(f"never labelled together with another task: {', '.join(alone)}")
        return lines

    def partial_lines(self) -> list[str]:
        """Return which labels or classes of a task only some of its sources have.

        A line for every source that labels a task without all that its other sources know: labels
        it never annotates (its rows are unlabelled there), or classes without any row.
        """
        lines = []
        for task in self.annotations.tasks:
            counts = np.stack([part.counts(task.name) for part in self._parts()])
            # (sources, classes or labels): is there any label of it
            has = counts > 0 if isinstance(task, Multiclass) else counts.sum(axis=2) > 0
            known = has.any(axis=0)
            what = "has no row of" if isinstance(task, Multiclass) else "does not annotate"
            for name, own in zip(self.names, has, strict=True):
                if own.any() and (known & ~own).any():
                    lacking = [task.names[i] for i in np.flatnonzero(known & ~own)]
                    lines.append(f"task {task.name}: {name} {what} {listing(lacking, 20)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the counts ready for JSON, in the form of a study's ``results.json``.

        ``sources`` and ``tasks`` (names), ``rows`` (by source), ``labelled`` (rows with a label, by
        source and task), ``per_class`` (rows of a class, or on which a label is on, by source, task
        and name) and ``co_labelled`` (tasks x tasks).
        """
        parts = dict(zip(self.names, self._parts(), strict=True))
        tasks = self.annotations.tasks
        return {
            "sources": list(self.names),
            "tasks": [task.name for task in tasks],
            "rows": {name: len(part) for name, part in parts.items()},
            "labelled": {
                name: {task.name: int(part.labelled(task.name).sum()) for task in tasks}
                for name, part in parts.items()
            },
            "per_class": {
                name: {task.name: _per_class(part, task) for task in tasks}
                for name, part in parts.items()
            },
            "co_labelled": self.co_labelled.to_numpy().tolist(),
        }

    def render(self, width: int = 100) -> str:
        """Return a plain text table of at most `width` characters a line; "-" means no data."""
        console = Console(file=StringIO(), width=width, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip("\n")

    def __str__(self) -> str:
        return self.render()

    def __rich__(self) -> TextTable:
        table = TextTable("source", "task")
        for title in ("rows", "labelled", "elements", "seen"):
            table.add_column(title, justify="right")
        table.add_column("rarest")
        last = None
        for row in self._rows():
            again = row["source"] == last
            if not again and last is not None:
                table.add_section()
            last = row["source"]
            head = ["", row["task"], ""] if again else [last, row["task"], f"{row['rows']:,}"]
            table.add_row(*head, *_cells(row))
        return table

    def _parts(self) -> list[Annotations]:
        return [self.annotations[self.source == index] for index in range(len(self.names))]

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {"source": name, **_row(part, task)}
            for name, part in zip(self.names, self._parts(), strict=True)
            for task in part.tasks
        ]


def _shown(part: Annotations, task: Task) -> NDArray[np.int64]:
    """Return the count of each class, or of each label that is on."""
    counts = part.counts(task.name)
    return counts if isinstance(task, Multiclass) else counts[:, 1]


def _per_class(part: Annotations, task: Task) -> dict[str, int]:
    return dict(zip(task.names, _shown(part, task).tolist(), strict=True))


def _row(part: Annotations, task: Task) -> dict[str, Any]:
    counts, shown = part.counts(task.name), _shown(part, task)
    seen = np.flatnonzero(shown)
    rarest = seen[np.argmin(shown[seen])] if seen.size else None
    return {
        "task": task.name,
        "rows": len(part),
        "labelled": int(part.labelled(task.name).sum()),
        "elements": int(counts.sum()),
        "seen": int(seen.size),
        "width": task.width,
        "rarest": None if rarest is None else task.names[rarest],
        "rarest_count": 0 if rarest is None else int(shown[rarest]),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    if not row["labelled"]:
        return [NO_DATA] * 4
    rarest = NO_DATA if row["rarest"] is None else f"{row['rarest']} ({row['rarest_count']:,})"
    return [f"{row['labelled']:,}", f"{row['elements']:,}", f"{row['seen']}/{row['width']}", rarest]


class Collection:
    """The n rows of several sources that annotate the same tasks, each as far as it does.

    Args:
        sources: the sources, with distinct names and the same tasks.
        schema: what the columns are, where the sources' inputs are read by it already; None = it is
            decided from all sources together.

    Attributes:
        sources: the sources.
        names: their names.
        tasks: the tasks.
        inputs: n rows of raw inputs with the columns of all sources; those that a row's source
            lacks are NaN.
        annotations: the annotations of the n rows.
        source: the index of each row's source, int64 (n,).
        groups: the code of each row's group, int64 (n,); a row without a group has its own.
        numbers: the number of each row in its source's file, from 1, int64 (n,).
        schema: what the columns are.

    Raises:
        LabelweaveError: no source, a name used twice, tasks that differ, or a column that holds
            numbers in one source and text in another.
    """

    def __init__(self, sources: Sequence[Source], schema: Schema | None = None) -> None:
        self.sources = tuple(sources)
        self.names = tuple(source.name for source in self.sources)
        _check_names(self.names)
        for other in self.sources[1:]:
            _check_tasks(self.sources[0], other)
        self.tasks: tuple[Task, ...] = self.sources[0].annotations.tasks
        if schema is None:
            schema, self.sources = typed_sources(self.sources)
        self.schema = schema
        self.inputs = _joined_inputs(self.sources)
        self.annotations = Annotations.concatenate([s.annotations for s in self.sources])
        lengths = [len(source) for source in self.sources]
        self.source: NDArray[np.int64] = np.repeat(np.arange(len(lengths)), lengths)
        self.groups = _joined_groups(self.sources)
        self.numbers: NDArray[np.int64] = np.concatenate([s.numbers for s in self.sources])

    def __len__(self) -> int:
        return len(self.source)

    def coverage(self) -> Coverage:
        """Return which labels each source has."""
        return Coverage(self.annotations, self.source, self.names)

    def place(self, row: int) -> str:
        """Return where a row (from 0) comes from, as "row 3 of source 'a'" (from 1)."""
        return f"row {self.numbers[row]} of source '{self.names[self.source[row]]}'"


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise LabelweaveError("found no source, expected at least one")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise LabelweaveError(f"sources named twice: {listing(repeated)}")


def _check_tasks(first: Source, other: Source) -> None:
    expected = {task.name: task for task in first.annotations.tasks}
    found = {task.name: task for task in other.annotations.tasks}
    if list(found) != list(expected):
        raise LabelweaveError(
            f"source '{other.name}' has the tasks {listing(found)}, "
            f"expected {listing(expected)} as in source '{first.name}'"
        )
    for name, task in found.items():
        if task != expected[name]:
            kind = "classes" if isinstance(task, Multiclass) else "labels"
            raise LabelweaveError(
                f"source '{other.name}': task '{name}' has the {kind} {listing(task.names)}, "
                f"expected {listing(expected[name].names)} as in source '{first.name}'"
            )


def typed_sources(
    sources: Sequence[Source], roles: Roles | None = None
) -> tuple[Schema, tuple[Source, ...]]:
    """Return the schema of the inputs of all sources, and the sources with inputs read by it.

    Args:
        sources: the sources, with raw inputs.
        roles: what is known of the columns.

    Raises:
        LabelweaveError: see `Schema.infer`.
    """
    tables = [Table.of_frame(each.inputs, f"source '{each.name}'") for each in sources]
    schema = Schema.infer(tables, roles)
    typed = [
        replace_inputs(each, schema.apply(table))
        for each, table in zip(sources, tables, strict=True)
    ]
    return schema, tuple(typed)


def replace_inputs(source: Source, inputs: pd.DataFrame) -> Source:
    """Return a source with other inputs of the same rows."""
    return Source(
        source.name, inputs, source.annotations, source.groups, source.split, source.numbers
    )


def _joined_inputs(sources: Sequence[Source]) -> pd.DataFrame:
    if len(sources) == 1:
        return sources[0].inputs.reset_index(drop=True)
    # a column without any value has no kind, and must not decide that of the others
    frames = [source.inputs.loc[:, source.inputs.notna().any()] for source in sources]
    columns = dict.fromkeys(name for source in sources for name in source.inputs.columns)
    return pd.concat(frames, ignore_index=True).reindex(columns=list(columns))


def _joined_groups(sources: Sequence[Source]) -> NDArray[np.int64]:
    known: dict[str, int] = {}
    parts = []
    for source in sources:
        if source.groups is None:
            parts.append(np.full(len(source), -1, dtype=np.int64))
            continue
        codes, uniques = factorize(source.groups)
        lookup = np.full(len(uniques) + 1, -1, dtype=np.int64)
        lookup[:-1] = [known.setdefault(key(value), len(known)) for value in uniques]
        parts.append(lookup[codes])
    groups = np.concatenate(parts)
    alone = groups < 0
    groups[alone] = len(known) + np.arange(alone.sum())
    return groups
