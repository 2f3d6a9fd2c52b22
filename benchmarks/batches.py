"""How fast `Batches` gathers training rows, and how near that is to one bare index operation.

Run ``python -m benchmarks.batches [--quick] [--json OUT]``. One thread, batches of 512 rows of 64
float32 features, two sources, proportional sampling; the ratio is to gathering the inputs alone
with row indices that are ready, in the same run.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data._batches import Batches
from labelweave.tasks import Multiclass

BATCH, FEATURES, CLASSES = 512, 64, 10
Row = dict[str, Any]


def measure(tasks: int, rows: int, steps: int, seed: int) -> tuple[float, float]:
    """Return rows per second of `Batches` with that many tasks, and of the bare gather."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((rows, FEATURES), dtype=np.float32)
    names = [f"task{t}" for t in range(tasks)]
    annotations = Annotations(
        tuple(Multiclass(name, range(CLASSES)) for name in names),  # type: ignore[arg-type]
        {name: rng.integers(-1, CLASSES, rows) for name in names},
    )
    sources = np.split(np.arange(rows), [rows // 4])
    batches = Batches(inputs, annotations, sampler("proportional", sources, BATCH, seed))
    values = torch.from_numpy(inputs)
    order = torch.from_numpy(rng.permutation(rows))
    places = [order[i : i + BATCH] for i in range(0, rows - BATCH + 1, BATCH)]

    def bare(step: int) -> object:
        return values.index_select(0, places[step % len(places)])

    return _rate(batches.__getitem__, steps), _rate(bare, steps)


def _rate(gather: Callable[[int], object], steps: int) -> float:
    for step in range(steps // 10):
        gather(step)
    start = time.perf_counter()
    for step in range(steps):
        gather(step)
    return steps * BATCH / (time.perf_counter() - start)


def rows_of(case: str, method: str, metric: str, values: list[float]) -> Row:
    """Return one row of results: mean and the lowest and highest of the repetitions."""
    return {
        "case": case,
        "method": method,
        "metric": metric,
        "mean": float(np.mean(values)),
        "low": min(values),
        "high": max(values),
        "seeds": len(values),
    }


def main() -> None:
    """Measure, print a table and write the rows as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows, steps and repetitions")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, steps, repetitions = (50_000, 500, 3) if options.quick else (200_000, 2_000, 7)
    results: list[Row] = []
    for tasks in (1, 4):
        measured = [measure(tasks, rows, steps, seed) for seed in range(repetitions)]
        case = f"{tasks} task{'s' if tasks > 1 else ''}"
        gathered, bare = (list(rates) for rates in zip(*measured, strict=True))
        results += [
            rows_of(case, "batches", "rows_per_second", gathered),
            rows_of(case, "index_select", "rows_per_second", bare),
            rows_of(case, "batches", "ratio", [b / i for b, i in measured]),
        ]
    print(f"{'case':8} {'method':14} {'metric':16} {'mean':>14} {'low':>14} {'high':>14}")
    for row in results:
        figures = " ".join(f"{row[name]:14,.2f}" for name in ("mean", "low", "high"))
        print(f"{row['case']:8} {row['method']:14} {row['metric']:16} {figures}")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
