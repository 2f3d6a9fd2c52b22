"""What class priors that differ between sources cost, and what adjusting gains.

Run ``python -m benchmarks.label_shift [--quick] [--json OUT]``. Cases:

- ``simulated``: two sources of one task, nine of ten rows left in one and right in the other; an
  input identifies the source. Test rows of a third place, left and right even.
- ``leaves 2``: 32 species labelled twice each, the attributes on all other rows, the true table;
  next to no shift. Test rows: 500 as they come.
- ``goemotions k``: 28 emotions labelled k times each (rare ones less), 7 Ekman and 4 sentiment
  groups on 5,000 other texts, the published maps; test rows: 3,000 as they come, a third of them
  neutral. ``--goemotions DIR``: its files; ``--vectors FILE``: .npy, one a line of train.tsv.

Every network is judged under several priors: of its labelled rows (training), of all training rows
as the relations imply (population), estimated on the test rows (rows), and the true one (true).
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.coupling_forms import Leaves
from benchmarks.relation_estimation import EKMAN, FEELINGS, SENTIMENT, scatter
from labelweave.annotations import Annotations
from labelweave.data import Source
from labelweave.estimator import MultiTaskClassifier
from labelweave.evaluation import evaluate
from labelweave.relations import Relation
from labelweave.relations._operations import multiply_in
from labelweave.tasks import Multiclass

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
PRIORS = ("training", "population", "rows", "true")
Row = dict[str, Any]


class Case(NamedTuple):
    """Sources to train on, rows to test the first task on, and the relations between the tasks."""

    sources: list[Source]
    test: pd.DataFrame
    labels: NDArray[np.int64]
    relations: list[Relation]
    steps: int
    backbone: str = "mlp"


def measure(name: str, cases: list[Case], methods: tuple[str, ...]) -> Iterator[Row]:
    """Train each method without and with adjusted training on every seed's case."""
    found: dict[tuple[str, str], list[dict[str, float | None]]] = {}
    for seed, case in enumerate(cases):
        for method in methods:
            for training in ("none", "adjust"):
                if method == "multi_task" and training == "adjust" and case.relations:
                    continue  # every task is labelled in one source: nothing to adjust
                classifier = MultiTaskClassifier(
                    relations=case.relations, method=method, steps=case.steps, random_state=seed,
                    label_shift={"training": training}, backbone=case.backbone,
                ).fit(case.sources)  # fmt: skip
                for label, prior, p in predictions(classifier, case, f"{method}, {training}"):
                    scores = evaluate(classifier.tasks_[0], p, case.labels)
                    found.setdefault((label, prior), []).append(scores)
    for (method, prior), of_seeds in found.items():
        values = {m: np.array([of[m] for of in of_seeds], np.float64) for m in METRICS}
        figures = " ".join(f"{v.mean():7.3f}±{v.std():.3f}" for v in values.values())
        print(f"{name:14} {method:30} {prior:10} {figures}", flush=True)
        for metric, v in values.items():
            row: Row = {"case": name, "method": f"{method}, prior {prior}", "metric": metric}
            row |= {"mean": float(v.mean()), "low": float(v.min()), "high": float(v.max())}
            yield row | {"seeds": len(cases)}


def predictions(
    classifier: MultiTaskClassifier, case: Case, method: str
) -> Iterator[tuple[str, str, NDArray[Any]]]:
    """Give method, prior and the first task's probabilities of the test rows."""
    task = classifier.tasks_[0]
    counts = np.bincount(case.labels, minlength=task.width) + 0.5
    true = {task.name: dict(zip(task.names, (counts / counts.sum()).tolist(), strict=True))}
    for name in PRIORS:
        given = classifier.predict_proba(case.test, true if name == "true" else name)
        yield method, name, given[task.name]
        if method == "multi_task, none" and case.relations and name != "population":
            yield "post_hoc", name, multiply_in(given, case.relations)[task.name]


