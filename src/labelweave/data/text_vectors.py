"""Texts as vectors of a frozen encoder, each text encoded once and kept by its content."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from labelweave.data.frozen import TextEncoder
from labelweave.data.progress import items_bar
from labelweave.errors import LabelweaveError
from labelweave.files import replacing

BLOCK = 2048  # texts a cache file; what an interruption costs at most
BATCH = 64
Vectors = NDArray[np.float32]


def text_vectors(
    texts: Sequence[str], encoder: TextEncoder, cache: Path, *, progress: bool = True
) -> Vectors:
    """Return the vectors of n texts, float32 (n, d).

    Texts are encoded in blocks, inside a block sorted by length, so that a batch has little
    padding. A block is kept in `cache` under the hash of encoder and texts: the next call reads it,
    and an interrupted one goes on from the last block.

    Args:
        texts: at least one.
        encoder: see `TextEncoder`; `MiniLM` is one.
        cache: folder of the kept vectors, made where needed.
        progress: show a bar when on a terminal.

    Raises:
        LabelweaveError: no text, or an encoder that gives vectors that are not finite.
    """
    if not texts:
        raise LabelweaveError("found no text to encode, expected at least one")
    cache.mkdir(parents=True, exist_ok=True)
    blocks = []
    with items_bar(progress) as bar:
        shown = bar.add_task("encoding texts", total=len(texts))
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            path = cache / f"{_key(block, encoder.name)}.npy"
            if not path.exists():
                _save(path, _encode(block, encoder, bar))
            blocks.append(np.load(path, allow_pickle=False))
            bar.update(shown, completed=start + len(block))
    return np.concatenate(blocks)


def _encode(texts: Sequence[str], encoder: TextEncoder, bar: Progress) -> Vectors:
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts = []
    for rows in _batches(order):
        parts.append(encoder([texts[row] for row in rows]))
        bar.update(bar.task_ids[0], advance=len(rows))
    vectors = np.concatenate(parts)[np.argsort(order)]
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise LabelweaveError(f"{encoder.name}: the vector of {texts[row]!r} is not finite")
    return vectors


def _batches(order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def _key(texts: Sequence[str], name: str) -> str:
    digest = hashlib.blake2b(name.encode(), digest_size=16)
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def _save(path: Path, vectors: Vectors) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, vectors, allow_pickle=False)
