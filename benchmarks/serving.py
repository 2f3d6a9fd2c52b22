"""Seconds of a final model: one row, and a million rows of 50 columns, in chunks.

Run: python -m benchmarks.serving [--rows 1000000]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

import labelweave
from labelweave.experiments import Study
from labelweave.serving import FinalModel, finish

COLUMNS, TRAINED, REPEATS = 50, 2000, 200


def table(rows: int, seed: int) -> pd.DataFrame:
    """Return rows of normal numbers whose sums decide the labels of two tasks."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        rng.normal(size=(rows, COLUMNS)), columns=[f"c{j:02d}" for j in range(COLUMNS)]
    )
    frame["grade"] = pd.cut(frame.iloc[:, :10].sum(axis=1), [-99, -2, 2, 99], labels=list("abc"))
    frame["fault"] = (frame.iloc[:, 5:15].sum(axis=1) > 1).map({True: "yes", False: "no"})
    return frame


def model(folder: Path) -> FinalModel:
    """Return the final model of a small study."""
    table(TRAINED, 0).to_csv(folder / "rows.csv", index=False)
    study = {
        "name": "serving",
        "tasks": [{"name": "grade"}, {"name": "fault"}],
        "sources": [{"path": "rows.csv"}],
        "methods": ["multi_task"],
        "seeds": [1],
        "training": {"steps": 200},
        "label_curves": False,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    Study.from_file(folder / "study.yaml").run(jobs=1, progress=False)
    return labelweave.load(finish(folder / "study.yaml", "multi_task"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        made = model(Path(folder))
        one = table(1, 1).drop(columns=["grade", "fault"])
        made.predict_proba(one)
        seconds = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            made.predict_proba(one)
            seconds.append(time.perf_counter() - start)
        median, slow = np.quantile(seconds, [0.5, 0.99]) * 1000
        print(f"one row: median {median:.2f} ms, p99 {slow:.2f} ms")
        many = table(rows, 2).drop(columns=["grade", "fault"])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        count = sum(len(part) for part in made.tables(many))
        taken = time.perf_counter() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{count:,} rows x {COLUMNS}: {taken:.1f} s, {grown:.0f} MB above the table")


if __name__ == "__main__":
    main()
