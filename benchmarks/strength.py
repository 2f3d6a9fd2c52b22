"""Whether the couplings' own strengths do as well as the best fixed factor, and no harm.

Run ``python -m benchmarks.strength [--quick] [--case NAME] [--seeds N] [--json OUT]``. Cases:

- ``leaves k``: 32 species labelled k times each, eight attributes on all other training rows. They
  are functions of the species, so that the table says all.
- ``faces k/n``: generated, not data of anybody. 7 expressions labelled k times each, 17 action
  units on n other rows, drawn by the published table; the inputs show the units, not the
  expression, so that a unit's own labels are more informative than the table.
- ``yeast``, by this name only: two halves of 14 labels on other genes, a noisy-OR either way; and
  ``yeast, thresholds``, with 100 validation rows that set every label's threshold. They need the
  package river.
- ``--study FILE``: your study file.

Tables: ``true``, ``half`` of its rows wrong, ``shuffled``. Methods: multi_task; ``full`` (relations
checked and corrected by the data, couplings that fade); ``full`` by the table as given with a fixed
factor that does not fade. Main metric of the source task, and its mean over the others, with the
95 % interval (of the others: the mean of theirs).
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.strength_yeast import write_yeast
from labelweave._files import write_text
from labelweave.datasets import write_leaves
from labelweave.experiments import Study
from labelweave.relations import known_table

FACTORS = (0.1, 0.3, 1.0, 3.0)
Row = dict[str, Any]


def faces(folder: Path, k: int, n: int, seed: int) -> Path:
    """Write generated faces: a table of 2,000 test rows and one of training rows, and a study."""
    table = known_table("du-tao-martinez-2014", vocabulary="all-17", strong=0.85).frame
    classes, units = table.iloc[:, 0].to_numpy(), list(table.columns[1:])
    p = table.iloc[:, 1:].to_numpy(dtype=np.float64)
    p = np.clip(np.where(np.isnan(p), 0.1, p), 0.03, 0.97)
    rng = np.random.default_rng(seed)
    rows = 2000 + 7 * k + n
    kind = rng.integers(0, 7, rows)
    on = rng.random((rows, len(units))) < p[kind]
    mixing = rng.standard_normal((len(units), 60)) * (rng.random((len(units), 60)) < 0.3)
    shown = (on * rng.uniform(0.4, 1.6, on.shape)) @ mixing
    shown += 0.8 * rng.standard_normal(shown.shape)
    folded = shown @ (rng.standard_normal((60, 60)) / 8)
    inputs = np.concatenate([np.tanh(shown), folded], axis=1)
    inputs += 0.3 * rng.standard_normal(inputs.shape)
    frame = pd.DataFrame(inputs.round(4), columns=[f"x{i}" for i in range(inputs.shape[1])])
    frame["expression"] = classes[kind]
    frame[units] = on.astype(int)
    frame[:2000].to_csv(folder / "test.csv", index=False)
    frame[2000:].to_csv(folder / "train.csv", index=False)
    table.rename(columns={table.columns[0]: "expression"}).to_csv(
        folder / "knowledge.csv", index=False
    )
    study = {
        "name": "faces",
        "tasks": [
            {"name": "expression"},
            {"name": "units", "kind": "multilabel", "labels": units},
        ],
        "sources": [{"path": "train.csv"}, {"path": "test.csv", "split": "test"}],
        "relations": [{"table": "knowledge.csv", "source": "expression"}],
        "scatter": [
            {"name": "expressions", "tasks": ["expression"], "per_class": k},
            {"name": "units", "tasks": ["units"]},
        ],
        "training": {"steps": 800, "sampling": "equal", "learning_rate": 0.005},
    }
    path = folder / "study.yaml"
    write_text(path, yaml.safe_dump(study, sort_keys=False))
    return path


def spoil(path: Path, share: float, seed: int) -> None:
    """Give a share of the table's classes the row of another class."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    order = np.random.default_rng(seed).permutation(len(table))
    wrong = order[: round(share * len(table))]
    values = table.iloc[wrong, 1:].to_numpy()
    table.iloc[wrong, 1:] = np.roll(values, 1, axis=0)
    table.to_csv(path, index=False)


def methods(factors: tuple[float, ...]) -> list[Any]:
    """Return the methods of the comparison."""
    fixed = [
        {
            "method": "full",
            "name": f"factor {factor:g}",
            "relations": {"from": "given"},
            "couplings": {
                name: {"weight": factor, "fade": None}
                for name in ("distribution_matching", "co_annotation")
            },
        }
        for factor in factors
    ]
    return ["multi_task", "full", *fixed]


def measure(case: str, study: Path, seeds: int, factors: tuple[float, ...]) -> Iterator[Row]:
    """Run a study of all methods and return its rows."""
    content = yaml.safe_load(study.read_text(encoding="utf-8"))
    content |= {"methods": methods(factors), "seeds": seeds, "output": "strength"}
    content.pop("relatedness", None)
    results = Study(content, study.parent).compare(progress=False)
    metrics = {task.name: task.main_metric for task in results.tasks}
    source, *others = metrics
    for method, found in results.methods.items():
        if method == "single_task":
            continue
        for name, tasks in ((source, [source]), ("others", others)):
            values = [found[task][metrics[task]] for task in tasks]
            yield {
                "case": case,
                "method": method,
                "metric": name,
                "mean": float(np.mean([value.mean for value in values])),
                "low": float(np.mean([value.low for value in values])),
                "high": float(np.mean([value.high for value in values])),
                "seeds": seeds,
            }


def cases(
    wanted: str, quick: bool, study: Path | None
) -> Iterator[tuple[str, Path, tuple[float, ...]]]:
    """Write each case and return its name, study and factors.

    Cases that differ in their table alone share a folder: what does not use it is trained once.
    """
    factors = (0.1, 1.0) if quick else FACTORS
    with tempfile.TemporaryDirectory() as scratch:
        for k in (2,) if quick else (1, 2, 5, 20):
            for kind, share in (("true", 0.0), ("half", 0.5), ("shuffled", 1.0)):
                name = f"leaves {k} {kind}"
                if wanted in name and study is None:
                    folder = Path(scratch) / f"leaves-{k}"
                    path = write_leaves(folder, 1, k)
                    spoil(folder / "knowledge.csv", share, seed=0)
                    yield name, path, factors
        for k, n in ((5, 2500),) if quick else ((5, 2500), (100, 1500), (200, 50)):
            name = f"faces {k}/{n}"
            if wanted in name and study is None:
                folder = Path(scratch) / f"faces-{k}-{n}"
                folder.mkdir()
                yield name, faces(folder, k, n, seed=0), factors
        for name, validation in (("yeast", 0), ("yeast, thresholds", 100)):
            if wanted.startswith("yeast") and wanted in name and study is None:
                folder = Path(scratch) / name
                folder.mkdir()
                yield name, write_yeast(folder, validation=validation), factors
        if study is not None:
            yield study.stem, study, factors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--case", default="", help="only cases whose name holds this text")
    parser.add_argument("--study", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    for case, study, factors in cases(options.case, options.quick, options.study):
        for row in measure(case, study, options.seeds, factors):
            rows.append(row)
            print(
                f"{row['case']:20} {row['method']:12} {row['metric']:12} {row['mean']:.3f} "
                f"({row['low']:.3f} to {row['high']:.3f})",
                flush=True,
            )
    if options.json:
        write_text(options.json, json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
