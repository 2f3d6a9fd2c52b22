"""What the library of learners reads of images and tokens: columns made without any label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data import Inputs
from labelweave.fitting._config import FitConfig
from labelweave.fitting._split import Split
from labelweave.model import Model, NetworkSpec

MOST_PIXELS = 1_024  # columns made of an image; larger ones are averaged
CHUNK = 1_024  # rows read together
PICTURES = "cnn"  # the backbone that starts from nothing: its features would say nothing

Columns = NDArray[np.float64]


@dataclass(frozen=True)
class LibraryView:
    """Turns images or tokens into columns.

    Attributes:
        network: the study's network as it is before its training: the columns are what its
            pretrained backbone makes of a row. None = the pixels, averaged over squares until they
            are at most `MOST_PIXELS`.
    """

    network: Model | None = None

    def columns(self, inputs: Inputs) -> Columns:
        """Return (n, d) columns of n encoded rows."""
        parts = [
            self._columns(inputs[start : start + CHUNK])
            for start in range(0, max(1, len(inputs)), CHUNK)
        ]
        return np.concatenate(parts).astype(np.float64)

    def _columns(self, inputs: Inputs) -> NDArray[np.float32]:
        if self.network is not None:
            return self.network.features(inputs)
        return averaged(np.asarray(inputs))

    def save(self, folder: Path) -> None:
        """Write the network, if there is one, to a folder."""
        if self.network is not None:
            self.network.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "LibraryView":
        """Return what `save` wrote.

        Raises:
            LabelweaveError: the folder holds a damaged network.
        """
        return cls(Model.load(folder) if folder.is_dir() else None)


def view_of(split: Split, labels: Annotations, config: FitConfig) -> LibraryView | None:
    """Return how the library reads a split's inputs; None = they are columns already."""
    if not (config.inputs.pixels or config.inputs.tokens):
        return None
    if config.network.backbone == PICTURES:
        return LibraryView()
    spec = NetworkSpec(config.network.backbone, config.network.options())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(split.seed)  # the heads, and a backbone without pretrained weights
        network = spec.build(split.encoder.shape_, labels.tasks).eval()
    return LibraryView(Model(split.encoder, spec, [network]))


def columns_of(view: LibraryView | None, inputs: Inputs) -> Columns:
    """Return the columns that the library reads, (n, d)."""
    return np.asarray(inputs, np.float64) if view is None else view.columns(inputs)


def averaged(images: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return images (n, channels, height, width) as at most `MOST_PIXELS` columns a row.

    Squares of a whole number of pixels are averaged; a rest at the right or below is cut off.
    """
    pixels = images.astype(np.float32)
    channels, height, width = pixels.shape[1:]
    side = 1
    while channels * (height // side) * (width // side) > MOST_PIXELS:
        side += 1
    rows, columns = height // side, width // side
    cut = pixels[:, :, : rows * side, : columns * side]
    squares = cut.reshape(len(pixels), channels, rows, side, columns, side)
    return np.asarray(squares.mean(axis=(3, 5)).reshape(len(pixels), -1))
