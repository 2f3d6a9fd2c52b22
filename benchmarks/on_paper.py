"""What 1,000 tasks and a billion rows would cost, by the slopes of smaller measurements.

Run ``python -m benchmarks.on_paper build/bench-growth.json``, the figures of ``benchmarks.growth``.
The rest are figures of ``benchmarks.many_rows``, which can be given: ``--disk 2e6:23.8 5e7:437.7``
and ``--predict 5e7:287``, rows and processor seconds. Nothing is measured here. Assumptions:

- from the largest size that growth measured a cost grows with the power of its last doubling, and
  at least in proportion: where fixed costs made it flatter, this is an upper bound
- a row is read from disk and encoded once an epoch; two sizes give its seconds and what is fixed
- with more tasks reading a row costs the same, and each batch is a step of 256 rows of growth
- one epoch, one core; `fit_parquet` keeps the labels of all rows, 8 bytes a row and task
"""

import argparse
import json
from pathlib import Path

import numpy as np

TASKS, RELATIONS, ROWS, BATCH = 1_000, 5_000, 1e9, 256


def beyond(sizes: list[float], values: list[float], size: float) -> tuple[float, float]:
    """Return the value at a larger size, and the power of the last doubling."""
    last = float(np.log(values[-1] / values[-2]) / np.log(sizes[-1] / sizes[-2]))
    return values[-1] * (size / sizes[-1]) ** max(last, 1.0), last


def points(texts: list[str]) -> tuple[list[float], list[float]]:
    """Return rows and seconds of texts such as ``2e6:23.8``."""
    rows, seconds = zip(*(map(float, text.split(":")) for text in texts), strict=True)
    return list(rows), list(seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("growth", type=Path, help="JSON of benchmarks.growth")
    parser.add_argument("--disk", nargs="+", default=["2e6:23.8", "5e7:437.7"])
    parser.add_argument("--predict", nargs="+", default=["5e7:287"])
    options = parser.parse_args()
    growth = json.loads(options.growth.read_text(encoding="utf-8"))
    lines: list[tuple[str, str, float, float]] = []

    def step(part: str, size: int) -> float:
        found = growth[part]
        seconds, last = beyond(found["sizes"], found["seconds"], size)
        memory, _ = beyond(found["sizes"], found["mebibytes"], size)
        about = f"step of {BATCH} rows, {size:,} {part}"
        lines.append(
            (about, f"last doubling {last:.2f}, here {max(last, 1.0):.2f}", seconds, memory)
        )
        return seconds

    uncoupled = step("tasks", TASKS)
    coupled = step("relations", RELATIONS)
    rows, seconds = points(options.disk)
    a_row, fixed = np.polyfit(rows, seconds, 1) if len(rows) > 1 else (seconds[0] / rows[0], 0.0)
    reading = fixed + a_row * ROWS
    lines.append((f"read, encode and train {ROWS:.0e} rows, 2 tasks", "linear", reading, np.nan))
    for tasks in (2, TASKS):
        about, mebibytes = f"labels of {ROWS:.0e} rows, {tasks:,} tasks", 8 * ROWS * tasks / 2**20
        lines.append((about, "8 bytes each", 0.0, mebibytes))
    steps = ROWS / BATCH
    for name, each in (("uncoupled", uncoupled), (f"with {RELATIONS:,} relations", coupled)):
        about = f"the same, {TASKS:,} tasks, {name}"
        lines.append((about, f"{steps:.1e} steps and the reading", reading + steps * each, np.nan))
    rows, seconds = points(options.predict)
    predicting = seconds[-1] / rows[-1] * ROWS
    lines.append((f"predict {ROWS:.0e} rows, 2 tasks", "linear", predicting, np.nan))
    print(f"{'what':56} {'by':34} {'seconds':>14} {'core hours':>12} {'MiB':>10}")
    for what, by, value, memory in lines:
        shown = "" if np.isnan(memory) else f"{memory:10,.0f}"
        print(f"{what:56} {by:34} {value:14,.3f} {value / 3600:12,.2f} {shown}")


if __name__ == "__main__":
    main()
