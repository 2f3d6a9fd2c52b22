"""How long a large table takes to be read, typed and checked, and how much memory.

    python -m benchmarks.reading --rows 5000000 --columns 60

writes a CSV file of that size (numbers, a few with gaps, categories, texts, dates, labels, a group
of 19 digits), reads it, decides its schema, applies it and looks for what is wrong. It prints
seconds and peak memory, the latter as a multiple of the typed data's. The aim for 5 million rows of
60 columns on two cores: 60 seconds, and 3 times the data.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from labelweave.tables import Roles, Schema, SourceTable, inspect_tables, read_cells
from labelweave.tasks import Multiclass

BLOCK = 250_000  # rows written at a time


def write_table(path: Path, rows: int, columns: int, seed: int = 0) -> None:
    """Write the file: columns - 8 numbers, two categories, labels and texts, a date, a group."""
    rng = np.random.default_rng(seed)
    writer = None
    for start in range(0, rows, BLOCK):
        n = min(BLOCK, rows - start)
        table: dict[str, pa.Array] = {}
        for i in range(columns - 8):
            values = rng.normal(i, 1 + i, n).round(3) if i % 2 else rng.integers(0, 1000, n)
            gaps = rng.random(n) < 0.02 if i % 10 == 0 else None
            table[f"x{i}"] = pa.array(values, mask=gaps)
        for name, kinds in (("colour", 8), ("site", 40), ("grade", 5), ("defect", 2)):
            words = pa.array([f"{name}{k}" for k in range(kinds)])
            table[name] = words.take(pa.array(rng.integers(0, kinds, n)))
        words = np.array(
            ["worn", "bent", "clean", "left", "edge", "see", "again", "ok"], dtype=object
        )
        for name, size in (("remark", 6), ("note", 3)):
            text = words[rng.integers(0, 8, (n, size))]
            table[name] = pa.array([" ".join(each) for each in text])
        seconds = rng.integers(1_600_000_000, 1_700_000_000, n)
        table["at"] = pa.array(seconds, pa.timestamp("s"))
        table["lot"] = pa.array(rng.integers(10**18, 10**18 + 1000, n))
        block = pa.table(table)
        if writer is None:
            writer = pa.csv.CSVWriter(path, block.schema)
        writer.write_table(block)
    if writer is not None:
        writer.close()


def measure(path: Path) -> dict[str, float]:
    """Read, decide and apply; return seconds, and gigabytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, processor = time.perf_counter(), time.process_time()
    cells = read_cells(path)
    read = time.perf_counter()
    labels = {"grade": "grade", "defect": "defect"}
    schema = Schema.infer([cells], Roles(labels, groups=["lot"], text=["remark", "note"]))
    typed = time.perf_counter()
    frame = schema.apply(cells)
    applied = time.perf_counter()
    inputs = [name for name in schema.named("input") if name in frame]
    source = SourceTable("large", frame, tuple(inputs), "lot")
    inspect_tables([source], [Multiclass("grade"), Multiclass("defect")], ["remark", "note"])
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = float(frame.memory_usage(deep=False).sum())
    return {
        "read, seconds": read - start,
        "schema, seconds": typed - read,
        "apply, seconds": applied - typed,
        "check, seconds": end - applied,
        "all, seconds": end - start,
        "processor, seconds": time.process_time() - processor,
        "data, GB": data / 1e9,
        "peak, GB": (peak - before) * 1024 / 1e9,
        "peak / data": (peak - before) * 1024 / data,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--columns", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "large.csv"
        write_table(path, given.rows, given.columns)
        print(f"{given.rows:,} rows, {given.columns} columns, {path.stat().st_size / 1e9:.2f} GB")
        for name, value in measure(path).items():
            print(f"{name:>18}: {value:.2f}")


if __name__ == "__main__":
    main()
