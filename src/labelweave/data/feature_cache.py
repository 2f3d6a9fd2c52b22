"""Features of a frozen encoder, computed once and kept memory-mapped as float16."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.data.frozen import ImageEncoder, TextEncoder
from labelweave.data.image_files import content_key
from labelweave.data.progress import items_bar
from labelweave.data.row_store import RowStore
from labelweave.errors import LabelweaveError

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
