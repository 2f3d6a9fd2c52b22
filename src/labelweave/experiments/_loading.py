"""From a study file to its data: tables, tasks, collection and the relations of a training set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._messages import Message, Text
from labelweave.annotations import Annotations
from labelweave.data import (
    Collection,
    Part,
    Source,
    infer_tasks,
    leak_check,
    scatter,
    split_rows,
)
from labelweave.data._collection import label_columns
from labelweave.data._input_encoder import prepare
from labelweave.data._row_store import RowStore
from labelweave.data._table_sources import frame_source
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._sections import RelationSection, SourceSection
from labelweave.experiments._source_files import ReadSource, brought_tasks, read_sources
from labelweave.fitting._split import Rows, Split, fitted_encoder, without_cycles
from labelweave.relations import (
    AnyRelation,
    count_relation,
    estimate_noisy_or,
    known_table,
    read_relations,
)
from labelweave.relations._operations import join_tables
from labelweave.tables import Roles, Schema
from labelweave.tasks import Multiclass, Task, task_from_dict


def written_relations(
    section: RelationSection, folder: Path, tasks: Sequence[Task]
) -> list[AnyRelation]:
    """Return the relations of a table, the user's own or one that ships.

    Args:
        section: what the study file says.
        folder: what the table's path is relative to.
        tasks: the study's tasks, classes known.

    Raises:
        LabelweaveError: whatever is wrong with the table, in one line.
    """
    table: Path | pd.DataFrame = folder / (section.table or "")
    origin: Text | None = None
    if section.known is not None:
        known = known_table(section.known, vocabulary=section.vocabulary)
        table = known.frame
        values = {"table": section.known, "vocabulary": known.vocabulary}
        origin = Message("message.known_table", values)
        if section.vocabulary is None:
            speaker = next(task for task in tasks if task.name == section.source)
            labels = [name for task in tasks if task is not speaker for name in task.names]
            table, origin = known.restricted(speaker.names, labels), section.known
    relations = read_relations(
        table,
        section.source,
        tasks,
        targets=section.targets,
        strength=section.strength,
        read=section.read.options(),
    )
    return [replace(each, origin=origin or each.origin) for each in relations]


def counted_relation(training: Annotations, section: RelationSection, target: str) -> AnyRelation:
    """Return a relation found on rows that carry both labels: a table counted, a noisy-OR fitted.

    Args:
        training: the training rows' labels.
        section: what the study file says.
        target: the task that the relation predicts.

    Raises:
        LabelweaveError: no training row carries both labels.
    """
    estimate = (
        count_relation
        if isinstance(training.task(section.source), Multiclass)
        else estimate_noisy_or
    )
    return estimate(
        training, section.source, target, smoothing=section.smoothing, strength=section.strength
    )


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
        notes: messages on what was read, a line each.
    """

    collection: Collection
    known: tuple[AnyRelation, ...]
    counted: tuple[RelationSection, ...]
    only: tuple[str, ...] = ()
    stores: Mapping[str, RowStore] = field(default_factory=dict)
    notes: tuple[Text, ...] = ()

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


Typed = tuple[Schema, Sequence[pd.DataFrame]]


def schema_of_study(
    config: StudyConfig, sources: Sequence[ReadSource], tasks: Sequence[Task]
) -> Typed:
    """Return the schema of all sources together, and their tables by it.

    Raises:
        LabelweaveError: a value that its column cannot hold.
    """
    schema = Schema.infer([each.table for each in sources], known_roles(config, sources, tasks))
    applied = []
    for each in sources:
        with in_place(each.section.place):
            applied.append(schema.apply(each.table))
    return schema, applied


def load_data(
    config: StudyConfig,
    folder: Path,
    sources: Sequence[ReadSource] | None = None,
    tables: Typed | None = None,
) -> StudyData:
    """Read the tables of a study; paths are relative to `folder`.

    Args:
        config: the settings.
        folder: what paths are relative to.
        sources: the sources, where they are read already (`read_sources`).
        tables: the schema and the tables, where they are known already (`typed`).

    Raises:
        LabelweaveError: whatever is wrong with a table, in one line.
    """
    if sources is None:
        sources = read_sources(config, folder)
    declared = config.tasks or brought_tasks(sources)
    if not declared:
        raise LabelweaveError("key 'tasks': found none, expected at least one")
    wanted = [task_from_dict(section.description()) for section in declared]
    schema, applied = tables or schema_of_study(config, sources, wanted)
    ready = prepare(
        applied,
        [each.root for each in sources],
        [each.section.place for each in sources],
        config.inputs.media(),
        folder / (config.inputs.cache or f"{config.output}/cache"),
        skip=config.inputs.skip,
    )
    tasks = infer_tasks(wanted, ready.tables)
    _check_names(config, tasks)
    _check_columns(tasks, ready.tables)
    made = [
        _source(each.section, table, tasks, numbers, [*ready.stores], schema)
        for each, table, numbers in zip(sources, ready.tables, ready.numbers, strict=True)
    ]
    _check_withheld([each.section for each in sources], made)
    collection = Collection(made, schema)
    notes = [note for each in sources for note in (*each.table.notes, *each.notes)]
    notes += [*schema.notes, *ready.notes]
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


