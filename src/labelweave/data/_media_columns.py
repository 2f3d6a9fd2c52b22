"""Columns that are no features themselves: what to read for their values, and what that becomes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._progress import items_bar
from labelweave._shapes import Shape, Tokens
from labelweave.data._frozen_encoders import (
    ImageEncoder,
    TextEncoder,
    cache_features,
    encoded,
    image_encoder,
    same_encoder,
    text_encoder,
)
from labelweave.data._image_files import (
    ImageFormat,
    UnreadableImageError,
    cache_images,
    content_key,
    decode_image,
    read_bytes,
)
from labelweave.data._row_store import RowStore
from labelweave.errors import LabelweaveError, missing_package


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

    @property
    def alone(self) -> Shape | None:
        """The shape of inputs that are this column alone; None = features, next to
        which others may stand.
        """  # noqa: D205
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
        """Return the values with paths made those below `root`; missing ones are errors."""
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
                pixels[row] = decode_image(read_bytes(path), self.form)
            except UnreadableImageError as error:
                raise LabelweaveError(f"image {path}: {error}") from None
        return pixels

    def of_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what `read` makes of decoded images: their pixels."""
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
        return self.of_pixels(self.images.read(values))

    def of_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return what `read` makes of decoded images: their features.

        Raises:
            LabelweaveError: the encoder is not that of the training.
        """
        return encoded(pixels, self._loaded())

    def resolved(self, values: "pd.Series[Any]", root: Path) -> "pd.Series[Any]":
        """Return the paths below `root`."""
        return self.images.resolved(values, root)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        own = {"encoder": self.encoder, "model": self.model, "width": self.width}
        return self.images.to_dict() | own

    def _loaded(self) -> ImageEncoder:
        return same_encoder(image_encoder(self.encoder), self.encoder, self.model, self.width)


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


BLOCK = 4096  # texts after which tokens are written; what an interruption costs at most


@dataclass(frozen=True)
class TokenColumn:
    """A column of texts, each cut or padded to so many tokens; a missing text is empty.

    Attributes:
        column: its name.
        tokenizer: the whole of a tokenizer, as the package tokenizers writes it: JSON.
        length: tokens a text.
        vocabulary: tokens are below this number.
        padding: the token after a text's end.
    """

    is_path: ClassVar[bool] = False
    column: str
    tokenizer: str
    length: int
    vocabulary: int
    padding: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of tokens."""
        return (self.length,)

    @property
    def alone(self) -> Tokens:
        """The shape of the inputs, for a network."""
        return Tokens(self.length, self.vocabulary, self.padding)

    def store(
        self, values: Sequence[str], cache: Path, *, jobs: int | None, progress: bool
    ) -> Stored:
        """Tokenise the texts that the cache lacks."""
        keys = [content_key(text.encode("utf-8", "surrogatepass")) for text in values]
        tokenizer = content_key(self.tokenizer.encode())
        about = f"{self.length} tokens of tokenizer {tokenizer}"
        folder = cache / f"tokens-{self.length}-{tokenizer[:12]}"
        store = RowStore(folder, self.shape, "int32", about)
        waiting = {key: text for key, text in zip(keys, values, strict=True) if key not in store}
        if waiting:
            names, texts = list(waiting), list(waiting.values())
            with store.adding(len(names)) as adder, items_bar(progress) as bar:
                shown = bar.add_task("tokenising texts", total=len(names))
                for start in range(0, len(names), BLOCK):
                    block = names[start : start + BLOCK]
                    adder.add(block, list(self.read(texts[start : start + BLOCK])))
                    bar.advance(shown, len(block))
        return Stored(store, list(keys), {})

    def read(self, values: Sequence[str]) -> NDArray[np.int32]:
        """Return the tokens of n texts, int32 (n, length)."""
        # half of a surrogate pair is no text to the tokenizer
        texts = [text.encode("utf-8", "replace").decode() for text in values]
        found = self._loaded.encode_batch(texts)
        return np.array([each.ids for each in found], np.int32).reshape(-1, self.length)

    def resolved(self, values: "pd.Series[Any]", root: Path) -> "pd.Series[Any]":
        """Return the texts, none missing."""
        return values.astype(object).where(values.notna(), "")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        return {
            "kind": "tokens",
            "column": self.column,
            "tokenizer": self.tokenizer,
            "length": self.length,
            "vocabulary": self.vocabulary,
            "padding": self.padding,
        }

    @cached_property
    def _loaded(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise missing_package(f"the texts of column '{self.column}'", error, "text") from None
        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.enable_truncation(max_length=self.length)
        word = tokenizer.id_to_token(self.padding)
        tokenizer.enable_padding(length=self.length, pad_id=self.padding, pad_token=word)
        return tokenizer

    def __getstate__(self) -> dict[str, Any]:
        # the loaded tokenizer is made anew in another process
        return {name: value for name, value in vars(self).items() if name != "_loaded"}


def token_column(column: str, folder: Path, length: int) -> TokenColumn:
    """Return a column whose texts the tokenizer of a model's folder splits.

    Args:
        column: its name.
        folder: holds ``tokenizer.json``, or ``vocab.txt`` and what else transformers needs.
        length: tokens a text.

    Raises:
        LabelweaveError: there is no tokenizer, or it has no token for padding.
    """
    try:
        from tokenizers import Tokenizer
        from transformers import AutoTokenizer
    except ImportError as error:
        raise missing_package(f"the texts of column '{column}'", error, "text") from None
    path = folder / "tokenizer.json"
    if not path.exists() and not (folder / "vocab.txt").exists():
        raise LabelweaveError(f"{folder}: found no tokenizer, expected tokenizer.json or vocab.txt")
    try:
        loaded = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        state = json.loads(loaded.backend_tokenizer.to_str())
        # how long and how padded is ours to say
        text = json.dumps(state | {"truncation": None, "padding": None}, ensure_ascii=False)
        vocabulary = Tokenizer.from_str(text).get_vocab()
    except Exception as error:  # whatever damaged or unknown files lead to
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise LabelweaveError(f"{folder}: its tokenizer cannot be read ({reason})") from None
    padding = loaded.pad_token_id
    if padding is None:
        raise LabelweaveError(f"{folder}: its tokenizer has no token for padding, expected one")
    return TokenColumn(column, text, length, max(vocabulary.values()) + 1, int(padding))
