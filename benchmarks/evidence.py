"""What the evidence tests accept and reject: simulated relations, leaves, and yeast.

Run ``python -m benchmarks.evidence [--quick] [--json OUT] [--case NAME]``. Cases:

- ``simulated``: share of seeded trials in which a relation comes out "related", by itself and
  tested against a table estimated from other rows.
- ``leaves``: the handbook's table, true, shuffled or with wrong rows, of 32 species labelled twice
  each; then species accuracy of distribution matching with the tables as given ("ungated") and
  with what the evidence leaves of them ("gated"; a contradicted table is replaced by the estimate).
- ``yeast``: noisy-OR relations between two halves of 14 labels on disjoint rows; needs the package
  river (0.26.1), which ships the data.
- ``speed``: seconds for 100,000 rows, 100 classes and 100 labels.
"""

import argparse
import csv
import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.cases.leaves import ATTRIBUTES, BINARY, read_leaves
from labelweave.data.batches import Batches
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork
from labelweave.networks.backbones import backbone
from labelweave.relations import Relation, read_knowledge
from labelweave.relations.evidence import Evidence, evaluate_noisy_or, evaluate_relation
from labelweave.relations.noisy_or import NoisyOr
from labelweave.tasks import Binary, Multiclass, Multilabel
from labelweave.training import Trainer, TrainingConfig

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Row = dict[str, Any]
COUPLING = {"distribution_matching": {"smoothing": 0.01}}


def simulated(seeds: int) -> Iterator[Row]:
    arms: dict[str, list[float]] = {}
    for seed in range(seeds):
        relation, p, labels = _simulate(seed)
        generator = np.random.default_rng([seed, 1])
        first, second = np.array_split(np.arange(len(p)), 2)
        estimate = _estimated(relation, p[first], labels[first])
        wrong = {
            f"{share:.0%} entries wrong": _wrong_entries(relation, share, generator)
            for share in (0.1, 0.3)
        }
        tables = {"true": relation, "shuffled": relation.permuted(seed), **wrong}
        for arm, table in tables.items():
            alone = evaluate_relation(table, p[second], labels[second], seed=seed)
            both = evaluate_relation(
                table, p[second], labels[second], estimated=estimate, seed=seed
            )
            arms.setdefault(arm, []).append(alone.verdict == "related")
            arms.setdefault(f"{arm}, against estimate", []).append(both.verdict == "related")
        apart = generator.permutation(p[second])
        found = evaluate_relation(relation, apart, labels[second], seed=seed)
        arms.setdefault("independent", []).append(found.verdict == "related")
    for arm, related in arms.items():
        yield _row("simulated", arm, "share related", related)


def _simulate(seed: int) -> tuple[Relation, Floats, NDArray[np.int8]]:
    """Return 7 classes -> 12 labels, an over-confident head's predictions, and 400 rows."""
    generator = np.random.default_rng(seed)
    table = np.where(generator.random((7, 12)) < 0.3, 0.85, 0.07)
    truth = generator.integers(7, size=400)
    p = np.exp(2 * generator.normal(size=(400, 7)) + 4 * np.eye(7)[truth])
    labels = (generator.random((400, 12)) < table[truth]).astype(np.int8)
    source = Multiclass("source", tuple(range(7)))
    target = Multilabel("target", tuple(f"label {i}" for i in range(12)))
    return Relation(source, target, table), p / p.sum(axis=1, keepdims=True), labels


def _wrong_entries(relation: Relation, share: float, generator: np.random.Generator) -> Relation:
    wrong = generator.random(relation.table.shape) < share
    return replace(relation, table=np.where(wrong, 1 - relation.table, relation.table))


def _estimated(relation: Relation, p: Floats, labels: NDArray[Any]) -> Relation:
    """Return the table of soft counts: the mean label of the rows predicted as each class."""
    multiclass = isinstance(relation.target, Multiclass)
    values = np.eye(relation.target.width)[labels] if multiclass else labels.astype(np.float64)
    table = (p.T @ values + 5 * values.mean(axis=0)) / (p.sum(axis=0)[:, None] + 5)
    return replace(relation, table=table, known=None, origin="soft counts")