def known_roles(config: StudyConfig, sources: Sequence[ReadSource], tasks: Sequence[Task]) -> Roles:
    """Return the columns' roles in the study file; what no source takes as an input is excluded."""
    sections = [each.section for each in sources]
    labels = {column: task.name for task in tasks for column in label_columns(task)}
    roles = config.inputs.roles(labels)
    taken = {*roles.text, *roles.image}
    for each in sources:
        own = {*each.section.exclude, *each.section.identifier, each.section.group}
        listed = each.table.columns if each.section.inputs == "rest" else each.section.inputs
        taken |= {column for column in listed if column not in own}
    every = {column for each in sources for column in each.table.columns}
    return replace(
        roles,
        groups={section.group for section in sections if section.group is not None},
        identifiers={column for section in sections for column in section.identifier},
        excluded=every - taken,
    )


def _check_withheld(sections: Sequence[SourceSection], sources: Sequence[Source]) -> None:
    # the other source's rows would lack it, and what was left out there would decide here
    for section in sections:
        roles = dict.fromkeys(section.exclude, "excluded")
        roles |= dict.fromkeys(section.identifier, "an identifier")
        if section.group is not None:
            roles[section.group] = "the group"
        for other, source in zip(sections, sources, strict=True):
            for column in source.inputs.columns:
                if column in roles:
                    raise LabelweaveError(
                        f"{other.place}: column '{column}' would be an input, but is "
                        f"{roles[column]} in {section.place}; exclude it here as well"
                    )


def _source(
    section: SourceSection,
    table: pd.DataFrame,
    tasks: Sequence[Task],
    numbers: NDArray[np.int64],
    media: Sequence[str],
    schema: Schema,
) -> Source:
    listed = None if section.inputs == "rest" else section.inputs
    if listed is not None:
        listed = [part for name in listed for part in schema.made_of(name)]
    source = frame_source(
        section.called,
        table,
        tasks,
        "rest" if listed is None else list(dict.fromkeys([*media, *listed])),
        section.group,
        [*section.exclude, *section.identifier],
        section.split,
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


def make_split(config: StudyConfig, data: StudyData, seed: int) -> Split:
    """Split, scatter and encode a study's data for one seed.

    Raises:
        LabelweaveError: a split or scattering that the labels do not allow, or a leak where the
            study says that leaks are errors.
    """
    collection = data.collection
    parts = split_rows(
        collection,
        test=config.split.test,
        validation=config.split.validation,
        seed=seed,
        folds=config.split.folds,
    )
    notes = [*parts.notes, *leak_check(collection, parts, on_leak=config.split.on_leak)]
    rows, source = parts.train, collection.source[parts.train]
    names, annotations = tuple(collection.names), collection.annotations[rows]
    everything: Annotations | None = None
    if config.scatter:
        wanted = [Part(p.name, tuple(p.tasks), p.per_class, p.rows) for p in config.scatter]
        scattered = scatter(collection.annotations, rows, wanted, seed)
        rows, source, names = scattered.rows, scattered.source, scattered.names
        annotations, everything = scattered.annotations, collection.annotations[rows]
        notes += scattered.notes
        if len(parts.validation):
            notes.append(Message("note.validation_keeps"))
    kept = [task.name for task in data.tasks]
    annotations = annotations.only(kept)
    everything = everything.only(kept) if everything is not None else None
    encoder, encode = fitted_encoder(config.inputs, collection, rows, data.stores)
    notes += [*data.notes, *encoder.notes_]
    given = data.relations(annotations, strict=config.needs_given_relations())
    relations, doubled = without_cycles(given)
    notes += doubled

    def encoded(index: NDArray[np.int64], labels: Annotations) -> Rows:
        return Rows(encode(index), labels.only(kept), index, collection.groups[index])

    return Split(
        seed=seed,
        encoder=encoder,
        train=encoded(rows, annotations),
        source=source,
        source_names=names,
        everything=everything,
        validation=encoded(parts.validation, collection.annotations[parts.validation]),
        test=encoded(parts.test, collection.annotations[parts.test]),
        relations=relations,
        notes=tuple(notes),
    )
