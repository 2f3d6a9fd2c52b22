"""Adult: accuracy and membership advantage of one network, with and without differential privacy.

Run: python -m benchmarks.private_training [--seeds 3]

Income, marital status and relationship, 1,500 labels each on different rows. 500 other rows without
labels are public. The network without privacy has the same size and no couplings.
"""

import argparse

import numpy as np
import pandas as pd

from benchmarks.suite._reading import adult
from labelweave import Annotations, Multiclass, MultiTaskClassifier, Source
from labelweave.model import EncodedPredictor
from labelweave.trust import Predictions, fit_private, membership_advantage

TASKS = ("income", "marital_status", "relationship")
LABELS, TEST, PUBLIC = 1500, 4000, 500


def measured(seed: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(32561)[: LABELS * 3 + TEST + PUBLIC]
    frame = adult().iloc[chosen].reset_index(drop=True)
    inputs = frame.drop(columns=list(TASKS))
    tasks = [Multiclass(name) for name in TASKS]
    labels = Annotations.from_columns(tasks, {name: frame[name] for name in TASKS})
    parts = [np.arange(LABELS) + LABELS * i for i in range(3)]
    test = np.arange(LABELS * 3, LABELS * 3 + TEST)
    sources = [
        Source(name, inputs.iloc[rows].reset_index(drop=True), labels[rows].keep([name]))
        for name, rows in zip(TASKS, parts, strict=True)
    ]
    public = inputs.iloc[-PUBLIC:]
    plain = MultiTaskClassifier(method="multi_task", hidden=(64,), random_state=seed).fit(sources)
    models: dict[str, EncodedPredictor] = {"none": plain.model_}
    for epsilon in (8.0, 2.0, 0.5):
        made = fit_private(sources, epsilon, public, seed=seed).model
        models[f"{epsilon:g}"] = made
    mixed = {"income": 0.5, "marital_status": 8.0, "relationship": 8.0}
    made = fit_private(sources, mixed, public, seed=seed).model
    models["income .5, others 8"] = made
    found = []
    for how, model in models.items():
        rows = Predictions(labels[test], model.predict_proba(inputs.iloc[test]))
        line: dict[str, object] = {"epsilon": how}
        for name in TASKS:
            right = rows.probabilities[name].argmax(axis=1) == rows.labels(name)
            line[name] = right.mean()
        attacks = [
            membership_advantage(
                Predictions(labels[own].only([name]),
                            {name: model.predict_proba(inputs.iloc[own])[name]}),
                Predictions(labels[test].only([name]), {name: rows.probabilities[name]}),
            )["advantage"].iloc[0]
            for name, own in zip(TASKS, parts, strict=True)
        ]  # fmt: skip
        found.append(line | {"advantage": np.mean(attacks), "largest": np.max(attacks)})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    lines = [line for seed in range(asked.seeds) for line in measured(seed)]
    table = pd.DataFrame(lines).groupby("epsilon", sort=False)
    print(table.mean().round(3).to_string())
    print(table.std().round(3).to_string())


if __name__ == "__main__":
    main()
