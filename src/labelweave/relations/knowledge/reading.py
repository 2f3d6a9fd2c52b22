"""Relations written down by an expert: a CSV table, one row a class of the source task."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations.knowledge.cells import (
    check_new,
    check_targets,
    meaning,
    probability,
    read_frame,
    source_task,
)
from labelweave.relations.relation import Relation
from labelweave.remarks import Remark
from labelweave.tasks import Multiclass, Multilabel, Task


def read_knowledge(
    table: str | Path | pd.DataFrame,
    source: str,
    tasks: Sequence[Task],
    *,
    targets: Sequence[str] | None = None,
    strength: float = 1.0,
) -> list[Relation]:
    """Read an expert's table and return one relation for every task that it speaks about.

    The first column names a class of `source`; classes may be left out. Every further column is

    - the name of a multiclass or binary task, its cells one of that task's classes (or yes/no): the
      class has exactly that value. For a binary task a cell may also be a weight in [0, 1];
    - or a class or label of one task, its cells P(class or label | row's class) in [0, 1]. When two
      tasks know the name, write ``task=label``.

    An empty cell is unknown. A row of classes of a multiclass target must sum to one.

    Args:
        table: a CSV file or a data frame.
        source: the name of the multiclass task whose classes are the rows.
        tasks: all tasks, classes known.
        targets: only these target tasks; None = all that the table speaks about.
        strength: factor on the coupling terms of these relations.

    Raises:
        LabelweaveError: unknown class, task or label (nearest name given), a class named twice, a
            cell that is no probability or class; names file, row and column.
    """
    place, frame = read_frame(table)
    speaker = source_task(place, source, tasks, Multiclass)
    rows = _rows(place, frame, speaker)
    entries: dict[str, NDArray[np.float64]] = {}
    said: dict[tuple[str, int | None], str] = {}
    for column in frame.columns[1:]:
        task, index = meaning(place, column, tasks, speaker)
        check_new(place, column, said.get((task.name, index)))
        said[task.name, index] = column
        block = entries.setdefault(task.name, np.full((speaker.width, task.width), np.nan))
        for position, cell in zip(rows, frame[column], strict=True):
            where = f"{place}: row '{speaker.names[position]}', column '{column}'"
            if cell == "":
                continue
            if index is None:
                block[position] = _whole_row(where, task, cell)
            else:
                block[position, index] = probability(where, cell)
    check_targets(place, targets, entries)
    by_name = {task.name: task for task in tasks}
    wanted = [name for name in entries if targets is None or name in targets]
    origin = Remark("remark.knowledge_table", place=place)
    return [
        _relation(place, speaker, by_name[name], entries[name], strength, origin) for name in wanted
    ]


def _rows(place: str, frame: pd.DataFrame, source: Multiclass) -> list[int]:
    index = {name: i for i, name in enumerate(source.names)}
    rows: list[int] = []
    for name in frame.iloc[:, 0]:
        if name not in index:
            raise LabelweaveError(
                f"{place}: row '{name}' is no class of task '{source.name}', "
                f"expected {listing(source.names)}{nearest(name, index)}"
            )
        if index[name] in rows:
            raise LabelweaveError(f"{place}: class '{name}' has two rows, expected one")
        rows.append(index[name])
    return rows


def _whole_row(where: str, task: Task, cell: str) -> NDArray[np.float64]:
    if isinstance(task, Multilabel):
        try:
            return np.array([probability(where, cell)])
        except LabelweaveError:
            try:
                return task.encode_label(task.name, [cell]).astype(np.float64)
            except LabelweaveError as error:
                reason = str(error).partition(": ")[2]
                both = reason.replace("expected ", "expected a probability from 0 to 1 or ", 1)
                raise LabelweaveError(f"{where}: {both}") from None
    if cell not in task.names:
        raise LabelweaveError(
            f"{where}: '{cell}' is no class of task '{task.name}', "
            f"expected {listing(task.names)}{nearest(cell, task.names)}"
        )
    row = np.zeros(task.width)
    row[task.names.index(cell)] = 1.0
    return row


def _relation(
    place: str,
    source: Multiclass,
    target: Task,
    entries: NDArray[np.float64],
    strength: float,
    origin: str,
) -> Relation:
    known = ~np.isnan(entries)
    if isinstance(target, Multiclass):
        # classes that a row does not mention have probability zero once the row is known
        known = np.broadcast_to(known.any(axis=1, keepdims=True), known.shape)
    try:
        return Relation(source, target, np.nan_to_num(entries), known, strength, origin)
    except LabelweaveError as error:
        raise LabelweaveError(f"{place}: {error}") from None
