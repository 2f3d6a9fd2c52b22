"""Tables turned into sources: which columns are inputs, which are labels, which is the group."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data import Source
from labelweave.data._collection import Side, check_columns
from labelweave.data._image_files import SUFFIXES
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables._reading import MISSING, read_table, with_missing
from labelweave.tasks import Multiclass, Task, factorize


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
    if isinstance(table, pd.DataFrame):
        place, frame = place or f"source '{name}'", table.rename(columns=str)
        check_columns(place, frame.columns)
        frame = with_missing(frame, missing)
    else:
        place, frame = place or str(table), read_table(table, missing)
    columns = list(frame.columns)
    for column in [*exclude, *([] if group is None else [group])]:
        _require(place, column, columns)
    roles = dict.fromkeys(exclude, "excluded")
    if group is not None:
        roles[group] = "the group"
    for task in tasks:
        roles |= dict.fromkeys(_label_columns(task), f"a label column of task '{task.name}'")
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
            known.append(task.inferred(labels))
        else:
            known.append(task)
    return known


def _label_columns(task: Task) -> tuple[str, ...]:
    return (task.name,) if isinstance(task, Multiclass) else task.labels


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


def read_folder(root: str | Path, column: str, levels: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table of all images below a folder, sorted by their paths.

    Hidden files and folders, and files that are no images by their ending, are passed over.

    Args:
        root: the folder.
        column: the name of the column of the paths, which are relative to `root`.
        levels: columns that the names of the folders become, from the outermost: with
            ``["site", "kind"]`` the file ``a/bolt/1.png`` is of site a and kind bolt. Folders
            deeper down mean nothing.

    Raises:
        LabelweaveError: no such folder, no image in it, or one that lies too high for `levels`.
    """
    root = Path(root)
    if not root.is_dir():
        raise LabelweaveError(f"{root}: no such folder, expected one with images")
    names = sorted(_images(root))
    if not names:
        raise LabelweaveError(f"{root}: found no image, expected files {listing(SUFFIXES)}")
    parts = [Path(name).parts for name in names]
    for name, each in zip(names, parts, strict=True):
        if len(each) <= len(levels):
            raise LabelweaveError(
                f"{root / name}: lies in {len(each) - 1} folders below '{root.name}', expected "
                f"{len(levels)}, for {listing(levels)}"
            )
    columns = {level: [each[i] for each in parts] for i, level in enumerate(levels)}
    return pd.DataFrame({column: names, **columns})


def _images(root: Path) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        found += [
            (below / name).as_posix()
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return found
