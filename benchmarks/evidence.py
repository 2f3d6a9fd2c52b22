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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from benchmarks.evidence_leaves import Floats, Row, estimated, leaves, summary, train
from labelweave.annotations import Annotations
from labelweave.relations import Evidence, NoisyOr, Relation, evaluate_noisy_or, evaluate_relation
from labelweave.tasks import Multiclass, Multilabel


def simulated(seeds: int) -> Iterator[Row]:
    methods: dict[str, list[float]] = {}
    for seed in range(seeds):
        relation, p, labels = _simulate(seed)
        generator = np.random.default_rng([seed, 1])
        first, second = np.array_split(np.arange(len(p)), 2)
        estimate = estimated(relation, p[first], labels[first])
        wrong = {
            f"{share:.0%} entries wrong": _wrong_entries(relation, share, generator)
            for share in (0.1, 0.3)
        }
        tables = {"true": relation, "shuffled": relation.permuted(seed), **wrong}
        for method, table in tables.items():
            alone = evaluate_relation(table, p[second], labels[second], seed=seed)
            both = evaluate_relation(
                table, p[second], labels[second], estimated=estimate, seed=seed
            )
            methods.setdefault(method, []).append(alone.verdict == "related")
            methods.setdefault(f"{method}, against estimate", []).append(both.verdict == "related")
        apart = generator.permutation(p[second])
        found = evaluate_relation(relation, apart, labels[second], seed=seed)
        methods.setdefault("independent", []).append(found.verdict == "related")
    for method, related in methods.items():
        yield summary("simulated", method, "share related", related)


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
        p = train(inputs, rows, labels, sources, [], seed, 300)
        for source, target in (tasks, tasks[::-1]):
            s, t = source.name, target.name
            relation = NoisyOr.estimate(source, target, p[s][parts[t]], codes[t][parts[t]])
            found = evaluate_noisy_or(relation, p[s][held], codes[t][held], p[t][held], seed=seed)
            base = np.broadcast_to(codes[t][parts[t]].mean(axis=0), p[t][held].shape)
            easy = evaluate_noisy_or(relation, p[s][held], codes[t][held], base, seed=seed)
            for name, each in (("own predictions", found), ("base rate", easy)):
                _add(lifts, f"{s}->{t} over {name}", each)
    for method, figures in lifts.items():
        name, metric = method.rsplit("|", 1)
        yield summary("yeast", name, metric, figures)


def _add(lifts: dict[str, list[float]], method: str, found: Evidence) -> None:
    lifts.setdefault(f"{method}|lift", []).append(found.lift or 0.0)
    lifts.setdefault(f"{method}|share related", []).append(found.verdict == "related")
    kept = sum(label.keep for label in found.per_label)
    lifts.setdefault(f"{method}|labels kept of 7", []).append(kept)


def speed(seeds: int) -> Iterator[Row]:
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.full(100, 0.1), size=100_000)
    table = generator.random((100, 100)) ** 2
    labels = (generator.random((100_000, 100)) < p @ table).astype(np.int8)
    source = Multiclass("source", tuple(range(100)))
    target = Multilabel("target", tuple(f"label {i}" for i in range(100)))
    start = time.perf_counter()
    evaluate_relation(Relation(source, target, table), p, labels)
    yield summary("speed", "100k x 100 x 100", "seconds", [time.perf_counter() - start])


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
