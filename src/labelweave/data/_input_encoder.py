"""The inputs of a network where some are images or texts: each read by its column's own way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._files import write_csv
from labelweave._messages import Message, Text, some
from labelweave._shapes import Shape
from labelweave.data._collection import Source
from labelweave.data._image_files import ImageFormat
from labelweave.data._media_columns import (
    EncodedImageColumn,
    ImageColumn,
    MediaColumn,
    Stored,
    TextColumn,
    TokenColumn,
)
from labelweave.data._row_store import (
    Block,
    Inputs,
    KeptRows,
    RowStore,
    StoredInputs,
    Unread,
    as_keys,
)
from labelweave.data._table_encoder import TableEncoder
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables import Schema

ROWS = 4096  # rows looked at together when means and deviations are learnt


class Encoder(Protocol):
    """Turns raw rows into a network's inputs; knows what it learnt from training rows.

    Attributes:
        notes_: messages about the training rows, a line each.
        schema: what raw tables are read by before; None = they are taken as they are.
    """

    notes_: list[Text]
    schema: Schema | None

    @property
    def shape_(self) -> Shape:
        """The form of the inputs, as a network needs it."""
        ...

    def transform(self, inputs: pd.DataFrame) -> Inputs:
        """Return the inputs of n raw rows."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, ready for JSON."""
        ...


class InputEncoder:
    """Images or texts, or features of both side by side with those of the other columns.

    Features are standardised by the training rows. Pixels and tokens stay as they are.

    Args:
        columns: the columns to be read; one that gives images or tokens stands alone.
        table: what the other columns become; None = they are no inputs.

    Attributes:
        notes_: messages about the training rows, a line each.
    """

    def __init__(self, columns: Sequence[MediaColumn], table: TableEncoder | None = None) -> None:
        self.columns, self.table = tuple(columns), table
        self.notes_: list[Text] = []
        self.schema: Schema | None = None
        self.statistics_: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def fit(self, inputs: pd.DataFrame, stores: Mapping[str, RowStore]) -> Self:
        """Learn from training rows.

        Args:
            inputs: the raw rows, with keys of `stores` in the place of what is read.
            stores: by column what its values became.

        Raises:
            LabelweaveError: images together with other columns, or columns that cannot be encoded.
        """
        media = [each.column for each in self.columns]
        rest = inputs.drop(columns=media)
        alone = [each for each in self.columns if each.alone is not None]
        if alone and (len(media) > 1 or len(rest.columns)):
            column = alone[0].column
            kind = "texts" if isinstance(alone[0], TokenColumn) else "images"
            others = [name for name in inputs.columns if name != column]
            raise LabelweaveError(
                f"inputs: found {listing(others)} next to the {kind} of column '{column}', which "
                f"go to the network as they are; exclude the others, or give the {kind} an encoder"
            )
        self.table = (self.table or TableEncoder()).fit(rest) if len(rest.columns) else None
        self.notes_ = list(self.table.notes_) if self.table else []
        for each in self.columns:
            if each.alone is None:
                store = stores[each.column]
                rows = store.find(list(inputs[each.column]))
                self.statistics_[each.column] = _statistics(store.array(), rows)
        return self

    @property
    def shape_(self) -> Shape:
        """The form of the inputs, as a network needs it."""
        if (alone := self.columns[0].alone) is not None:
            return alone
        features = sum(each.shape[0] for each in self.columns)
        return features + (len(self.table.names_) if self.table else 0)

    def transform(
        self, inputs: pd.DataFrame, stores: Mapping[str, KeptRows] | None = None
    ) -> StoredInputs:
        """Return the inputs of n raw rows.

        Args:
            inputs: the rows; columns that `fit` has not seen are ignored.
            stores: by column where its values, which are keys then, are found; values of other
                columns are read when they are wanted.

        Raises:
            LabelweaveError: a column or a value is missing.
        """
        blocks: list[Block | Unread] = []
        for each in self.columns:
            if each.column not in inputs.columns:
                raise LabelweaveError(
                    f"no input column '{each.column}', found {listing(inputs.columns)}"
                    f"{nearest(each.column, inputs.columns)}"
                )
            values = inputs[each.column]
            mean, scale = self.statistics_.get(each.column, (None, None))
            if stores is None or each.column not in stores:
                blocks.append(Unread(each, _texts(each.resolved(values, Path())), mean, scale))
            else:
                store = stores[each.column]
                keys = list(values)
                blocks.append(Block(store.array(), store.find(keys), as_keys(keys), mean, scale))
        if self.table is not None:
            features = self.table.transform(inputs)
            blocks.append(Block(features, np.arange(len(features)), features))
        return StoredInputs(blocks)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings and all that was learnt, ready for JSON."""
        return {
            "media": [each.to_dict() for each in self.columns],
            "statistics": {
                name: [part.tolist() for part in parts] for name, parts in self.statistics_.items()
            },
            "table": self.table.to_dict() if self.table else None,
            "notes": [str(note) for note in self.notes_],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Return the encoder that `to_dict` described.

        Raises:
            LabelweaveError: an entry is missing, or makes no sense.
        """
        try:
            table = TableEncoder.from_dict(state["table"]) if state["table"] else None
            encoder = cls([_media(each) for each in state["media"]], table)
            encoder.statistics_ = {
                name: (np.asarray(mean, np.float32), np.asarray(scale, np.float32))
                for name, (mean, scale) in state["statistics"].items()
            }
            encoder.notes_ = list(state["notes"])
        except KeyError as error:
            raise LabelweaveError(f"input encoder: entry {error} is missing") from None
        return encoder


