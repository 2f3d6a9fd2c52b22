"""What wrong labels cost, how well they are found, and what a noise model gives back.

Run ``python -m benchmarks.noise [--quick] [--json OUT]``. Flavia leaves, 32 species labelled twice
each, eight attributes on all other training rows, which two labs label: a share of these labels is
replaced by another class drawn evenly, in both labs or in one. Test labels are clean.

- ``species``, ``attributes``: test accuracy. ``multi_task``; ``full``: coupled by the relations
  that `relate` finds in the predictions of multi_task; ``full, noise``: with the noise it finds.
- ``noise error``: half L1 between rows of the estimated and the true confusion, mean over rows,
  tasks and labs; ``tasks with noise``: share of the attributes for which noise is found.
- ``named``: labels that are named as likely wrong; ``named right``: share of them that are;
  ``first 100 right``: the same of the first 100; ``wrong named``: share of the wrong ones named.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from benchmarks.relation_estimation import Inputs, Predictions, Row, Rows, scatter, summary
from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data._batches import Batches
from labelweave.datasets._demos import BINARY, read_leaves
from labelweave.datasets._demos import LEAVES_ATTRIBUTES as ATTRIBUTES
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import AnyRelation, Noise, NoiseReport, relate
from labelweave.tasks import Binary, Multiclass, Task
from labelweave.training import Trainer, TrainingConfig

FULL: dict[str, dict[str, object]] = {"distribution_matching": {}, "co_annotation": {}}
CASES = {"no noise": (0.0, 0.0), "10 %": (0.1, 0.1), "30 %": (0.3, 0.3), "one lab 30 %": (0.0, 0.3)}
Values = dict[tuple[str, str], list[float]]


def fit(
    inputs: Inputs,
    rows: Rows,
    labels: Annotations,
    lab: Rows,
    seed: int,
    relations: Sequence[AnyRelation] = (),
    noise: Sequence[Noise] = (),
) -> Predictions:
    """Train on half a batch of either kind of rows; predict all inputs."""
    first = labels.labelled("species")
    sources = [np.flatnonzero(first), np.flatnonzero(~first)]
    torch.manual_seed(seed)
    network = MultiTaskNetwork(backbone("mlp", inputs.shape[1]), labels.tasks)
    objective = Objective(labels.tasks, relations, FULL, noise=noise)
    chosen = sampler("equal", sources, 128, seed)
    batches = Batches(inputs[rows], labels, chosen, source=lab)
    Trainer(TrainingConfig(steps=800, learning_rate=5e-3), seed=seed).fit(
        network, objective, batches, 800
    )
    return {k: p.numpy() for k, p in network.probabilities(torch.from_numpy(inputs)).items()}


def flipped(labels: Annotations, rates: NDArray[np.float64], seed: int) -> Annotations:
    """Replace each attribute label, with its row's probability, by another class."""
    rng = np.random.default_rng([seed, 1])
    codes: dict[str, Any] = dict(labels.labels)
    for task in labels.tasks[1:]:
        width = task.width if isinstance(task, Multiclass) else 2
        known = codes[task.name]
        other = (known + rng.integers(1, width, known.shape)) % width
        hit = rng.random(known.shape) < rates.reshape(-1, *[1] * (known.ndim - 1))
        codes[task.name] = np.where((known >= 0) & hit, other, known).astype(known.dtype)
    return Annotations(labels.tasks, codes)


def leaves(seeds: int, cases: Sequence[str]) -> Iterator[Row]:
    frame = read_leaves()
    names = ["species", *ATTRIBUTES]
    tasks: list[Task] = [Binary(n) if n in BINARY else Multiclass(n) for n in names]
    annotations = Annotations.from_columns(tasks, frame)
    features = frame.drop(columns=names).to_numpy(np.float64)
    pairs = [("species", name) for name in ATTRIBUTES]
    for case in cases:
        values: Values = {}
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(features))
            test, train = order[:500], order[500:]
            scaled = StandardScaler().fit(features[train]).transform(features)
            inputs = np.clip(scaled, -10, 10).astype(np.float32)
            rows, clean = scatter(annotations, train, 2, None)
            lab = np.where(clean.labelled("species"), 0, 1 + np.arange(len(rows)) % 2)
            rates = np.array([0.0, *CASES[case]])
            labels = flipped(clean, rates[lab], seed)
            p = fit(inputs, rows, labels, lab, seed)
            seen = {name: of_all[rows] for name, of_all in p.items()}
            found = relate(
                labels, seen, pairs, origin="predictions", sources=lab, noise=True, seed=seed
            )
            assert found.noise is not None
            plain = fit(inputs, rows, labels, lab, seed, found.relations)
            # without any noise found the third method is the second
            own = plain
            if found.noise.found:
                tables, noise = found.noise.relations, found.noise.found
                own = fit(inputs, rows, labels, lab, seed, tables, noise)
            for method, q in (("multi_task", p), ("full", plain), ("full, noise", own)):
                for metric, value in _accuracies(q, annotations, test).items():
                    values.setdefault((method, metric), []).append(value)
            for metric, value in _quality(found.noise, labels, clean, rates).items():
                values.setdefault(("noise model", metric), []).append(value)
        yield from (summary(case, method, metric, v) for (method, metric), v in values.items())


def _accuracies(p: Predictions, annotations: Annotations, test: Rows) -> dict[str, float]:
    right = {
        task.name: p[task.name][test].argmax(axis=1) == annotations.labels[task.name][test]
        if isinstance(task, Multiclass)
        else (p[task.name][test] >= 0.5) == annotations.labels[task.name][test]
        for task in annotations.tasks
    }
    attributes = float(np.mean([right[name].mean() for name in ATTRIBUTES]))
    return {"species": float(right["species"].mean()), "attributes": attributes}


def _quality(
    found: NoiseReport, labels: Annotations, clean: Annotations, rates: NDArray[np.float64]
) -> dict[str, float]:
    errors = []
    for noise in found.examined:
        width = noise.confusion.shape[-1]
        for rate, confusion in zip(rates[1:], noise.confusion[1:], strict=True):
            true = rate / (width - 1) + np.eye(width) * (1 - rate - rate / (width - 1))
            errors.append(np.abs(confusion.reshape(-1, width, width) - true).sum(-1).mean() / 2)
    changed = {name: labels.labels[name] != clean.labels[name] for name in ATTRIBUTES}
    right = np.array([changed[each.task][each.row].all() for each in found.mislabelled])
    wrong = sum(int(each.sum()) for each in changed.values())
    quality = {
        "noise error": float(np.mean(errors)) if errors else 0.0,
        "tasks with noise": len(found.found) / len(ATTRIBUTES),
        "named": float(len(right)),
    }
    if len(right) and wrong:
        quality |= {
            "named right": float(right.mean()),
            "first 100 right": float(right[:100].mean()),
            "wrong named": float(right.sum()) / wrong,
        }
    return quality


def main() -> None:
    parser = argparse.ArgumentParser(description="What wrong labels cost, found and modelled.")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'case':14} {'method':20} {'metric':18} {'mean':>8} {'low':>8} {'high':>8}")
    rows = list(leaves(1 if options.quick else options.seeds, options.cases))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
