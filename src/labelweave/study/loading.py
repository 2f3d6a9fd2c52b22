"""From a study file to its data: tables, tasks, collection and the relations of a training set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data import (
    SUFFIXES,
    Collection,
    RowStore,
    Source,
    infer_tasks,
    prepare,
    read_folder,
    read_table,
    table_source,
)
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations import AnyRelation, join_tables
from labelweave.study.case_sources import ReadSource, brought_tasks, read_case
from labelweave.study.config import StudyConfig
from labelweave.study.given_relations import counted_relation, written_relations
from labelweave.study.inputs_section import InputsSection
from labelweave.study.sections import RelationSection
from labelweave.study.source_section import SourceSection
from labelweave.tasks import Multiclass, Task, task_from_dict


@dataclass(frozen=True)
class StudyData:
    """The data of a study, read and checked.

    Attributes:
        collection: all sources.
        known: relations that come from knowledge tables.
        counted: relations still to be counted or fitted on the training rows of each split.
        only: the tasks that take part, by name; empty = all. The labels of the others still shape
            the split, so that studies of other tasks have the same test rows, and are no inputs.
        stores: by column that is read, such as the paths of images, what its values became.
        notes: remarks on what was read, a line each.
    """

    collection: Collection
    known: tuple[AnyRelation, ...]
    counted: tuple[RelationSection, ...]
    only: tuple[str, ...] = ()
    stores: Mapping[str, RowStore] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that take part, classes known."""
        return tuple(t for t in self.collection.tasks if not self.only or t.name in self.only)

    @property
    def pairs(self) -> list[tuple[str, str]] | None:
        """The (source, target) pairs that the study names; None = it names none."""
        pairs = [(relation.source.name, relation.target.name) for relation in self.known]
        pairs += [(s.source, target) for s in self.counted for target in s.targets or ()]
        return pairs or None

    def relations(self, training: Annotations, *, strict: bool = True) -> tuple[AnyRelation, ...]:
        """Return all relations, counting those that come from the training rows' labels.

        Args:
            training: the training rows' labels.
            strict: a pair that no row carries both labels of is an error, else left out.

        Raises:
            LabelweaveError: a relation is to be counted, but no training row carries both labels.
        """
        counted = [
            counted_relation(training, section, target)
            for section in self.counted
            for target in section.targets or ()
            if strict or (training.labelled(section.source) & training.labelled(target)).any()
        ]
        relations = (*self.known, *counted)
        names = [relation.name for relation in relations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise LabelweaveError(f"key 'relations': found twice: {listing(twice)}, expected once")
        return relations


def load(config: StudyConfig, folder: Path) -> StudyData:
    """Read the tables of a study; paths are relative to `folder`.

    Raises:
        LabelweaveError: whatever is wrong with a table, in one line.
    """
    if not config.sources:
        raise LabelweaveError("key 'sources': found none, expected at least one")
    sources = [each for section in config.sources for each in _read(section, config.inputs, folder)]
    declared = config.tasks or brought_tasks(sources)
    if not declared:
        raise LabelweaveError("key 'tasks': found none, expected at least one")
    ready = prepare(
        [each.table for each in sources],
        [each.root for each in sources],
        [each.section.place for each in sources],
        config.inputs.media(),
        folder / (config.inputs.cache or f"{config.output}/cache"),
        skip=config.inputs.skip,
    )
    tables = ready.tables
    wanted = [task_from_dict(section.description()) for section in declared]
    tasks = infer_tasks(wanted, tables)
    _check_names(config, tasks)
    _check_columns(tasks, tables)
    collection = Collection(
        [
            _source(each.section, table, tasks, numbers, [*ready.stores])
            for each, table, numbers in zip(sources, tables, ready.numbers, strict=True)
        ]
    )
    notes = [*(note for each in sources for note in each.notes), *ready.notes]
    known = [
        relation
        for section in config.relations
        if section.written
        for relation in written_relations(section, folder, tasks)
    ]
    counted = tuple(section for section in config.relations if not section.written)
    known = join_tables(known)
    if not config.only:
        return StudyData(collection, tuple(known), counted, (), ready.stores, tuple(notes))
    names = {task.name for task in tasks if task.name in config.only}
    known = [r for r in known if {r.source.name, r.target.name} <= names]
    kept = [
        section.model_copy(update={"targets": [t for t in section.targets or () if t in names]})
        for section in counted
        if section.source in names
    ]
    return StudyData(
        collection, tuple(known), tuple(section for section in kept if section.targets),
        tuple(name for name in (task.name for task in tasks) if name in names),
        ready.stores, tuple(notes),
    )  # fmt: skip


def _read(section: SourceSection, inputs: InputsSection, folder: Path) -> list[ReadSource]:
    if section.path is None:
        return read_case(section, folder, None if inputs.image is None else inputs.image.column)
    path = folder / section.path
    if path.is_dir() and path.suffix.lower() not in SUFFIXES:
        if inputs.image is None:
            raise LabelweaveError(
                f"{path}: a folder of images, expected a key 'inputs.image' that says what they "
                "become, such as 'inputs: {image: {size: 224}}'"
            )
        table = read_folder(path, inputs.image.column, section.levels)
        return [ReadSource(section, table, path)]
    if section.levels:
        raise LabelweaveError(f"{path}: found 'folders' for it, expected a folder of images")
    return [ReadSource(section, read_table(path, section.missing), path.parent)]


def _source(
    section: SourceSection,
    table: pd.DataFrame,
    tasks: Sequence[Task],
    numbers: NDArray[np.int64],
    media: Sequence[str],
) -> Source:
    listed = None if section.inputs == "rest" else section.inputs
    source = table_source(
        section.called,
        table,
        tasks,
        inputs="rest" if listed is None else list(dict.fromkeys([*media, *listed])),
        group=section.group,
        exclude=section.exclude,
        split=section.split,
        missing=section.missing,
        place=section.place,
        numbers=numbers,
    )
    if section.tasks is None:
        return source
    return replace(source, annotations=source.annotations.keep(section.tasks))


def _check_columns(tasks: Sequence[Task], tables: Sequence[pd.DataFrame]) -> None:
    # a misspelt label would be missing everywhere, and its true column an input
    columns = list(dict.fromkeys(column for table in tables for column in table.columns))
    for task in tasks:
        for label in [task.name] if isinstance(task, Multiclass) else task.names:
            if label not in columns:
                raise LabelweaveError(
                    f"task '{task.name}': no table has a column '{label}'{nearest(label, columns)}"
                )


def _check_names(config: StudyConfig, tasks: Sequence[Task]) -> None:
    names = [task.name for task in tasks]
    places = [
        (f"relations.{i}", name)
        for i, section in enumerate(config.relations)
        for name in (section.source, *(section.targets or ()))
    ]
    places += [("only", name) for name in config.only]
    places += [
        (f"scatter.{i}.tasks", name) for i, part in enumerate(config.scatter) for name in part.tasks
    ]
    places += [
        (f"sources.{i}.tasks", name)
        for i, section in enumerate(config.sources)
        for name in section.tasks or ()
    ]
    for place, name in places:
        if name not in names:
            raise LabelweaveError(
                f"key '{place}': no task '{name}', expected {listing(names)}{nearest(name, names)}"
            )