def encoder_from_dict(state: dict[str, Any]) -> Encoder:
    """Return the encoder, of whichever kind, that a `to_dict` described."""
    return InputEncoder.from_dict(state) if "media" in state else TableEncoder.from_dict(state)


def _media(state: Mapping[str, Any]) -> MediaColumn:
    """Return the column that its `to_dict` described; raise KeyError when an entry is missing."""
    encoder = [state[name] for name in ("encoder", "model", "width")] if "encoder" in state else []
    if state["kind"] == "tokens":
        return TokenColumn(**{name: value for name, value in state.items() if name != "kind"})
    if state["kind"] == "text":
        return TextColumn(state["column"], *encoder)
    if state["kind"] == "image":
        kind = EncodedImageColumn if encoder else ImageColumn
        return kind(state["column"], ImageFormat(**state["form"]), *encoder)
    raise LabelweaveError(f"input encoder: a column of kind '{state['kind']}', expected an image")


def _texts(values: "pd.Series[Any]") -> NDArray[np.object_]:
    missing = np.flatnonzero(values.isna())
    if missing.size:
        raise LabelweaveError(f"row {missing[0] + 1}, column '{values.name}': found nothing")
    return np.array([str(value) for value in values], dtype=object)


def _statistics(
    array: NDArray[Any], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of each feature, (d,); 1 for a constant feature."""
    total, squares = np.zeros(array.shape[1]), np.zeros(array.shape[1])
    parts = [rows[i : i + ROWS] for i in range(0, len(rows), ROWS)]
    for part in parts:
        total += array[part].sum(axis=0, dtype=np.float64)
    mean = total / len(rows)
    for part in parts:
        squares += np.square(array[part] - mean).sum(axis=0)
    scale = np.sqrt(squares / len(rows))
    scale[scale < 1e-6] = 1.0
    return mean.astype(np.float32), scale.astype(np.float32)


NAMED = 20  # damaged files that a note names; all are in DAMAGED
DAMAGED = "damaged.csv"


@dataclass
class Prepared:
    """Tables whose media columns hold the keys of what was read.

    Attributes:
        tables: the tables, without the rows that are left out.
        numbers: the number, from 1, that each row has in its file.
        stores: by column what its values became.
        notes: which rows are left out, a line a table.
    """

    tables: list[pd.DataFrame]
    numbers: list[NDArray[np.int64]]
    stores: dict[str, RowStore] = field(default_factory=dict)
    notes: list[Text] = field(default_factory=list)


def prepare(
    tables: Sequence[pd.DataFrame],
    roots: Sequence[Path],
    places: Sequence[str],
    columns: Sequence[MediaColumn],
    cache: Path,
    *,
    skip: bool = False,
    jobs: int | None = None,
    progress: bool = True,
) -> Prepared:
    """Read what the media columns of tables name, once, into a cache.

    Args:
        tables: tables with the columns.
        roots: what paths in each table are relative to.
        places: what errors call each table.
        columns: the columns, and how they are read; none = the tables come back as they are.
        cache: the folder to keep what was read in.
        skip: leave rows out whose value is missing or cannot be read; else that is an error.
        jobs: processes; None = one a core.
        progress: show a bar when on a terminal.

    Raises:
        LabelweaveError: a table lacks a column, or a value cannot be used.
    """
    ready = Prepared(list(tables), [np.arange(1, len(table) + 1) for table in tables])
    reasons: list[dict[int, tuple[str, str]]] = [{} for _ in tables]  # by row: value and reason
    for each in columns:
        for table, place in zip(tables, places, strict=True):
            _require(each.column, table, place)
        values = [
            each.resolved(table[each.column], root.absolute())
            for table, root in zip(tables, roots, strict=True)
        ]
        present = [str(value) for part in values for value in part.dropna()]
        stored = each.store(present, cache, jobs=jobs, progress=progress)
        ready.stores[each.column] = stored.store
        keys = dict(zip(present, stored.keys, strict=True))
        for number, part in enumerate(values):
            found = [None if pd.isna(value) else keys[str(value)] for value in part]
            ready.tables[number] = ready.tables[number].assign(
                **{each.column: pd.Series(found, index=part.index, dtype=object)}
            )
            for row in np.flatnonzero([key is None for key in found]):
                reasons[number].setdefault(int(row), _reason(part.iloc[row], each, stored))
    for number, (table, place) in enumerate(zip(ready.tables, places, strict=True)):
        if not reasons[number]:
            continue
        if not skip:
            raise LabelweaveError(_first(reasons[number], place))
        if len(reasons[number]) == len(table):
            raise LabelweaveError(f"{_first(reasons[number], place)}; no row is left")
        kept = np.setdiff1d(np.arange(len(table)), list(reasons[number]))
        ready.tables[number] = table.iloc[kept].reset_index(drop=True)
        ready.numbers[number] = ready.numbers[number][kept]
        names = [name for name, _ in reasons[number].values()]
        ready.notes.append(
            Message(
                "note.not_readable", {"place": place, "n": len(names), "names": some(names, NAMED)}
            )
        )
    if ready.notes:
        _write_damaged(reasons, places, cache / DAMAGED)
    return ready


def prepare_sources(
    sources: Sequence[Source],
    columns: Sequence[MediaColumn],
    cache: Path,
    *,
    skip: bool = False,
    progress: bool = True,
) -> tuple[list[Source], Prepared]:
    """Return sources with what `prepare` makes of their inputs, and its result.

    Paths are relative to the working folder; the other arguments are those of `prepare`.
    """
    if not columns:
        return list(sources), Prepared([], [])
    ready = prepare(
        [each.inputs for each in sources],
        [Path()] * len(sources),
        [f"source '{each.name}'" for each in sources],
        columns, cache, skip=skip, progress=progress,
    )  # fmt: skip
    made = []
    for each, table, numbers in zip(sources, ready.tables, ready.numbers, strict=True):
        kept = numbers - 1
        groups = None if each.groups is None else each.groups[kept]
        labels = each.annotations[kept]
        made.append(Source(each.name, table, labels, groups, each.split, each.numbers[kept]))
    return made, ready


def _require(column: str, table: pd.DataFrame, place: str) -> None:
    if column not in table.columns:
        raise LabelweaveError(
            f"{place}: no column '{column}', found {listing(table.columns)}"
            f"{nearest(column, table.columns)}"
        )


def _reason(value: object, column: MediaColumn, stored: Stored) -> tuple[str, str]:
    if pd.isna(value):  # type: ignore[call-overload]
        return "", f"column '{column.column}' is empty, expected a path"
    return str(value), stored.damaged[str(value)]


def _first(reasons: dict[int, tuple[str, str]], place: str) -> str:
    row = min(reasons)
    name, reason = reasons[row]
    more = len(reasons) - 1
    others = f" (and {more} more such row{'s' * (more > 1)})" if more else ""
    found = f"{name}: {reason}" if name else reason
    return f"{place}: row {row + 1}: {found}{others}; 'on_error: skip' leaves such rows out"


def _write_damaged(
    reasons: Sequence[dict[int, tuple[str, str]]], places: Sequence[str], path: Path
) -> None:
    rows = [
        (place, row + 1, *reason)
        for place, found in zip(places, reasons, strict=True)
        for row, reason in sorted(found.items())
    ]
    write_csv(path, pd.DataFrame(rows, columns=["source", "row", "file", "reason"]))
