"""How fast images come from the cache into batches, and how near that is to copying memory.

Run ``python -m benchmarks.image_cache [--quick] [--json OUT]``. One thread, images of 3 x 224 x 224
in the page cache, batches of 128 drawn at random; the ratio is to copying as many bytes from one
place of the same memory-mapped file, in the same run. Besides, what decoding JPEG files of 640 x
480 pixels into the cache takes, once. Writes to a temporary folder.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.batches import Row, rows_of
from labelweave.data.gathering import gatherer, tensor
from labelweave.data.image_cache import cache_images
from labelweave.data.image_files import ImageFormat
from labelweave.data.row_store import RowStore
from labelweave.data.stored_inputs import Block, StoredInputs, as_keys

BATCH = 128
SHAPE = (3, 224, 224)


def filled_store(folder: Path, images: int, rng: np.random.Generator) -> StoredInputs:
    """Return images of noise in a store, all in the page cache."""
    store = RowStore(folder, SHAPE, "uint8", "noise")
    keys = [f"{number:032x}" for number in range(images)]
    with store.adding(images) as adder:
        for start in range(0, images, BATCH):
            some = keys[start : start + BATCH]
            adder.add(some, list(rng.integers(0, 256, (len(some), *SHAPE), dtype=np.uint8)))
    array = store.array()
    array.sum(dtype=np.int64)
    return StoredInputs([Block(array, store.find(keys), as_keys(keys))])


def gather_rate(inputs: StoredInputs, seconds: float, seed: int) -> tuple[float, float]:
    """Return images a second gathered, and copied from one place."""
    rng = np.random.default_rng(seed)
    gather = gatherer(inputs, "cpu")
    block = inputs.blocks[0]
    assert isinstance(block, Block)
    first, out = tensor(block.array[:BATCH], "cpu"), torch.empty((BATCH, *SHAPE), dtype=torch.uint8)
    return (
        _rate(lambda: gather(torch.from_numpy(rng.integers(len(inputs), size=BATCH))), seconds),
        _rate(lambda: out.copy_(first), seconds),
    )


def decode_rate(folder: Path, files: int, jobs: int, rng: np.random.Generator) -> float:
    """Return images a second and process decoded into a new cache."""
    (folder / "files").mkdir(parents=True)
    coarse = rng.integers(0, 256, (files, 12, 16, 3), dtype=np.uint8)
    paths = [str(folder / "files" / f"{number}.jpg") for number in range(files)]
    for path, pixels in zip(paths, coarse, strict=True):
        Image.fromarray(pixels).resize((640, 480)).save(path, quality=90)
    form = ImageFormat(*SHAPE[1:])
    started = time.perf_counter()
    cache_images(paths, form, folder / "cache", jobs=jobs, progress=False)
    return files / (time.perf_counter() - started) / jobs


def _rate(call: Callable[[], object], seconds: float) -> float:
    call()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        call()
        count += BATCH
    return count / (time.perf_counter() - started)


def main() -> None:
    """Measure, print a table and write the rows as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and repetitions")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, files, seconds, times = (2000, 400, 0.5, 3) if options.quick else (8000, 4000, 2.0, 7)
    rng = np.random.default_rng(0)
    jobs = 1 if options.quick else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as temporary:
        inputs = filled_store(Path(temporary, "store"), images, rng)
        measured = [gather_rate(inputs, seconds, seed) for seed in range(times)]
        decoded = decode_rate(Path(temporary, "decoding"), files, jobs, rng)
    gathered, copied = (list(rates) for rates in zip(*measured, strict=True))
    results: list[Row] = [
        rows_of("gather", "cache", "images_per_second", gathered),
        rows_of("gather", "memory copy", "images_per_second", copied),
        rows_of("gather", "cache", "ratio", [g / c for g, c in measured]),
        rows_of("decode", f"{jobs} processes", "images_per_second_each", [decoded]),
    ]
    print(f"{'case':8} {'arm':14} {'metric':24} {'mean':>12} {'low':>12} {'high':>12}")
    for row in results:
        figures = " ".join(f"{row[name]:12,.2f}" for name in ("mean", "low", "high"))
        print(f"{row['case']:8} {row['arm']:14} {row['metric']:24} {figures}")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
