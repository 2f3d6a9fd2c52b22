"""The sources of a study as tables: files, folders of images, exports and published data sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._messages import Message, Text, Value, some
from labelweave.data._collection import SIDES, Side
from labelweave.datasets import DataSet, find_reader
from labelweave.datasets._official import joined_tasks
from labelweave.errors import LabelweaveError, listing
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._sections import SourceSection, TaskSection
from labelweave.fitting._inputs import InputsSection
from labelweave.importers import read_annotations
from labelweave.importers._answers import Imported
from labelweave.tables import ReadOptions, Table, read_cells, read_folder
from labelweave.tables._addresses import is_address, within
from labelweave.tables._folders import other_files
from labelweave.tables._reading import SUFFIXES

GROUP = "group"


@dataclass(frozen=True, eq=False)
class ReadSource:
    """A source of a study as a table.

    Attributes:
        section: the study file's section of it, or of the part of a data set that it is.
        table: its rows, not yet read by a schema.
        root: the folder that paths in the table are relative to.
        tasks: the tasks that a data set brings.
        notes: messages on what was read, a line each.
    """

    section: SourceSection
    table: Table
    root: Path
    tasks: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[Text, ...] = ()


def read_case(section: SourceSection, folder: Path, column: str | None) -> list[ReadSource]:
    """Read a published data set; return one source for each of its official parts.

    The training part stays free for validation rows to be drawn from, unless the data set has
    its own validation and test parts.

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
    notes = tuple(f"{section.called}: {note}" for note in read.notes)
    parts: dict[Side | None, NDArray[np.bool_]] = {None: np.ones(len(table), dtype=np.bool_)}
    if read.part is not None and section.split is None:
        parts = official_parts(read.table[read.part].to_numpy())
        parts.pop(None, None)
    made: list[ReadSource] = []
    for part, rows in parts.items():
        side = section.split or drawn_from(part, parts)
        kept = np.flatnonzero(rows)
        if side in (None, "train") and section.rows is not None and section.rows < len(kept):
            kept = kept[np.linspace(0, len(kept) - 1, section.rows).round().astype(np.int64)]
        changes: dict[str, Any] = {
            "name": section.called if len(parts) == 1 else f"{section.called} {part}",
            "inputs": [], "group": groups, "split": side, "missing": [],
        }  # fmt: skip
        part_section = section.model_copy(update=changes)
        rows_kept = table.iloc[kept].reset_index(drop=True)
        cells = Table.of_frame(rows_kept, section.place, ReadOptions(missing=()))
        made.append(ReadSource(part_section, cells, root, read.tasks, () if made else notes))
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


def read_sources(config: StudyConfig, folder: Path) -> list[ReadSource]:
    """Read the sources of a study as tables; paths are relative to `folder`.

    Raises:
        LabelweaveError: no source, or whatever is wrong with a file, in one line.
    """
    if not config.sources:
        raise LabelweaveError("key 'sources': found none, expected at least one")
    return [each for section in config.sources for each in _read(section, config.inputs, folder)]


def _read(section: SourceSection, inputs: InputsSection, folder: Path) -> list[ReadSource]:
    if section.path is None:
        return read_case(section, folder, None if inputs.image is None else inputs.image.column)
    if is_address(section.path):
        return [_of_address(section, section.path, folder)]
    path = folder / section.path
    if section.format is not None:
        return read_export(section, path)
    if path.is_dir() and path.suffix.lower() not in SUFFIXES:
        if inputs.image is None:
            raise LabelweaveError(
                f"{path}: a folder of images, expected a key 'inputs.image' that says what they "
                "become, such as 'inputs: {image: {size: 224}}'"
            )
        frame = read_folder(path, inputs.image.column, section.levels)
        others = other_files(path)
        values: dict[str, Value] = {
            "place": section.place, "n": len(others), "names": some(others),
        }  # fmt: skip
        notes = (Message("note.other_files", values),) if others else ()
        return [ReadSource(section, Table.of_frame(frame, section.place), path, notes=notes)]
    if section.levels:
        raise LabelweaveError(f"{path}: found 'folders' for it, expected a folder of images")
    table = read_cells(path, section.read.options(section.missing))
    return [ReadSource(section, _changed(section, table, folder), path.parent)]


def _of_address(section: SourceSection, address: str, folder: Path) -> ReadSource:
    found = "format" if section.format is not None else "folders" if section.levels else None
    if found is not None:
        raise LabelweaveError(f"{address}: found '{found}' for it, expected a file of this machine")
    table = read_cells(address, section.read.options(section.missing))
    return ReadSource(section, _changed(section, table, folder), folder)


def _changed(section: SourceSection, table: Table, folder: Path) -> Table:
    """Return a table with columns renamed, values mapped, and the joined table's columns."""
    table = table.renamed(section.rename).mapped(section.map)
    if section.join is None:
        return table
    read = section.join.read or section.read
    joined = read_cells(within(folder, section.join.path), read.options(section.missing))
    return table.joined(joined, section.join.on)


def read_export(section: SourceSection, path: Path) -> list[ReadSource]:
    """Read a file of an annotation tool; return a source for each table, and each official part.

    Args:
        section: names the file's format and options.
        path: the file.

    Raises:
        LabelweaveError: a file that is not of its format, or a column that is renamed or joined to
            one that is there already.
    """
    assert section.format is not None
    found = read_annotations(
        path, section.format, unticked=section.unticked, annotators=section.annotators,
        multiple=section.multiple,
    )  # fmt: skip
    return [part for each in found for part in _exported(section, each, path)]


def _exported(section: SourceSection, found: Imported, path: Path) -> list[ReadSource]:
    name = f"{section.called} {found.name}".strip()
    missing = section.missing if "missing" in section.model_fields_set else ()
    table = Table.of_frame(found.frame, section.place, ReadOptions(missing=tuple(missing)))
    table = _changed(section, table, path.parent)
    new = section.rename
    tasks = tuple({**task, "name": new.get(task["name"], task["name"])} for task in found.tasks)
    notes: list[Text] = [f"{name}: {note}" for note in found.notes]
    if found.licence is not None:
        notes.append(Message("note.licence", {"place": section.place, "licence": found.licence}))
    changes: dict[str, Any] = {"group": section.group or found.group}
    parts: dict[Side | None, NDArray[np.bool_]] = {None: np.ones(len(table), dtype=np.bool_)}
    if found.part is not None:
        changes["exclude"] = [*section.exclude, found.part]
        if section.split is None:
            parts = official_parts(table.texts(found.part).to_numpy())
    made: list[ReadSource] = []
    for part, rows in parts.items():
        changes |= {
            "name": name if len(parts) == 1 else f"{name} {part or 'others'}",
            "split": section.split or drawn_from(part, parts),
        }
        own = section.model_copy(update=changes)
        kept = table.taken(np.flatnonzero(rows))
        made.append(ReadSource(own, kept, path.parent, tasks, () if made else tuple(notes)))
    return made


def official_parts(values: NDArray[Any]) -> dict[Side | None, NDArray[np.bool_]]:
    """Return by official part its rows, (n,); None = the rows that are of no part."""
    parts: dict[Side | None, NDArray[np.bool_]] = {part: values == part for part in SIDES}
    parts[None] = ~np.logical_or.reduce(list(parts.values()))
    return {part: rows for part, rows in parts.items() if rows.any()}


def drawn_from(part: Side | None, parts: Mapping[Side | None, object]) -> Side | None:
    """Return the side of an official part; None where other parts still have to be drawn of it."""
    return None if part == "train" and not {*SIDES} <= {*parts} else part
