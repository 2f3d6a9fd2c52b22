"""A fold: everything that the arms of one seed share, so that they can be compared in pairs."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data import Coverage, Part, TableEncoder, leak_check, scatter, split
from labelweave.relations import Relation
from labelweave.study.config import StudyConfig
from labelweave.study.loading import StudyData

Inputs = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """Encoded inputs (n, d) and annotations of the same n rows; `index`: rows of the collection."""

    inputs: Inputs
    annotations: Annotations
    index: NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """The data of one seed.

    Attributes:
        seed: the seed.
        encoder: fitted on the training rows.
        train: the training rows with the labels that the arms may see.
        source: the source (or scattered part) of each training row.
        source_names: the names behind `source`.
        everything: the training rows' labels before the study hid some; None = nothing hidden.
        validation: rows for early stopping and thresholds; may be empty.
        test: rows to compare on.
        relations: the relations between the tasks.
        notes: remarks on the split and the inputs, one line each.
    """

    seed: int
    encoder: TableEncoder
    train: Rows
    source: NDArray[np.int64]
    source_names: tuple[str, ...]
    everything: Annotations | None
    validation: Rows
    test: Rows
    relations: tuple[Relation, ...]
    notes: tuple[str, ...]

    def coverage(self) -> Coverage:
        """Return the coverage of the training rows, by source or scattered part."""
        return Coverage(self.train.annotations, self.source, self.source_names)

    def fingerprint(self) -> str:
        """Return a hash of all the content that a run's result depends on."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((self.seed, self.train.annotations.tasks)).encode())
        for rows in (self.train, self.validation, self.test):
            digest.update(repr(rows.inputs.shape).encode())
            digest.update(np.ascontiguousarray(rows.inputs).data)
            _update(digest, rows.annotations)
        if self.everything is not None:
            _update(digest, self.everything)
        digest.update(np.ascontiguousarray(self.source).data)
        for relation in self.relations:
            digest.update(f"{relation.name} {relation.strength}".encode())
            digest.update(np.ascontiguousarray(relation.table).data)
            digest.update(np.ascontiguousarray(relation.mask).data)
        return digest.hexdigest()


def _update(digest: "hashlib.blake2b", annotations: Annotations) -> None:
    for task in annotations.tasks:
        digest.update(np.ascontiguousarray(annotations.labels[task.name]).data)


def make_fold(config: StudyConfig, data: StudyData, seed: int) -> Fold:
    """Split, scatter and encode a study's data for one seed.

    Raises:
        LabelweaveError: a split or scattering that the labels do not allow, or a leak where the
            study says that leaks are errors.
    """
    collection = data.collection
    parts = split(collection, test=config.split.test, validation=config.split.validation, seed=seed)
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
            notes.append(
                "labels are hidden from training rows only: validation rows keep all of theirs"
            )
    encoder = TableEncoder(
        categorical=config.inputs.categorical,
        clip=config.inputs.clip,
        max_categories=config.inputs.max_categories,
    ).fit(collection.inputs.iloc[rows])
    notes += encoder.notes_

    def encoded(index: NDArray[np.int64], labels: Annotations) -> Rows:
        return Rows(encoder.transform(collection.inputs.iloc[index]), labels, index)

    return Fold(
        seed=seed,
        encoder=encoder,
        train=encoded(rows, annotations),
        source=source,
        source_names=names,
        everything=everything,
        validation=encoded(parts.validation, collection.annotations[parts.validation]),
        test=encoded(parts.test, collection.annotations[parts.test]),
        relations=data.relations(annotations),
        notes=tuple(notes),
    )
