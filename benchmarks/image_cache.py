"""How fast images come from the cache into batches, and how near that is to copying memory.

Run ``python -m benchmarks.image_cache [--quick] [--json OUT]``. One thread, images of 3 x 224 x 224
in the page cache, batches of 128 drawn at random, by CPU time; a figure is the median of short
blocks, in turn with blocks that copy as many bytes, in one piece, from anywhere in the same
memory-mapped file into memory in use. Besides, what decoding JPEG files of 640 x 480 pixels into
the cache takes, once. Writes to a temporary folder.
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
from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data import ImageFormat
from labelweave.data._batches import Batches
from labelweave.data._image_files import cache_images
from labelweave.data._row_store import Block, RowStore, StoredInputs, as_keys
from labelweave.tasks import Multiclass

BATCH = 128
STEPS = 10  # batches of a block
FIGURES = ("median", "mean", "low", "high")
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


def gather_rate(inputs: StoredInputs, blocks: int, seed: int) -> tuple[float, float, float]:
    """Return images a second of `Batches`, of copying, and their ratio: medians of blocks."""
    rng = np.random.default_rng(seed)
    task = Multiclass("task", tuple(range(10)))
    annotations = Annotations((task,), {"task": rng.integers(-1, 10, len(inputs))})
    drawn = sampler("proportional", [np.arange(len(inputs))], BATCH, seed)
    batches = Batches(inputs, annotations, drawn)
    block = inputs.blocks[0]
    assert isinstance(block, Block)
    starts = rng.integers(len(inputs) - BATCH, size=(blocks + 1) * STEPS)
    out = np.zeros((BATCH, *SHAPE), np.uint8)

    def copy(step: int) -> None:
        np.copyto(out, block.array[starts[step] : starts[step] + BATCH])

    steps = [range(start, start + STEPS) for start in range(0, len(starts), STEPS)]
    both = [(_rate(batches.__getitem__, some), _rate(copy, some)) for some in steps][1:]
    rates = np.array([(gathered, copied, gathered / copied) for gathered, copied in both])
    return tuple(np.median(rates, axis=0).tolist())


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


def _rate(call: Callable[[int], object], steps: range) -> float:
    started = time.process_time()
    for step in steps:
        call(step)
    return len(steps) * BATCH / (time.process_time() - started)


def _row(case: str, method: str, metric: str, values: list[float]) -> Row:
    return rows_of(case, method, metric, values) | {"median": float(np.median(values))}


def main() -> None:
    """Measure, print a table and write the rows as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and repetitions")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, files, blocks, times = (2000, 400, 10, 3) if options.quick else (8000, 4000, 40, 9)
    rng = np.random.default_rng(0)
    jobs = 1 if options.quick else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as temporary:
        inputs = filled_store(Path(temporary, "store"), images, rng)
        measured = [gather_rate(inputs, blocks, seed) for seed in range(times)]
        decoded = decode_rate(Path(temporary, "decoding"), files, jobs, rng)
    gathered, copied, ratios = (list(rates) for rates in zip(*measured, strict=True))
    results: list[Row] = [
        _row("gather", "cache", "images_per_second", gathered),
        _row("gather", "memory copy", "images_per_second", copied),
        _row("gather", "cache", "ratio", ratios),
        _row("decode", f"{jobs} processes", "images_per_second_each", [decoded]),
    ]
    print(
        f"{'case':8} {'method':14} {'metric':24} "
        f"{'median':>10} {'mean':>10} {'low':>10} {'high':>10}"
    )
    for row in results:
        figures = " ".join(f"{row[name]:10,.2f}" for name in FIGURES)
        print(f"{row['case']:8} {row['method']:14} {row['metric']:24} {figures}")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
