"""How close an estimated table comes to the true one, and what it gains.

Run ``python -m benchmarks.relation_estimation [--quick] [--json OUT]``. Cases:

- ``leaves k``: 32 species labelled k times each, the attributes on all other training rows. Table
  error (half L1 per class; mean over classes and targets) and species accuracy of distribution
  matching, without and with an expert, some of whose rows are wrong.
- ``goemotions k``: 28 emotions labelled k times each; the 7 Ekman and 4 sentiment groups on 5,000
  other texts. ``--goemotions DIR``: its files; ``--vectors FILE``: .npy, one a row of train.tsv.
- ``speed``: seconds for 1,000,000 rows, 100 classes and 300 labels (--quick: a twentieth of them).
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.metrics import confusion_matrix
from sklearn.preprocessing import StandardScaler

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data._batches import Batches
from labelweave.datasets._demos import BINARY, read_leaves
from labelweave.datasets._demos import LEAVES_ATTRIBUTES as ATTRIBUTES
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import EstimatedRelation, Relation, estimate_relations, read_knowledge
from labelweave.tasks import Binary, Multiclass, Multilabel, Task
from labelweave.training import Trainer, TrainingConfig

Rows = NDArray[np.int64]
Inputs = NDArray[np.float32]
Predictions = dict[str, NDArray[np.float32]]
Row = dict[str, Any]
Relations = Sequence[Relation]
COUPLING = {"distribution_matching": {"smoothing": 0.01}}
EKMAN = {
    "anger": "anger annoyance disapproval",
    "disgust": "disgust",
    "fear": "fear nervousness",
    "joy": "joy amusement approval excitement gratitude love optimism relief pride admiration "
    "desire caring",
    "sadness": "sadness disappointment embarrassment grief remorse",
    "surprise": "surprise realization confusion curiosity",
    "neutral": "neutral",
}
FEELINGS = ("ambiguous", "negative", "neutral", "positive")
SENTIMENT = {"joy": "positive", "surprise": "ambiguous", "neutral": "neutral"}


def fit(
    inputs: Inputs, rows: Rows, labels: Annotations, relations: Relations, seed: int, steps: int
) -> Predictions:
    """Train on half a batch of either kind of rows; predict all inputs."""
    first = labels.labelled(labels.tasks[0].name)
    sources = [np.flatnonzero(first), np.flatnonzero(~first)]
    torch.manual_seed(seed)
    network = MultiTaskNetwork(backbone("mlp", inputs.shape[1]), labels.tasks)
    objective = Objective(labels.tasks, relations, COUPLING if relations else None)
    batches = Batches(inputs[rows], labels, sampler("equal", sources, 128, seed))
    config = TrainingConfig(steps=steps, learning_rate=5e-3)
    Trainer(config, seed=seed).fit(network, objective, batches, steps)
    return {k: p.numpy() for k, p in network.probabilities(torch.from_numpy(inputs)).items()}


def scatter(
    annotations: Annotations, train: Rows, k: int, rest: int | None
) -> tuple[Rows, Annotations]:
    """Keep the first task's label on k rows a class and the other tasks' on the rest."""
    first, *others = (task.name for task in annotations.tasks)
    classes = annotations.labels[first][train]
    given = np.concatenate([train[classes == c][:k] for c in range(annotations.tasks[0].width)])
    free = train[~np.isin(train, given)][:rest]
    parts = [annotations[given].keep([first]), annotations[free].keep(others)]
    return np.concatenate([given, free]), Annotations.concatenate(parts)


def table_error(found: Sequence[EstimatedRelation], true: Relations) -> float:
    """Half L1 between rows (multiclass) or entries (multilabel); mean over all and targets."""
    errors = []
    for estimate, relation in zip(found, true, strict=True):
        distance = np.abs(estimate.relation.table - relation.table)
        half = distance.sum(axis=1) / 2 if isinstance(relation.target, Multiclass) else distance
        errors.append(half.mean())
    return float(np.mean(errors))


def leaves(seeds: int) -> Iterator[Row]:
    frame = read_leaves()
    names = ["species", *ATTRIBUTES]
    tasks: list[Task] = [Binary(n) if n in BINARY else Multiclass(n) for n in names]
    annotations = Annotations.from_columns(tasks, frame)
    true = read_knowledge(frame.drop_duplicates("species")[names], "species", annotations.tasks)
    features = frame.drop(columns=names).to_numpy(np.float64)
    species = annotations.labels["species"]
    pairs = [("species", name) for name in ATTRIBUTES]
    for k in (1, 2, 5):
        values: dict[tuple[str, str], list[float]] = {}
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(features))
            test, train = order[:500], order[500:]
            scaled = StandardScaler().fit(features[train]).transform(features)
            inputs = np.clip(scaled, -10, 10).astype(np.float32)
            rows, labels = scatter(annotations, train, k, None)
            p = fit(inputs, rows, labels, [], seed, 800)
            seen = {name: values_[rows] for name, values_ in p.items()}
            methods: dict[str, Relations] = {"multi_task": [], "DM, true table": true}
            experts = {"estimated": 0, "true expert": 0, "25 % wrong": 8, "50 % wrong": 16}
            for method, wrong in {**experts, "all wrong": 32}.items():
                given = [] if method == "estimated" else [_wrong_rows(r, wrong, seed) for r in true]
                found = estimate_relations(labels, seen, pairs, knowledge=given)
                values.setdefault((method, "table error"), []).append(table_error(found, true))
                methods[f"DM, {method}"] = [estimate.relation for estimate in found]
                if wrong:
                    share = _named(found, given, true)
                    values.setdefault((method, "wrong rows named"), []).append(share)
            for method, relations in methods.items():
                q = p if method == "multi_task" else fit(inputs, rows, labels, relations, seed, 800)
                right = q["species"][test].argmax(axis=1) == species[test]
                values.setdefault((method, "species accuracy"), []).append(float(right.mean()))
        yield from (
            summary(f"leaves {k}", method, metric, v) for (method, metric), v in values.items()
        )


def _wrong_rows(relation: Relation, count: int, seed: int) -> Relation:
    """Return the relation with some classes' rows given to one another in a ring."""
    rows = np.random.default_rng([seed, count]).permutation(relation.source.width)[:count]
    table = relation.table.copy()
    table[rows] = table[np.roll(rows, 1)]
    return Relation(relation.source, relation.target, table)


