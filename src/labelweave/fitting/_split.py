"""A split: everything that the methods of one seed share, so that they can be compared in pairs."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave._messages import Message, Text
from labelweave.annotations import Annotations
from labelweave.data import Collection, Coverage, Inputs, split_rows
from labelweave.data._input_encoder import Encoder, InputEncoder
from labelweave.data._row_store import RowStore, StoredInputs
from labelweave.data._splitting import stratify, unit_labels
from labelweave.data._table_encoder import TableEncoder
from labelweave.fitting._inputs import InputsSection
from labelweave.relations import AnyRelation, Noise, NoisyOr, TransferWeights
from labelweave.relations._graph import acyclic


@dataclass(frozen=True)
class Rows:
    """Encoded inputs and annotations of the same n rows of a collection.

    Attributes:
        inputs: the encoded inputs, (n, d), or stored ones of any shape.
        annotations: the labels.
        index: the rows' places in the collection.
        groups: the codes of the rows' groups there.
    """

    inputs: Inputs
    annotations: Annotations
    index: NDArray[np.int64]
    groups: NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The data of one seed.

    Attributes:
        seed: the seed.
        encoder: fitted on the training rows.
        train: the training rows with the labels that the methods may see.
        source: the source (or scattered part) of each training row.
        source_names: the names behind `source`.
        everything: the training rows' labels before the study hid some; None = nothing hidden.
        validation: rows for early stopping, thresholds and temperatures; may be empty.
        test: rows to compare on.
        relations: the relations between the tasks.
        notes: messages on the split and the inputs, one line each.
        noise: how the training rows' labels err, by `source`; the relations are of clean labels.
        transfer_weights: per task how much it has to learn through the relations, where
            that was measured.
        sample_weight: (n,) how much each training row counts; None = all alike.
    """

    seed: int
    encoder: Encoder
    train: Rows
    source: NDArray[np.int64]
    source_names: tuple[str, ...]
    everything: Annotations | None
    validation: Rows
    test: Rows
    relations: tuple[AnyRelation, ...]
    notes: tuple[Text, ...]
    noise: tuple[Noise, ...] = ()
    transfer_weights: TransferWeights = field(default_factory=dict)
    sample_weight: NDArray[np.float64] | None = None

    def coverage(self) -> Coverage:
        """Return the coverage of the training rows, by source or scattered part."""
        return Coverage(self.train.annotations, self.source, self.source_names)

    def fingerprint(self) -> dict[str, str]:
        """Return a hash of each part: data, groups, hidden labels, relations, noise, weights.

        A method's run depends on the data, and on the others as far as the method uses them.
        """
        schema = "" if self.encoder.schema is None else self.encoder.schema.described()
        encoder = _without_notes(self.encoder.to_dict())
        described = repr((self.seed, self.train.annotations.tasks, encoder, schema))
        data: list[bytes | NDArray[Any]] = [described.encode(), self.source]
        for rows in (self.train, self.validation, self.test):
            inputs = rows.inputs
            data += inputs.content() if isinstance(inputs, StoredInputs) else [inputs]
            data += [rows.index, *_codes(rows.annotations)]
        weights = [part for name, w in self.transfer_weights.items() for part in (name.encode(), w)]
        noise = [part for n in self.noise for part in (n.task.name.encode(), n.confusion)]
        return {
            "data": content_hash(data),
            "groups": content_hash([self.train.groups]),
            "hidden": content_hash(_codes(self.everything) if self.everything else []),
            "relations": relations_hash(self.relations),
            "noise": content_hash(noise),
            "transfer_weights": content_hash(weights),
        }


def _without_notes(state: dict[str, Any]) -> dict[str, Any]:
    """Return an encoder without its messages: another wording must not train a run again."""
    kept = {key: value for key, value in state.items() if key != "notes"}
    if isinstance(kept.get("table"), dict):
        kept["table"] = _without_notes(kept["table"])
    return kept


def _codes(annotations: Annotations) -> list[NDArray[Any]]:
    return [annotations.labels[task.name] for task in annotations.tasks]


def relations_hash(relations: Sequence[AnyRelation]) -> str:
    """Return a hash of relations: tasks, strengths and tables."""
    parts: list[bytes | NDArray[Any]] = []
    for relation in relations:
        head = f"{relation.name} {relation.strength}"
        table = relation.weights if isinstance(relation, NoisyOr) else relation.table
        parts += [head.encode(), table, relation.mask]
        if isinstance(relation, NoisyOr):
            parts.append(relation.leak)
    return content_hash(parts)


