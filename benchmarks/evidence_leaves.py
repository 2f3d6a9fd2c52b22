"""The leaves case of ``benchmarks.evidence``, and what its cases share."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data._batches import Batches
from labelweave.datasets._demos import BINARY, read_leaves
from labelweave.datasets._demos import LEAVES_ATTRIBUTES as ATTRIBUTES
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import AnyRelation, Relation, evaluate_relation, read_knowledge
from labelweave.tasks import Binary, Multiclass
from labelweave.training import Trainer, TrainingConfig

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Row = dict[str, Any]
COUPLING = {"distribution_matching": {"smoothing": 0.01}}


def leaves(seeds: int) -> Iterator[Row]:
    """Yield the verdicts on the handbook's tables, and the accuracies they lead to."""
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
        rough, full = (
            [estimated(r, p[rows], annotations.labels[r.target.name][rows]) for r in true]
            for rows in (first, run.attribute_rows)
        )
        tables = {
            "true": true,
            "25% rows wrong": [_wrong_rows(r, 8, seed) for r in true],
            "50% rows wrong": [_wrong_rows(r, 16, seed) for r in true],
            "shuffled": [r.permuted(seed) for r in true],
        }
        for method, relations in tables.items():
            gated: list[AnyRelation] = []
            for relation, right, estimate, better in zip(relations, true, rough, full, strict=True):
                labels = annotations.labels[relation.target.name][second]
                alone = evaluate_relation(relation, p[second], labels, seed=seed)
                found = evaluate_relation(
                    relation, p[second], labels, estimated=estimate, seed=seed
                )
                # species with the same attribute can be exchanged without harm
                if method == "true" or not np.array_equal(relation.table, right.table):
                    for name, each in (("alone", alone), ("against estimate", found)):
                        related = each.verdict == "related"
                        verdicts.setdefault(f"{method}, {name}", []).append(related)
                kept = better if found.verdict.startswith("contradicted") else found.filtered()
                gated += [kept] if kept is not None else []
            for name, chosen in (("ungated", relations), ("gated", gated)):
                predicted = run.train(chosen)
                accuracy.setdefault(f"{method}, {name}", []).append(run.accuracy(predicted))
    for method, values in verdicts.items():
        yield summary("leaves", method, "share related", values)
    for method, values in accuracy.items():
        yield summary("leaves", method, "species accuracy", values)


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

    def train(self, relations: Sequence[AnyRelation]) -> Floats:
        """Return the species predicted for every leaf, (n, 32)."""
        return train(self.inputs, self.rows, self.labels, self.sources, relations, self.seed, 800)[
            "species"
        ]

    def accuracy(self, p: Floats) -> float:
        return float((p[self.test].argmax(axis=1) == self.species[self.test]).mean())


def estimated(relation: Relation, p: Floats, labels: NDArray[Any]) -> Relation:
    """Return the table of soft counts: the mean label of the rows predicted as each class."""
    multiclass = isinstance(relation.target, Multiclass)
    values = np.eye(relation.target.width)[labels] if multiclass else labels.astype(np.float64)
    table = (p.T @ values + 5 * values.mean(axis=0)) / (p.sum(axis=0)[:, None] + 5)
    return replace(relation, table=table, known=None, origin="soft counts")


def train(
    inputs: NDArray[np.float32],
    rows: Rows,
    labels: Annotations,
    sources: Sequence[Rows],
    relations: Sequence[AnyRelation],
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


def summary(case: str, method: str, metric: str, values: Sequence[float]) -> Row:
    """Return the mean with a normal interval over the seeds."""
    drawn = np.asarray(values, dtype=np.float64)
    half = 1.96 * drawn.std(ddof=1) / np.sqrt(len(drawn)) if len(drawn) > 1 else 0.0
    mean = float(drawn.mean())
    row = {"mean": mean, "low": mean - half, "high": mean + half, "seeds": len(drawn)}
    print(f"{case:10} {method:36} {metric:20} {mean:7.3f} ({mean - half:.3f} to {mean + half:.3f})")
    return {"case": case, "method": method, "metric": metric, **row}
