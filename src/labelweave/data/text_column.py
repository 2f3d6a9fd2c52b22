"""A column of texts, as features of a frozen encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.data.feature_cache import cache_features, encoded
from labelweave.data.frozen import TextEncoder, same_encoder, text_encoder
from labelweave.data.image_files import content_key
from labelweave.data.media import Stored


@dataclass(frozen=True)
class TextColumn:
    """A column of texts that a frozen encoder turns into features; a missing text is empty.

    Attributes:
        column: its name.
        encoder: the encoder's name.
        model: the name that it gives itself, with its version.
        width: number of features.
    """

    is_path: ClassVar[bool] = False
    alone: ClassVar[None] = None
    column: str
    encoder: str
    model: str
    width: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of features."""
        return (self.width,)

    def store(
        self, values: Sequence[str], cache: Path, *, jobs: int | None, progress: bool
    ) -> Stored:
        """Encode the texts that the cache lacks, those of like length together."""
        keys = [content_key(text.encode("utf-8", "surrogatepass")) for text in values]
        store = cache_features(
            keys, lambda rows: [values[row] for row in rows], self._loaded(), cache, "",
            lengths=[len(text) for text in values], progress=progress,
        )  # fmt: skip
        return Stored(store, list(keys), {})

    def read(self, values: Sequence[str]) -> NDArray[np.float16]:
        """Return the features of n texts, float16 (n, width).

        Raises:
            LabelweaveError: the encoder is not that of the training.
        """
        return encoded(values, self._loaded())

    def resolved(self, values: "pd.Series[Any]", root: Path) -> "pd.Series[Any]":
        """Return the texts, none missing."""
        return values.astype(object).where(values.notna(), "")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        own = {"encoder": self.encoder, "model": self.model, "width": self.width}
        return {"kind": "text", "column": self.column, **own}

    def _loaded(self) -> TextEncoder:
        return same_encoder(text_encoder(self.encoder), self.encoder, self.model, self.width)
