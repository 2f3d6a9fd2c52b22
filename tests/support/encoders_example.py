"""Encoders of a user's own, as a study file names them: ``module:encoders_example.Corners``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.data import ImageFormat
from labelweave.data._frozen_encoders import Vectors


class Corners:
    """The mean brightness of each ninth of an image."""

    name = "corners 1"
    width = 9
    form = ImageFormat(12, 12, "grey", "pad")

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(images)
        ninths = images[:, 0].reshape(len(images), 3, 4, 3, 4).mean(axis=(2, 4))
        return ninths.reshape(len(images), 9).astype(np.float32)


class Letters:
    """The counts of some letters, and the length."""

    name = "letters 1"
    width = 4

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        return np.array([[len(t), *map(t.count, "odg")] for t in texts], dtype=np.float32)


class Nameless:
    width = 3


class LetterCodes:
    """A generated encoder: every text has a fixed vector, its length and its letters' codes."""

    name = "letters"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        return np.array([[len(t), sum(map(ord, t))] for t in texts], dtype=np.float32)
