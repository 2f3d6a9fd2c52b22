"""The cells of an expert's table: the file, its rows, its columns and the probabilities in it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tasks import Multiclass, Multilabel, Task, key

T = TypeVar("T", Multiclass, Multilabel)


def read_frame(table: str | Path | pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Return a table's name for errors, and its cells as text without blanks around it.

    Raises:
        LabelweaveError: no such file, no CSV, nothing in it, or a column named twice.
    """
    if isinstance(table, pd.DataFrame):
        place, frame = "table", table.astype(object).where(table.notna(), "").map(key)
    else:
        path = Path(table)
        place = path.name
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except FileNotFoundError:
            raise LabelweaveError(f"{path}: no such file, expected a table of relations") from None
        except OSError as error:
            raise LabelweaveError(f"{path}: cannot be read: {error.strerror or error}") from None
        except ValueError as error:
            raise LabelweaveError(f"{path}: cannot be read as CSV: {error}".strip()) from None
    if frame.shape[1] < 2 or frame.empty:
        raise LabelweaveError(
            f"{place}: found {frame.shape[0]} rows and {frame.shape[1]} columns, expected a column "
            "of classes and at least one column about them"
        )
    frame = frame.fillna("").apply(lambda column: column.str.strip())
    frame.columns = pd.Index([key(column).strip() for column in frame.columns])
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


def meaning(
    place: str, column: str, tasks: Sequence[Task], source: Task
) -> tuple[Task, int | None]:
    """Return the task that a column is about, and its class or label (None = the whole task).

    Raises:
        LabelweaveError: a column about no task, about several, or about the source itself.
    """
    targets = {task.name: task for task in tasks if task.name != source.name}
    if column == source.name:
        raise LabelweaveError(f"{place}: column '{column}' relates the task to itself")
    if column in targets:
        task = targets[column]
        if isinstance(task, Multiclass) or task.width == 1:
            return task, None
    meanings = {
        f"{task.name}={name}": (task, index)
        for task in targets.values()
        for index, name in enumerate(task.names)
    }
    if column in meanings:
        return meanings[column]
    fitting = [full for full, (task, index) in meanings.items() if task.names[index] == column]
    if len(fitting) > 1:
        raise LabelweaveError(
            f"{place}: column '{column}' is ambiguous, write one of {listing(fitting)}"
        )
    if fitting:
        return meanings[fitting[0]]
    if column in targets:
        raise LabelweaveError(
            f"{place}: column '{column}' is a task of several labels, "
            f"expected one of them: {listing(targets[column].names)}"
        )
    options = [*targets, *(task.names[index] for task, index in meanings.values())]
    raise LabelweaveError(
        f"{place}: column '{column}' is no task, class or label{nearest(column, options)}"
    )


def probability(where: str, cell: str) -> float:
    """Return a cell as a number.

    Raises:
        LabelweaveError: no probability from 0 to 1; names the place.
    """
    try:
        weight = float(cell)
    except ValueError:
        weight = np.nan
    if not 0 <= weight <= 1:
        raise LabelweaveError(f"{where}: found '{cell}', expected a probability from 0 to 1")
    return weight
