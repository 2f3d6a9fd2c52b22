"""Images decoded once into a memory-mapped cache, found by the content of their files."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, cpu_count, delayed

from labelweave.data.file_index import FileIndex
from labelweave.data.image_files import (
    ImageFormat,
    Pixels,
    UnreadableImageError,
    content_key,
    decode,
    read_bytes,
)
from labelweave.data.progress import items_bar
from labelweave.data.row_store import RowStore

BLOCK = 64  # images a process decodes at a time; what an interruption costs at most, a process
PARALLEL = 512  # images below which starting processes takes longer than decoding
SAVE_SECONDS = 30.0

Decoded = tuple[str, Pixels | None, str]  # key, pixels, and why there are none


@dataclass(frozen=True)
class CachedImages:
    """The images of n paths.

    Attributes:
        store: the pixels, uint8 (channels, height, width) a row.
        keys: the key of every path's content; None = its image cannot be used.
        damaged: by path, why its image cannot be used.
    """

    store: RowStore
    keys: list[str | None]
    damaged: dict[str, str]


def cache_images(
    paths: Sequence[str],
    form: ImageFormat,
    cache: Path,
    *,
    jobs: int | None = None,
    progress: bool = True,
) -> CachedImages:
    """Decode images that the cache lacks, in several processes, and return where all are.

    A file is known by size and time of its last change, so that a second call reads none; what it
    becomes is kept by its content, so that a copy under another name costs nothing more. An
    interrupted call goes on where it stopped.

    Args:
        paths: absolute, or relative to the working folder; one may come several times.
        form: what the images become.
        cache: folder of the cache, made where needed.
        jobs: processes; None = one a core.
        progress: show a bar when on a terminal.

    Raises:
        LabelweaveError: the cache cannot be written, or the disk is too full.
    """
    about = f"images {form.mode} {form.fit}"
    name = f"images-{form.width}x{form.height}-{form.mode}-{form.fit}"
    store = RowStore(cache / name, form.shape, "uint8", about)
    index = FileIndex(cache / "files.parquet")
    unique = list(dict.fromkeys(paths))
    keys: dict[str, str | None] = {path: index.key(path) for path in unique}
    waiting = [path for path, key in keys.items() if key is None or key not in store]
    damaged: dict[str, str] = {}
    if waiting:
        workers = 1 if len(waiting) < PARALLEL else jobs or cpu_count()
        blocks = [waiting[i : i + BLOCK] for i in range(0, len(waiting), BLOCK)]
        parallel = Parallel(n_jobs=workers, return_as="generator", backend="loky")
        calls = (delayed(_decode_block)(block, form) for block in blocks)
        saved = time.monotonic()
        try:
            with store.adding(len(waiting)) as adder, items_bar(progress) as bar:
                shown = bar.add_task("reading images", total=len(waiting))
                for block, found in zip(blocks, parallel(calls), strict=True):
                    good = [(key, pixels) for key, pixels, _ in found if pixels is not None]
                    adder.add([key for key, _ in good], [pixels for _, pixels in good])
                    for path, (key, pixels, reason) in zip(block, found, strict=True):
                        keys[path] = key if pixels is not None else None
                        if pixels is None:
                            damaged[path] = reason
                        else:
                            index.note(path, key)
                    bar.advance(shown, len(block))
                    if time.monotonic() - saved > SAVE_SECONDS:
                        index.save()
                        saved = time.monotonic()
        finally:
            index.save()
    return CachedImages(store, [keys[path] for path in paths], damaged)


def _decode_block(paths: Sequence[str], form: ImageFormat) -> list[Decoded]:
    found: list[Decoded] = []
    for path in paths:
        try:
            data = read_bytes(path)
            found.append((content_key(data), decode(data, form), ""))
        except UnreadableImageError as error:
            found.append(("", None, str(error)))
    return found
