"""Whether the rows that ``label_next.csv`` names are better than random ones.

Run ``python -m benchmarks.label_plan [--quick] [--case NAME] [--seeds N] [--json OUT]``. A study of
``labelweave case leaves`` (32 species) or ``digits`` (10), two labels a class to start with and the
attributes labelled on all other training rows. Train `full` by the written table, buy the labels of
n rows, and train anew on all; bought rows join the source that labels the class.

- ``random``: mean of three draws;
- ``entropy``: the rows of the highest entropy of the class;
- ``plan``: the rows that `rows_to_label` names.

Test accuracy of the class, and the paired difference to random over the seeds with Student's 95 %
interval.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import stats

from labelweave._files import write_text
from labelweave.annotations import Annotations
from labelweave.datasets import write_digits, write_leaves
from labelweave.evaluation import evaluate, main_metric
from labelweave.experiments import Study
from labelweave.experiments._active_learning import row_scores, rows_to_label
from labelweave.fitting._fit import fit
from labelweave.fitting._methods import find_method
from labelweave.fitting._split import Split
from labelweave.model import Model

CASES: dict[str, Callable[[Path, int], Path]] = {"leaves": write_leaves, "digits": write_digits}
METHOD = "full.given"
DRAWS = 3
Rows = NDArray[np.int64]
Row = dict[str, Any]


def bought(split: Split, task: str, rows: Rows) -> Split:
    """Return the split with the hidden labels of some training rows of a task."""
    assert split.everything is not None
    labels = {name: codes.copy() for name, codes in split.train.annotations.labels.items()}
    labels[task][rows] = split.everything.labels[task][rows]
    source = split.source.copy()
    source[rows] = 0
    annotations = Annotations(split.train.annotations.tasks, labels)
    return replace(split, train=replace(split.train, annotations=annotations), source=source)


def choices(
    study: Study, split: Split, model: Model, task: str, n: int
) -> Iterator[tuple[str, Rows]]:
    """Give every way to choose n rows, and the rows."""
    free = np.flatnonzero(~split.train.annotations.labelled(task))
    draw = np.random.default_rng([split.seed, n])
    for _ in range(DRAWS):
        yield "random", draw.permutation(free)[:n]
    given = model.probabilities(split.train.inputs)
    p = np.maximum(given[task][free].astype(np.float64), 1e-12)
    yield "entropy", free[np.argsort((p * np.log(p)).sum(axis=1), kind="stable")[:n]]
    collection = study.data.collection
    features = model.features(split.train.inputs)
    scores = row_scores(split, lambda rows: {name: p[rows] for name, p in given.items()})
    table = rows_to_label(split, scores, features, collection, {task: 1.0}, n)
    # rows of the only source's file, from 1
    place = {int(collection.numbers[row]): i for i, row in enumerate(split.train.index)}
    yield "plan", np.array([place[int(row)] for row in table["row"]])


def measure(case: str, seed: int, quick: bool) -> Iterator[Row]:
    """Give the accuracy on one seed of every choice of every number of labels."""
    with tempfile.TemporaryDirectory() as scratch:
        path = CASES[case](Path(scratch), 1)
        content = yaml.safe_load(path.read_text(encoding="utf-8")) | {"seeds": [seed]}
        if quick:
            content["training"]["steps"] = 100
        study = Study(content, path.parent)
        split, task, method = study.first_split(), study.data.tasks[0], find_method(METHOD)

        def accuracy(data: Split) -> tuple[float, Model]:
            model = fit(method, data, study.config)
            given = model.under_prior(model.probabilities(data.test.inputs))
            assert isinstance(model, Model)
            labels = data.test.annotations.labels[task.name]
            found = evaluate(task, given[task.name], labels)[main_metric(task)]
            return float(found or 0.0), model

        start, model = accuracy(split)
        yield {"case": case, "seed": seed, "labels": 0, "choice": "start", "accuracy": start}
        for n in (task.width,) if quick else (task.width, 2 * task.width):
            by_choice: dict[str, list[float]] = {}
            for choice, rows in choices(study, split, model, task.name, n):
                by_choice.setdefault(choice, []).append(accuracy(bought(split, task.name, rows))[0])
            for choice, values in by_choice.items():
                mean = float(np.mean(values))
                yield {"case": case, "seed": seed, "labels": n, "choice": choice, "accuracy": mean}


def summary(rows: list[Row]) -> Iterator[str]:
    """Give the means over the seeds and the differences to random, a line each."""
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        for n in sorted({row["labels"] for row in mine}):
            found: dict[str, dict[int, float]] = {}
            for row in mine:
                if row["labels"] == n:
                    found.setdefault(row["choice"], {})[row["seed"]] = row["accuracy"]
            for choice, by_seed in found.items():
                line = f"{case:8s} +{n:<4d} {choice:8s} {np.mean(list(by_seed.values())):.4f}"
                random = found.get("random", {})
                changes = [by_seed[s] - random[s] for s in by_seed if s in random]
                if choice not in ("start", "random") and len(changes) > 1:
                    half = stats.t.ppf(0.975, len(changes) - 1) * stats.sem(changes)
                    mean = float(np.mean(changes))
                    line += f"  {mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f}) over random"
                yield line + f"  {len(by_seed)} seeds"


def main() -> None:
    """Run the benchmark and print its table; what is in the JSON file already is not repeated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one number of labels, 100 steps")
    parser.add_argument("--case", choices=list(CASES), default=None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    rows: list[Row] = []
    if args.json and args.json.exists():
        rows = json.loads(args.json.read_text(encoding="utf-8"))
    done = {(row["case"], row["seed"]) for row in rows}
    for seed in range(2 if args.quick else args.seeds):
        for case in CASES if args.case is None else (args.case,):
            if (case, seed) in done:
                continue
            rows += list(measure(case, seed, args.quick))
            if args.json:
                write_text(args.json, json.dumps(rows, indent=1))
    print("\n".join(summary(rows)))


if __name__ == "__main__":
    main()