def _named(found: Sequence[EstimatedRelation], given: Relations, true: Relations) -> float:
    """Share of the experts' wrong rows, over all relations, which the estimates name."""
    wrong = {
        (right.name, right.source.names[row])
        for expert, right in zip(given, true, strict=True)
        for row in np.flatnonzero(np.abs(expert.table - right.table).max(axis=1) > 0.5)
    }
    named = {(e.relation.name, name) for e in found for name in e.wrong_rows()}
    return len(wrong & named) / max(1, len(wrong))


def goemotions(seeds: int, folder: Path, vectors: Path) -> Iterator[Row]:
    emotions = (folder / "labels.txt").read_text(encoding="utf-8").split()
    lines = (folder / "train.tsv").read_text(encoding="utf-8").split("\n")
    features = np.load(vectors, allow_pickle=False)
    ids = [line.split("\t")[1] for line in lines[: len(features)]]
    single = np.array(["," not in text for text in ids])
    y = np.array([int(text) for text in ids if "," not in text])
    inputs = StandardScaler().fit_transform(features[single]).astype(np.float32)
    group = {name: ekman for ekman, text in EKMAN.items() for name in text.split()}
    ekman = np.array([list(EKMAN).index(group[name]) for name in emotions])
    feeling = np.array([FEELINGS.index(SENTIMENT.get(group[n], "negative")) for n in emotions])
    source = Multiclass("emotion", tuple(emotions))
    targets = (Multiclass("ekman", tuple(EKMAN)), Multiclass("sentiment", FEELINGS))
    true = [Relation(source, targets[0], np.eye(7)[ekman])]
    true += [Relation(source, targets[1], np.eye(4)[feeling])]
    codes = {"emotion": y, "ekman": ekman[y], "sentiment": feeling[y]}
    annotations = Annotations((source, *targets), codes)
    pairs = [("emotion", target.name) for target in targets]
    for k in (10, 50):
        values: dict[str, list[float]] = {}
        for seed in range(seeds):
            train = np.random.default_rng(seed).permutation(len(y))[3000:]
            rows, labels = scatter(annotations, train, k, 5000)
            p = fit(inputs, rows, labels, [], seed, 600)
            seen = {name: values_[rows] for name, values_ in p.items()}
            counts = _cross_validated(inputs, rows, labels, "emotion", seed)
            for method, confusion in (("estimated", None), ("with confusion", {"emotion": counts})):
                found = estimate_relations(labels, seen, pairs, confusion=confusion)
                values.setdefault(method, []).append(table_error(found, true))
        yield from (
            summary(f"goemotions {k}", method, "table error", v) for method, v in values.items()
        )


