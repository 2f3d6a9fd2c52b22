"""What each form of coupling gains on Flavia leaves: species labels are few, attributes elsewhere.

Run ``python -m benchmarks.coupling_forms [--quick] [--json OUT]``. Two species labels a class, the
eight attributes on all other training rows, no row with both; 500 test rows; the true table. The
same network, steps and rows in every method; accuracy of the species and mean accuracy of the
attributes over seeds (low, high: the smallest and largest seed).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data._batches import Batches
from labelweave.datasets._demos import LEAVES_ATTRIBUTES as ATTRIBUTES
from labelweave.datasets._demos import MULTICLASS, read_leaves
from labelweave.losses import Objective
from labelweave.losses._co_annotation import BACKWARD
from labelweave.losses._distribution_matching import FORMS
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import Relation, read_knowledge
from labelweave.tasks import Binary, Multiclass, Task
from labelweave.training import Trainer, TrainingConfig

PER_CLASS, TEST, STEPS, BATCH = 2, 500, 800, 128
Couplings = dict[str, dict[str, Any]]

DM, CO = "distribution_matching", "co_annotation"
METHODS: dict[str, Couplings] = {
    "multi_task": {},
    **{f"co_annotation, backward {f}": {CO: {"forward": None, "backward": f}} for f in BACKWARD},
    "co_annotation, backward paper, temperature 0.1": {
        CO: {"forward": None, "backward": "paper", "temperature": 0.1}
    },
    "co_annotation, forward soft_labels": {CO: {"backward": None}},
    "co_annotation, forward hard": {CO: {"forward": "hard", "backward": None}},
    "co_annotation, default": {CO: {}},
    "co_annotation, hard both ways": {CO: {"forward": "hard", "backward": "hard"}},
    **{f"distribution_matching, {form}": {DM: {"form": form}} for form in FORMS},
    "full: both defaults": {DM: {}, CO: {}},
    "full of the paper": {DM: {"form": "paper"}, CO: {"backward": "paper"}},
}


class Leaves:
    """The data, prepared once."""

    def __init__(self) -> None:
        frame = read_leaves()
        names = ["species", *ATTRIBUTES]
        tasks: list[Task] = [
            Multiclass(name) if name in ("species", *MULTICLASS) else Binary(name) for name in names
        ]
        self.annotations = Annotations.from_columns(tasks, frame)
        self.inputs = frame.drop(columns=names).to_numpy(float)
        table = frame[names].drop_duplicates("species")
        self.relations: list[Relation] = read_knowledge(table, "species", self.annotations.tasks)

    def accuracies(self, couplings: Couplings, seed: int) -> tuple[float, float]:
        """Return the test accuracy of the species and the mean one of the attributes."""
        order = np.random.default_rng(seed).permutation(len(self.inputs))
        test, train = order[:TEST], order[TEST:]
        species = self.annotations.labels["species"][train]
        few = np.concatenate([train[species == c][:PER_CLASS] for c in np.unique(species)])
        rest = np.setdiff1d(train, few)
        scaled = StandardScaler().fit(self.inputs[train]).transform(self.inputs)
        inputs = np.clip(scaled, -10, 10).astype(np.float32)
        labels = Annotations.concatenate(
            [self.annotations[few].keep(["species"]), self.annotations[rest].keep(ATTRIBUTES)]
        )
        rows = np.concatenate([few, rest])
        sources = np.split(np.arange(len(rows)), [len(few)])
        batches = Batches(inputs[rows], labels, sampler("equal", sources, BATCH, seed))
        torch.manual_seed(seed)
        network = MultiTaskNetwork(backbone("mlp", inputs.shape[1]), labels.tasks)
        objective = Objective(labels.tasks, self.relations, couplings)
        Trainer(TrainingConfig(steps=STEPS), seed=seed).fit(network, objective, batches, STEPS)
        return self._score(network.probabilities(torch.from_numpy(inputs[test])), test)

    def _score(
        self, found: dict[str, torch.Tensor], test: NDArray[np.int64]
    ) -> tuple[float, float]:
        right: dict[str, float] = {}
        for task in self.annotations.tasks:
            p, truth = found[task.name].numpy(), self.annotations.labels[task.name][test]
            guess = p.argmax(axis=1) if isinstance(task, Multiclass) else p > 0.5
            right[task.name] = float((guess == truth).mean())
        return right["species"], float(np.mean([right[name] for name in ATTRIBUTES]))


def main() -> None:
    """Measure, print a table and write the rows as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed instead of three")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    leaves, seeds = Leaves(), range(1 if options.quick else 3)
    results: list[dict[str, Any]] = []
    print(f"{'method':46} {'species':>8} {'low':>6} {'high':>6} {'attributes':>11}")
    for method, couplings in METHODS.items():
        values = np.array([leaves.accuracies(couplings, seed) for seed in seeds])
        for metric, scores in zip(("species", "attributes"), values.T, strict=True):
            figures = float(scores.mean()), float(scores.min()), float(scores.max())
            row: dict[str, Any] = {
                "case": "leaves",
                "method": method,
                "metric": f"accuracy/{metric}",
            }
            row |= dict(zip(("mean", "low", "high"), figures, strict=True))
            results.append(row | {"seeds": len(seeds)})
        species, attributes = results[-2:]
        spread = " ".join(f"{species[name]:6.3f}" for name in ("low", "high"))
        print(f"{method:46} {species['mean']:8.3f} {spread} {attributes['mean']:11.3f}", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
