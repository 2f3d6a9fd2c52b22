"""Tables turned into sources: which columns are inputs, which are labels, which is the group."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data._collection import Side, Source, label_columns
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables import ReadOptions, Roles, Schema, Table, read_cells
from labelweave.tables._options import MISSING
from labelweave.tables._table import check_columns
from labelweave.tasks import Multiclass, Task, factorize, key


def table_source(
    name: str,
    table: str | Path | pd.DataFrame,
    tasks: Sequence[Task],
    inputs: Sequence[str] | Literal["rest"] = "rest",
    group: str | None = None,
    exclude: Sequence[str] = (),
    split: Side | None = None,
    missing: Sequence[str] = MISSING,
    place: str | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> Source:
    """Make a source of a table whose columns hold inputs, labels and groups.

    Args:
        name: the source's name.
        table: a file for `read_table`, or a data frame.
        tasks: all tasks of the study; those whose columns the table lacks are missing in it.
        inputs: the input columns, or "rest" = every column that is no label of any task, nor the
            group, nor excluded.
        group: the column that ties rows together (person, plant, batch of goods).
        exclude: columns to leave out of "rest".
        split: the side on which all rows stay.
        missing: the texts that stand for a missing value.
        place: what errors call the table; None = its path, or the source's name.
        numbers: (n,) the number that each row has in its file; None = 1, 2, ...

    Raises:
        LabelweaveError: a column that does not exist or would give a label away, or a label that
            its task does not know (with file, row from 1, and column).
    """
    read = ReadOptions(missing=tuple(missing))
    if isinstance(table, pd.DataFrame):
        place = place or f"source '{name}'"
        cells = Table.of_frame(table, place, read)
    else:
        place, cells = place or str(table), read_cells(table, read)
    labels = {column: task.name for task in tasks for column in label_columns(task)}
    known = Roles(labels, [] if group is None else [group], excluded=exclude)
    frame = Schema.infer([cells], known).apply(cells)
    return frame_source(
        name, frame, tasks, inputs, group, exclude, split, place=place, numbers=numbers
    )


def frame_source(
    name: str,
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    inputs: Sequence[str] | Literal["rest"],
    group: str | None,
    exclude: Sequence[str],
    split: Side | None,
    *,
    place: str,
    numbers: NDArray[np.int64] | None = None,
) -> Source:
    """Make a source of a table that is read by its schema already; see `table_source`."""
    columns = list(frame.columns)
    for column in [*exclude, *([] if group is None else [group])]:
        _require(place, column, columns)
    roles = dict.fromkeys(exclude, "excluded")
    if group is not None:
        roles[group] = "the group"
    for task in tasks:
        roles |= dict.fromkeys(label_columns(task), f"a label column of task '{task.name}'")
    if inputs == "rest":
        chosen = [column for column in columns if column not in roles]
        _check_rest(place, chosen, {c: role for c, role in roles.items() if c not in columns})
    elif isinstance(inputs, str):
        raise LabelweaveError(f"{place}: found inputs '{inputs}', expected 'rest' or a list")
    else:
        chosen = list(inputs)
        _check_listed(place, chosen, columns, roles)
    if not chosen:
        raise LabelweaveError(f"{place}: no input column is left of {listing(columns)}")
    try:
        annotations = Annotations.from_columns(tasks, frame)
    except LabelweaveError as error:
        raise LabelweaveError(f"{place}: {error}") from None
    groups = None if group is None else frame[group].to_numpy()
    return Source(name, frame[chosen], annotations, groups, split, numbers)


def infer_tasks(tasks: Sequence[Task], tables: Sequence[pd.DataFrame]) -> list[Task]:
    """Give every multiclass task without classes those of all tables together, sorted.

    Args:
        tasks: the tasks; those with classes come back as they are.
        tables: the tables of all sources; those without a task's column are skipped for it.

    Raises:
        LabelweaveError: no table has a task's column, or fewer than two classes are found.
    """
    known: list[Task] = []
    for task in tasks:
        if isinstance(task, Multiclass) and task.classes is None:
            having = [table for table in tables if task.name in table.columns]
            if not having:
                columns = [column for table in tables for column in table.columns]
                raise LabelweaveError(
                    f"task '{task.name}': no table has a column '{task.name}' to take its classes "
                    f"from{nearest(task.name, columns)}"
                )
            labels = [label for table in having for label in factorize(table[task.name])[1]]
            if any(key(label) == "-1" for label in labels):
                raise LabelweaveError(
                    f"task '{task.name}': found -1, which may be a class or mean 'no label'; add "
                    "'-1' to the source's 'missing', or list the task's 'classes'"
                )
            known.append(task.inferred(labels))
        else:
            known.append(task)
    return known


def _require(place: str, column: str, columns: Sequence[str]) -> None:
    if column not in columns:
        raise LabelweaveError(
            f"{place}: no column '{column}', found {listing(columns)}{nearest(column, columns)}"
        )


def _check_rest(place: str, chosen: Sequence[str], absent: Mapping[str, str]) -> None:
    # a label column in other letters would otherwise be an input that holds the answer
    folded = {label.strip().casefold(): label for label in absent}
    for column in chosen:
        label = folded.get(column.strip().casefold())
        if label is not None:
            raise LabelweaveError(
                f"{place}: column '{column}' would be an input, but is nearly '{label}', "
                f"{absent[label]}; rename or exclude it"
            )


def _check_listed(
    place: str, chosen: Sequence[str], columns: Sequence[str], roles: Mapping[str, str]
) -> None:
    for column in chosen:
        _require(place, column, columns)
        if column in roles:
            raise LabelweaveError(
                f"{place}: column '{column}' is {roles[column]} and cannot be an input"
            )
    check_columns(f"{place}, inputs", chosen)