def content_hash(parts: Sequence[bytes | NDArray[Any]]) -> str:
    """Return a hash of texts and arrays, of their types and shapes, too."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(repr((part.shape, part.dtype.str)).encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def make_training_split(
    collection: Collection,
    source: NDArray[np.int64],
    relations: tuple[AnyRelation, ...],
    inputs: InputsSection,
    seed: int,
    *,
    validation: float | int = 0,
    stores: Mapping[str, RowStore] | None = None,
) -> Split:
    """Split off validation rows and encode; nothing is set aside for a test.

    Args:
        collection: the rows.
        source: the source of each row, (n,), for sampling.
        relations: the relations between the tasks.
        inputs: how columns become inputs.
        seed: the seed.
        validation: share or number of validation rows.
        stores: by column that is read what its values became.

    Raises:
        LabelweaveError: a split that the labels do not allow, or inputs that cannot be encoded.
    """
    parts = split_rows(collection, test=0, validation=validation, seed=seed)
    encoder, encode = fitted_encoder(inputs, collection, parts.train, stores or {})
    train, held, test = (
        Rows(encode(i), collection.annotations[i], i, collection.groups[i])
        for i in (parts.train, parts.validation, parts.test)
    )
    names = tuple(f"rows {i}" for i in range(int(source.max(initial=0)) + 1))
    kept, doubled = without_cycles(relations)
    notes = (*collection.schema.notes, *encoder.notes_, *parts.notes, *doubled)
    return Split(seed, encoder, train, source[parts.train], names, None, held, test, kept, notes)


def without_cycles(
    relations: Sequence[AnyRelation],
) -> tuple[tuple[AnyRelation, ...], list[Message]]:
    """Return the relations that count no evidence twice, and a note on each of the others."""
    kept, left_out = acyclic(relations, {r.name: r.strength for r in relations})
    notes = [
        Message("note.left_out", {"relation": n, "reason": why}) for n, why in left_out.items()
    ]
    return tuple(kept), notes


def fitted_encoder(
    section: InputsSection,
    collection: Collection,
    rows: NDArray[np.int64],
    stores: Mapping[str, RowStore],
) -> tuple[Encoder, Callable[[NDArray[np.int64]], Inputs]]:
    """Return the encoder, fitted on some rows, and what encodes rows by their numbers."""
    table = TableEncoder(
        categorical=[*section.categorical, *section.hashed],
        clip=section.clip,
        max_categories=section.max_categories,
        scale=section.scale,
    )
    media, inputs = section.media(), collection.inputs
    if not media:
        table.fit(inputs.iloc[rows])
        table.schema = collection.schema.excluding(table.left_out_)
        return table, lambda index: table.transform(inputs.iloc[index])
    encoder = InputEncoder(media, table).fit(inputs.iloc[rows], stores)
    encoder.schema = collection.schema.excluding(encoder.table.left_out_ if encoder.table else ())
    return encoder, lambda index: encoder.transform(inputs.iloc[index], stores)


STREAM = 11  # its own random numbers, not those that mask labels


def held_out(split: Split, parts: int) -> Iterator[tuple[Split, NDArray[np.int64]]]:
    """Give for each part the split that trains on the other parts and tests on it, and its rows.

    Every label is spread evenly over the parts: of two rows of a class, one trains when the other
    is held out. Rows of one group are held out together.

    Args:
        split: the data of one seed.
        parts: number of parts, at least 2.
    """
    _, unit = np.unique(split.train.groups, return_inverse=True)
    labels = unit_labels(split.train.annotations, split.source, unit)
    rng = np.random.default_rng([split.seed, STREAM])
    part = stratify(labels, np.bincount(unit), np.ones(parts, dtype=np.int64), rng)[unit]
    for number in range(parts):
        kept, out = np.flatnonzero(part != number), np.flatnonzero(part == number)
        inner = replace(
            split, train=some_rows(split.train, kept), source=split.source[kept], everything=None,
            test=some_rows(split.train, out), relations=(),
            sample_weight=None if split.sample_weight is None else split.sample_weight[kept],
        )  # fmt: skip
        yield inner, out


def some_rows(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    """Return some of the rows."""
    return Rows(
        rows.inputs[chosen], rows.annotations[chosen], rows.index[chosen], rows.groups[chosen]
    )
