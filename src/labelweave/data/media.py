"""Columns that are no features themselves: what to read for their values, and what that becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.data.image_cache import cache_images
from labelweave.data.image_files import ImageFormat, UnreadableImageError, decode, read_bytes
from labelweave.data.row_store import RowStore
from labelweave.errors import LabelweaveError


class Stored(NamedTuple):
    """What became of the n values of a column.

    Attributes:
        store: the rows.
        keys: the key of each value's row; None = it cannot be used.
        damaged: by value, why it cannot be used.
    """

    store: RowStore
    keys: list[str | None]
    damaged: dict[str, str]


class MediaColumn(Protocol):
    """A column whose values stand for something to be read.

    Attributes:
        is_path: whether its values are paths.
    """

    is_path: ClassVar[bool]

    @property
    def column(self) -> str:
        """Its name."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what a value becomes."""
        ...

    def store(
        self, values: Sequence[str], cache: Path, *, jobs: int | None, progress: bool
    ) -> Stored:
        """Read all values once, and keep what they become."""
        ...

    def read(self, values: Sequence[str]) -> NDArray[Any]:
        """Return what n values become, (n, *shape), without keeping it.

        Raises:
            LabelweaveError: one cannot be read.
        """
        ...

    def resolved(self, values: "pd.Series[Any]", root: Path) -> "pd.Series[Any]":
        """Return the values with paths made those below `root`; missing ones stay missing."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        ...


@dataclass(frozen=True)
class ImageColumn:
    """A column with the paths of images.

    Attributes:
        column: its name.
        form: what images become.
    """

    is_path: ClassVar[bool] = True
    column: str
    form: ImageFormat

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width."""
        return self.form.shape

    def store(
        self, values: Sequence[str], cache: Path, *, jobs: int | None, progress: bool
    ) -> Stored:
        """Decode the images that the cache lacks."""
        found = cache_images(values, self.form, cache, jobs=jobs, progress=progress)
        return Stored(found.store, found.keys, found.damaged)

    def read(self, values: Sequence[str]) -> NDArray[np.uint8]:
        """Return the pixels of n images, uint8 (n, channels, height, width).

        Raises:
            LabelweaveError: one cannot be read.
        """
        pixels = np.empty((len(values), *self.shape), dtype=np.uint8)
        for row, path in enumerate(values):
            try:
                pixels[row] = decode(read_bytes(path), self.form)
            except UnreadableImageError as error:
                raise LabelweaveError(f"image {path}: {error}") from None
        return pixels

    def resolved(self, values: "pd.Series[Any]", root: Path) -> "pd.Series[Any]":
        """Return the paths below `root`."""
        return values.map(lambda path: str(root / str(path)), na_action="ignore").astype(object)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        return {"kind": "image", "column": self.column, "form": self.form.to_dict()}


def media_from_dict(state: Mapping[str, Any]) -> MediaColumn:
    """Return the column that `to_dict` described.

    Raises:
        KeyError: an entry is missing.
        LabelweaveError: a kind that is not known.
    """
    if state["kind"] == "image":
        return ImageColumn(state["column"], ImageFormat(**state["form"]))
    raise LabelweaveError(f"inputs: found a column of kind '{state['kind']}', expected 'image'")
