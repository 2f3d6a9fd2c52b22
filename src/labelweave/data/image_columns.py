"""Columns with the paths of images: as pixels, or as features of a frozen encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.data.feature_cache import cache_features, encoded
from labelweave.data.frozen import ImageEncoder, image_encoder, same_encoder
from labelweave.data.image_cache import cache_images
from labelweave.data.image_files import ImageFormat, UnreadableImageError, decode, read_bytes
from labelweave.data.media import Stored
from labelweave.errors import LabelweaveError
from labelweave.shapes import Shape


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

    @property
    def alone(self) -> Shape:
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


@dataclass(frozen=True)
class EncodedImageColumn:
    """A column with the paths of images that a frozen encoder turns into features.

    Attributes:
        column: its name.
        form: the images that the encoder is given.
        encoder: its name.
        model: the name that it gives itself, with its version.
        width: number of features.
    """

    is_path: ClassVar[bool] = True
    alone: ClassVar[None] = None
    column: str
    form: ImageFormat
    encoder: str
    model: str
    width: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of features."""
        return (self.width,)

    @property
    def images(self) -> ImageColumn:
        """The column as pixels."""
        return ImageColumn(self.column, self.form)

    def store(
        self, values: Sequence[str], cache: Path, *, jobs: int | None, progress: bool
    ) -> Stored:
        """Decode and encode the images that the cache lacks."""
        pixels, keys, damaged = self.images.store(values, cache, jobs=jobs, progress=progress)
        known = [key for key in keys if key is not None]
        array, places = pixels.array(), pixels.find(known)
        store = cache_features(
            known, lambda rows: array[places[rows]], self._loaded(), cache,
            f"{self.form.width} x {self.form.height} {self.form.mode} {self.form.fit}",
            progress=progress,
        )  # fmt: skip
        return Stored(store, keys, damaged)

    def read(self, values: Sequence[str]) -> NDArray[np.float16]:
        """Return the features of n images, float16 (n, width).

        Raises:
            LabelweaveError: one cannot be read, or the encoder is not that of the training.
        """
        return encoded(self.images.read(values), self._loaded())

    def resolved(self, values: "pd.Series[Any]", root: Path) -> "pd.Series[Any]":
        """Return the paths below `root`."""
        return self.images.resolved(values, root)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        own = {"encoder": self.encoder, "model": self.model, "width": self.width}
        return self.images.to_dict() | own

    def _loaded(self) -> ImageEncoder:
        return same_encoder(image_encoder(self.encoder), self.encoder, self.model, self.width)