def simulated(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    task = Multiclass("side", ("left", "right"))
    sources = []
    for place, share in ((-1, 0.1), (1, 0.9)):
        right = (rng.random(2000) < share).astype(np.int64)
        frame = pd.DataFrame(
            {"x": rng.normal(2 * right - 1), "place": rng.normal(place, 1, size=2000)}
        )
        sources.append(Source(f"place {place}", frame, Annotations((task,), {"side": right})))
    right = (rng.random(2000) < 0.5).astype(np.int64)
    test = pd.DataFrame({"x": rng.normal(2 * right - 1), "place": rng.normal(1, 1, size=2000)})
    return Case(sources, test, right, [], 2000, "linear")


def leaves(seed: int, data: Leaves) -> Case:
    order = np.random.default_rng(seed).permutation(len(data.inputs))
    return _scattered(data.inputs, data.annotations, data.relations, order, 500, 2, None, 800)


def goemotions(
    seed: int, k: int, inputs: NDArray[np.floating], labels: Annotations, relations: list[Relation]
) -> Case:
    order = np.random.default_rng(seed).permutation(len(inputs))
    return _scattered(inputs, labels, relations, order, 3000, k, 5000, 600)


def _scattered(
    inputs: NDArray[np.floating],
    labels: Annotations,
    relations: list[Relation],
    order: NDArray[np.int64],
    test: int,
    k: int,
    rest: int | None,
    steps: int,
) -> Case:
    """Return few rows with the first task, others with the rest, and test rows as they come."""
    frame = pd.DataFrame(inputs, columns=[f"x{i}" for i in range(inputs.shape[1])])
    rows, kept = scatter(labels, order[test:], k, rest)
    first = labels.tasks[0].name
    few = kept.labelled(first)
    sources = [
        Source(name, frame.iloc[rows[part]].reset_index(drop=True), kept[part])
        for name, part in (("few", few), ("others", ~few))
    ]
    truth = labels.labels[first][order[:test]].astype(np.int64)
    return Case(sources, frame.iloc[order[:test]], truth, relations, steps)


def read_goemotions(
    folder: Path, vectors: Path
) -> tuple[NDArray[np.floating], Annotations, list[Relation]]:
    """Return vectors, labels and the maps to groups of the texts with a single emotion."""
    emotions = (folder / "labels.txt").read_text(encoding="utf-8").split()
    lines = (folder / "train.tsv").read_text(encoding="utf-8").split("\n")
    features = np.load(vectors, allow_pickle=False).astype(np.float32)
    ids = [line.split("\t")[1] for line in lines[: len(features)]]
    single = np.array(["," not in text for text in ids])
    codes = np.array([int(text) for text in ids if "," not in text])
    group = {name: ekman for ekman, text in EKMAN.items() for name in text.split()}
    ekman = np.array([list(EKMAN).index(group[name]) for name in emotions])
    feeling = np.array([FEELINGS.index(SENTIMENT.get(group[n], "negative")) for n in emotions])
    source = Multiclass("emotion", tuple(emotions))
    targets = (Multiclass("ekman", tuple(EKMAN)), Multiclass("sentiment", FEELINGS))
    tables = (np.eye(7)[ekman], np.eye(4)[feeling])
    maps = [Relation(source, t, table) for t, table in zip(targets, tables, strict=True)]
    labels = {"emotion": codes, "ekman": ekman[codes], "sentiment": feeling[codes]}
    return features[single], Annotations((source, *targets), labels), maps


def main() -> None:
    """Measure, print a table and write the rows as JSON where asked to."""
    parser = argparse.ArgumentParser(description="Label shift between sources, and what helps.")
    parser.add_argument("--quick", action="store_true", help="one seed instead of three")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    parser.add_argument("--goemotions", type=Path, help="folder of the GoEmotions texts")
    parser.add_argument("--vectors", type=Path, help="vectors of its texts, .npy")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(1 if options.quick else 3)
    print(
        f"{'case':14} {'method, training':30} {'prior':10} " + " ".join(f"{m:>13}" for m in METRICS)
    )
    methods = ("multi_task", "distribution_matching", "full")
    rows = list(measure("simulated", [simulated(seed) for seed in seeds], ("multi_task",)))
    data = Leaves()
    rows += measure("leaves 2", [leaves(seed, data) for seed in seeds], methods)
    if options.goemotions and options.vectors:
        texts = read_goemotions(options.goemotions, options.vectors)
        for k in (10, 50):
            cases = [goemotions(seed, k, *texts) for seed in seeds]
            rows += measure(f"goemotions {k}", cases, methods)
    else:
        print("goemotions: skipped, needs --goemotions DIR and --vectors FILE")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