def _cross_validated(
    inputs: Inputs, rows: Rows, labels: Annotations, name: str, seed: int, folds: int = 3
) -> NDArray[np.float64]:
    """Return the confusion counts of a task's head on labelled rows held out of training."""
    fold = np.arange(len(rows)) % folds
    codes = labels.labels[name]
    predicted = np.full(len(rows), -1)
    for number in range(folds):
        p = fit(inputs, rows[fold != number], labels[fold != number], [], seed, 600)
        predicted[fold == number] = p[name][rows[fold == number]].argmax(axis=1)
    seen = codes >= 0
    width = labels.task(name).width
    return np.asarray(
        confusion_matrix(codes[seen], predicted[seen], labels=np.arange(width)), float
    )


def speed(n: int) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    tasks = (
        Multiclass("kind", tuple(range(100))),
        Multilabel("signs", tuple(map(str, range(300)))),
    )
    table = np.where(rng.random((100, 300)) < 0.2, 0.95, 0.05)
    truth = rng.integers(100, size=n)
    signs = np.full((n, 300), -1, np.int8)
    p, q = np.empty((n, 100), np.float32), np.empty((n, 300), np.float32)
    for rows in np.array_split(np.arange(n), max(1, n // 50_000)):
        on = rng.random((len(rows), 300)) < table[truth[rows]]
        p[rows] = softmax(rng.normal(3 * np.eye(100)[truth[rows]]), axis=1)
        q[rows] = expit(rng.normal(4 * on - 2))
        signs[rows] = np.where(rows[:, None] < n // 2, -1, on)
    labels = {"kind": np.where(np.arange(n) < n // 2, truth, -1), "signs": signs}
    annotations = Annotations(tasks, labels)
    start = time.perf_counter()
    estimate_relations(annotations, {"kind": p, "signs": q}, [("kind", "signs")])
    yield summary("speed", f"{n:,} rows", "seconds", [time.perf_counter() - start])


def summary(case: str, method: str, metric: str, values: Sequence[float]) -> Row:
    """Print and return the mean with the lowest and highest of the seeds."""
    row = {"mean": float(np.mean(values)), "low": min(values), "high": max(values)}
    print(f"{case:14} {method:20} {metric:18}", *(f"{v:8.4f}" for v in row.values()), flush=True)
    return {"case": case, "method": method, "metric": metric, **row, "seeds": len(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Error and worth of estimated relations.")
    parser.add_argument("--quick", action="store_true", help="one seed, and small data for speed")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    parser.add_argument("--goemotions", type=Path, help="folder of the GoEmotions texts")
    parser.add_argument("--vectors", type=Path, help="vectors of its texts, .npy")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = 1 if options.quick else 5
    print(f"{'case':14} {'method':20} {'metric':18} {'mean':>8} {'low':>8} {'high':>8}")
    rows = list(leaves(seeds))
    if options.goemotions and options.vectors:
        rows += goemotions(seeds, options.goemotions, options.vectors)
    else:
        print("goemotions: skipped, needs --goemotions DIR and --vectors FILE")
    rows += speed(50_000 if options.quick else 1_000_000)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
