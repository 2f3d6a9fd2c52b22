"""The inputs of a network where some are images or texts: each read by its column's own way."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.data.encoder import TableEncoder
from labelweave.data.image_columns import EncodedImageColumn, ImageColumn
from labelweave.data.image_files import ImageFormat
from labelweave.data.media import MediaColumn
from labelweave.data.row_store import RowStore
from labelweave.data.stored_inputs import Block, Inputs, StoredInputs, Unread, as_keys
from labelweave.data.text_column import TextColumn
from labelweave.data.token_column import TokenColumn
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.shapes import Shape

ROWS = 4096  # rows looked at together when means and deviations are learnt


class Encoder(Protocol):
    """Turns raw rows into a network's inputs; knows what it learnt from training rows.

    Attributes:
        notes_: remarks about the training rows, a line each.
    """

    notes_: list[str]

    @property
    def shape_(self) -> Shape:
        """What a network is told of the inputs."""
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
        notes_: remarks about the training rows, a line each.
    """

    def __init__(self, columns: Sequence[MediaColumn], table: TableEncoder | None = None) -> None:
        self.columns, self.table = tuple(columns), table
        self.notes_: list[str] = []
        self.statistics_: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def fit(self, inputs: pd.DataFrame, stores: Mapping[str, RowStore]) -> Self:
        """Learn from training rows.

        Args:
            inputs: the raw rows, with keys of `stores` in the place of what is read.
            stores: by column what its values became.

        Raises:
            LabelweaveError: images with other columns beside them, or those cannot be encoded.
        """
        media = [each.column for each in self.columns]
        rest = inputs.drop(columns=media)
        alone = [each for each in self.columns if each.alone is not None]
        if alone and (len(media) > 1 or len(rest.columns)):
            column = alone[0].column
            kind = "texts" if isinstance(alone[0], TokenColumn) else "images"
            others = [name for name in inputs.columns if name != column]
            raise LabelweaveError(
                f"inputs: found {listing(others)} beside the {kind} of column '{column}', which "
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
        """What a network is told of the inputs."""
        if (alone := self.columns[0].alone) is not None:
            return alone
        features = sum(each.shape[0] for each in self.columns)
        return features + (len(self.table.names_) if self.table else 0)

    def transform(
        self, inputs: pd.DataFrame, stores: Mapping[str, RowStore] | None = None
    ) -> StoredInputs:
        """Return the inputs of n raw rows.

        Args:
            inputs: the rows; columns that `fit` has not seen are ignored.
            stores: by column where its values, which are keys then, are found; None = they are
                read when they are wanted.

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
            if stores is None:
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
            "notes": self.notes_,
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
