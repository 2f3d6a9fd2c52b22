"""Published data sets as sources: their official parts, groups and tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.cases.data_set import DataSet
from labelweave.cases.joining import joined_tasks
from labelweave.cases.readers import find_reader
from labelweave.data.source import SIDES, Side
from labelweave.errors import LabelweaveError, listing
from labelweave.study.sections import TaskSection
from labelweave.study.source_section import SourceSection

GROUP = "group"


@dataclass(frozen=True, eq=False)
class ReadSource:
    """A source of a study as a table.

    Attributes:
        section: what the study says of it, or of the part of a data set that it is.
        table: its rows.
        root: the folder that paths in the table are relative to.
        tasks: the tasks that a data set brings.
        notes: remarks on what was read, a line each.
    """

    section: SourceSection
    table: pd.DataFrame
    root: Path
    tasks: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


def read_case(section: SourceSection, folder: Path, column: str | None) -> list[ReadSource]:
    """Read a published data set; return one source for each of its official parts.

    The training part stays free for validation rows to be drawn from, unless the data set has
    validation and test parts of its own.

    Args:
        section: names the data set, its folder and options.
        folder: what the root is relative to.
        column: what the study calls the column of the images' paths; None = it has none.

    Raises:
        LabelweaveError: files are missing or wrong, or the study says nothing of images.
    """
    name, root = section.case or "", folder / Path(section.root or "").expanduser()
    if column is None:
        raise LabelweaveError(
            f"{section.place}: a data set of images, expected a key 'inputs.image' that says what "
            "they become, such as 'inputs: {image: {size: 224}}'"
        )
    read = find_reader(name)(root, **section.options)
    table = _renamed(read, name, column)
    groups = GROUP if read.group else None
    told = tuple(f"{section.called}: {note}" for note in read.notes)
    parts: dict[Side | None, NDArray[np.bool_]] = {None: np.ones(len(table), dtype=np.bool_)}
    if read.part is not None and section.split is None:
        parts = {part: (read.table[read.part] == part).to_numpy() for part in SIDES}
        parts = {part: rows for part, rows in parts.items() if rows.any()}
    made: list[ReadSource] = []
    for part, rows in parts.items():
        side = section.split or part
        if side == "train" and section.split is None and len(parts) < len(SIDES):
            side = None
        kept = np.flatnonzero(rows)
        if side in (None, "train") and section.rows is not None and section.rows < len(kept):
            kept = kept[np.linspace(0, len(kept) - 1, section.rows).round().astype(np.int64)]
        changes: dict[str, Any] = {
            "name": section.called if len(parts) == 1 else f"{section.called} {part}",
            "inputs": [], "group": groups, "split": side, "missing": [],
        }  # fmt: skip
        part_section = section.model_copy(update=changes)
        kept_rows = table.iloc[kept].reset_index(drop=True)
        made.append(ReadSource(part_section, kept_rows, root, read.tasks, () if made else told))
    return made


def brought_tasks(sources: Sequence[ReadSource]) -> list[TaskSection]:
    """Return the tasks that data sets bring, with the classes or labels of all, by name.

    Raises:
        LabelweaveError: a task that is of another kind in another data set.
    """
    joined = joined_tasks((source.section.place, source.tasks) for source in sources)
    return [TaskSection.model_validate(task) for task in joined.values()]


def _renamed(read: DataSet, name: str, column: str) -> pd.DataFrame:
    if column != "image" and column in read.table.columns:
        raise LabelweaveError(
            f"key 'inputs.image.column': '{column}' is a column of the labels of {name}, expected "
            f"none of {listing(read.table.columns)}"
        )
    table = read.table.rename(columns={"image": column})
    if read.group is None:
        return table
    # persons of two data sets may have the same number
    own = read.table[read.group].map(lambda value: f"{name} {value}", na_action="ignore")
    return table.assign(**{GROUP: own})