def leaves(seeds: int) -> Iterator[Row]:
    frame = read_leaves()
    names = ["species", *ATTRIBUTES]
    annotations = Annotations.from_columns(
        [Binary(name) if name in BINARY else Multiclass(name) for name in names], frame
    )
    handbook = frame.drop_duplicates("species")[names]
    true = read_knowledge(handbook, "species", annotations.tasks)
    features = frame.drop(columns=names).to_numpy(np.float64)
    verdicts: dict[str, list[float]] = {}
    accuracy: dict[str, list[float]] = {}
    for seed in range(seeds):
        run = _Leaves(seed, features, annotations)
        p = run.train([])
        accuracy.setdefault("multi_task", []).append(run.accuracy(p))
        first, second = np.array_split(run.attribute_rows, 2)
        rough = [_estimated(r, p[first], annotations.labels[r.target.name][first]) for r in true]
        full = [
            _estimated(r, p[run.attribute_rows], annotations.labels[r.target.name][rows])
            for r in true
            for rows in [run.attribute_rows]
        ]
        tables = {
            "true": true,
            "25% rows wrong": [_wrong_rows(r, 8, seed) for r in true],
            "50% rows wrong": [_wrong_rows(r, 16, seed) for r in true],
            "shuffled": [r.permuted(seed) for r in true],
        }
        for arm, relations in tables.items():
            gated = []
            for relation, estimate, better in zip(relations, rough, full, strict=True):
                labels = annotations.labels[relation.target.name][second]
                found = evaluate_relation(
                    relation, p[second], labels, estimated=estimate, seed=seed
                )
                alone = evaluate_relation(relation, p[second], labels, seed=seed)
                verdicts.setdefault(f"{arm}: related alone", []).append(alone.verdict == "related")
                verdicts.setdefault(f"{arm}: related", []).append(found.verdict == "related")
                kept = better if found.verdict.startswith("contradicted") else found.filtered()
                gated += [kept] if kept is not None else []
            for name, chosen in (("ungated", relations), ("gated", gated)):
                predicted = run.train(chosen)
                accuracy.setdefault(f"{arm}, {name}", []).append(run.accuracy(predicted))
    for arm, related in verdicts.items():
        yield _row("leaves", arm, "share of relations", related)
    for arm, values in accuracy.items():
        yield _row("leaves", arm, "species accuracy", values)


def _wrong_rows(relation: Relation, count: int, seed: int) -> Relation:
    """Return the relation with some classes' rows given to one another in a ring."""
    rows = np.random.default_rng([seed, count]).permutation(relation.source.width)[:count]
    table = relation.table.copy()
    table[rows] = table[np.roll(rows, 1)]
    return replace(relation, table=table)


class _Leaves:
    """One split: two labels a species on some rows, the attributes on all other training rows."""

    def __init__(self, seed: int, features: Floats, annotations: Annotations) -> None:
        order = np.random.default_rng(seed).permutation(len(features))
        self.test, train = order[:500], order[500:]
        self.seed, self.species = seed, annotations.labels["species"]
        labelled = [train[self.species[train] == k][:2] for k in range(self.species.max() + 1)]
        species_rows = np.concatenate(labelled)
        self.attribute_rows: Rows = train[~np.isin(train, species_rows)]
        self.rows = np.concatenate([species_rows, self.attribute_rows])
        self.sources = np.split(np.arange(len(self.rows)), [len(species_rows)])
        scaled = StandardScaler().fit(features[train]).transform(features)
        self.inputs = np.clip(scaled, -10, 10).astype(np.float32)
        self.labels = Annotations.concatenate(
            [
                annotations[species_rows].keep(["species"]),
                annotations[self.attribute_rows].keep(ATTRIBUTES),
            ]
        )

    def train(self, relations: Sequence[Relation]) -> Floats:
        """Return the species predicted for every leaf, (n, 32)."""
        return _train(self.inputs, self.rows, self.labels, self.sources, relations, self.seed, 800)[
            "species"
        ]

    def accuracy(self, p: Floats) -> float:
        return float((p[self.test].argmax(axis=1) == self.species[self.test]).mean())


def _train(
    inputs: NDArray[np.float32],
    rows: Rows,
    labels: Annotations,
    sources: Sequence[Rows],
    relations: Sequence[Relation],
    seed: int,
    steps: int,
) -> dict[str, Floats]:
    torch.manual_seed(seed)
    network = MultiTaskNetwork(backbone("mlp", inputs.shape[1]), labels.tasks)
    objective = Objective(labels.tasks, relations, COUPLING if relations else None)
    batches = Batches(inputs[rows], labels, sampler("equal", sources, 128, seed))
    Trainer(TrainingConfig(steps=steps, learning_rate=5e-3), seed=seed).fit(
        network, objective, batches, steps
    )
    found = network.probabilities(torch.from_numpy(inputs))
    return {name: p.numpy().astype(np.float64) for name, p in found.items()}


