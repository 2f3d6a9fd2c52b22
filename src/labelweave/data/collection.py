"""A collection: the rows of all sources, one after another, with the same tasks and columns."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data.coverage import Coverage
from labelweave.data.numeric import is_number_column
from labelweave.data.source import Source
from labelweave.errors import LabelweaveError, listing
from labelweave.tasks import Multiclass, Task, factorize, key


class Collection:
    """The n rows of several sources that annotate the same tasks, each as far as it does.

    Args:
        sources: the sources, with distinct names and the same tasks.

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

    Raises:
        LabelweaveError: no source, a name used twice, tasks that differ, or a column that holds
            numbers in one source and text in another.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self.names = tuple(source.name for source in self.sources)
        _check_names(self.names)
        for other in self.sources[1:]:
            _check_tasks(self.sources[0], other)
        self.tasks: tuple[Task, ...] = self.sources[0].annotations.tasks
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


def _joined_inputs(sources: Sequence[Source]) -> pd.DataFrame:
    if len(sources) == 1:
        return sources[0].inputs.reset_index(drop=True)
    numeric: dict[str, tuple[bool, str]] = {}
    frames = []
    for source in sources:
        # a column without any value has no kind, and must not decide that of the others
        filled = source.inputs.loc[:, source.inputs.notna().any()]
        for name in filled.columns:
            kind = is_number_column(filled[name])
            known, owner = numeric.setdefault(name, (kind, source.name))
            if kind != known:
                a, b = (owner, source.name) if known else (source.name, owner)
                raise LabelweaveError(
                    f"input column '{name}' holds numbers in source '{a}' and text in source "
                    f"'{b}', expected one kind"
                )
        frames.append(filled)
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
