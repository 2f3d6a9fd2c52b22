"""A column of texts as tokens, for a network that reads texts itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.data.image_files import content_key
from labelweave.data.media import Stored
from labelweave.data.progress import items_bar
from labelweave.data.row_store import RowStore
from labelweave.errors import LabelweaveError, missing_package
from labelweave.shapes import Tokens

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
        """What a network is told of its inputs."""
        return Tokens(self.length, self.vocabulary, self.padding)

    def store(
        self, values: Sequence[str], cache: Path, *, jobs: int | None, progress: bool
    ) -> Stored:
        """Tokenise the texts that the cache lacks."""
        keys = [content_key(text.encode("utf-8", "surrogatepass")) for text in values]
        told = content_key(self.tokenizer.encode())
        about = f"{self.length} tokens of tokenizer {told}"
        folder = cache / f"tokens-{self.length}-{told[:12]}"
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