def yeast(seeds: int) -> Iterator[Row]:
    spec = find_spec("river")
    if spec is None or not spec.submodule_search_locations:
        print("yeast: skipped, the package river is not installed")
        return
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "yeast.csv.gz"
    with gzip.open(path, "rt") as lines:
        table = list(csv.reader(lines))
    values = np.array(
        [[{"TRUE": "1", "FALSE": "0"}.get(c.upper(), c) for c in row] for row in table[1:]], float
    )
    inputs = StandardScaler().fit_transform(values[:, :-14]).astype(np.float32)
    tasks = [Multilabel(name, tuple(f"{name}{i}" for i in range(7))) for name in ("a", "b")]
    codes = {"a": values[:, -14:-7].astype(np.int8), "b": values[:, -7:].astype(np.int8)}
    lifts: dict[str, list[float]] = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(inputs))
        parts = dict(zip("ab", np.split(order, [800, 1600])[:2], strict=True))
        held = order[1600:]
        whole = Annotations(tuple(tasks), codes)
        labels = Annotations.concatenate([whole[parts[name]].keep([name]) for name in "ab"])
        rows, sources = order[:1600], np.split(np.arange(1600), 2)
        p = _train(inputs, rows, labels, sources, [], seed, 300)
        for source, target in (tasks, tasks[::-1]):
            s, t = source.name, target.name
            relation = NoisyOr.fit(source, target, p[s][parts[t]], codes[t][parts[t]])
            found = evaluate_noisy_or(relation, p[s][held], codes[t][held], p[t][held], seed=seed)
            base = np.broadcast_to(codes[t][parts[t]].mean(axis=0), p[t][held].shape)
            easy = evaluate_noisy_or(relation, p[s][held], codes[t][held], base, seed=seed)
            for name, each in (("own predictions", found), ("base rate", easy)):
                _add(lifts, f"{s}->{t} over {name}", each)
    for arm, figures in lifts.items():
        name, metric = arm.rsplit("|", 1)
        yield _row("yeast", name, metric, figures)


def _add(lifts: dict[str, list[float]], arm: str, found: Evidence) -> None:
    lifts.setdefault(f"{arm}|lift", []).append(found.lift or 0.0)
    lifts.setdefault(f"{arm}|share related", []).append(found.verdict == "related")
    kept = sum(label.keep for label in found.per_label)
    lifts.setdefault(f"{arm}|labels kept of 7", []).append(kept)


def speed(seeds: int) -> Iterator[Row]:
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.full(100, 0.1), size=100_000)
    table = generator.random((100, 100)) ** 2
    labels = (generator.random((100_000, 100)) < p @ table).astype(np.int8)
    source = Multiclass("source", tuple(range(100)))
    target = Multilabel("target", tuple(f"label {i}" for i in range(100)))
    start = time.perf_counter()
    evaluate_relation(Relation(source, target, table), p, labels)
    yield _row("speed", "100k x 100 x 100", "seconds", [time.perf_counter() - start])


def _row(case: str, arm: str, metric: str, values: Sequence[float]) -> Row:
    """Return the mean with a normal interval over the seeds."""
    drawn = np.asarray(values, dtype=np.float64)
    half = 1.96 * drawn.std(ddof=1) / np.sqrt(len(drawn)) if len(drawn) > 1 else 0.0
    mean = float(drawn.mean())
    row = {"mean": mean, "low": mean - half, "high": mean + half, "seeds": len(drawn)}
    print(f"{case:10} {arm:36} {metric:20} {mean:7.3f} ({mean - half:.3f} to {mean + half:.3f})")
    return {"case": case, "arm": arm, "metric": metric, **row}


CASES: Mapping[str, tuple[Callable[[int], Iterator[Row]], int]] = {
    "simulated": (simulated, 100),
    "leaves": (leaves, 5),
    "yeast": (yeast, 10),
    "speed": (speed, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the seeds, at least one")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--case", choices=CASES, help="only this case")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        row
        for name, (case, seeds) in CASES.items()
        if given.case in (None, name)
        for row in case(max(1, seeds // 10) if given.quick else seeds)
    ]
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
