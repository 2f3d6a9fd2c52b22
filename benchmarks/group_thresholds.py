"""Adult: what thresholds for each sex, or weights of rows, do to the gap of income predictions.

Run: python -m benchmarks.group_thresholds [--seeds 5]

A coupled model of income, marital status and relationship, 200 labels each on different rows. Half
of the test rows set the thresholds, the other half is measured. `weights` is reweighing; `sampling`
is what group-aware sampling does on average: each sex with each income counts alike. Differences
are paired by seed.
"""

import argparse
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.suite._reading import adult
from labelweave import Annotations, Multiclass
from labelweave.coupling import fit_coupled
from labelweave.data._table_encoder import TableEncoder
from labelweave.trust import Predictions, fairness, fit_group_thresholds, group_weights

TASKS = ("income", "marital_status", "relationship")
LABELS, TEST = 200, 4000


def measured(seed: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    frame = adult().iloc[rng.permutation(32561)[: LABELS * 3 + TEST]].reset_index(drop=True)
    sex = frame["gender"].to_numpy(object)
    inputs = frame.drop(columns=[*TASKS, "gender"])
    tasks = [Multiclass(name) for name in TASKS]
    labels = Annotations.from_columns(tasks, {name: frame[name] for name in TASKS})
    train, test = np.arange(LABELS * 3), np.arange(LABELS * 3, len(frame))
    hidden = {n: np.where(train // LABELS == i, labels.labels[n][train], -1)
              for i, n in enumerate(TASKS)}  # fmt: skip
    encoder = TableEncoder().fit(inputs.iloc[train])
    X = np.asarray(encoder.transform(inputs), np.float64)
    given = Annotations(labels.tasks, hidden)
    options = {"estimate": "all", "learners": ["logistic", "extra_trees"], "seed": seed}
    stack = fit_coupled(X[train], given, **options)  # type: ignore[arg-type]
    weights = group_weights(given, "income", sex[train])
    weighted = {
        name: fit_coupled(X[train], given, sample_weight=each, **options)  # type: ignore[arg-type]
        for name, each in (("weights", weights), ("sampling", cell_weights(given, sex[train])))
    }
    rows = Predictions(labels[test], stack.predict_proba(X[test]))
    first, second = rows[: TEST // 2], rows[TEST // 2 :]
    group, new = sex[test][: TEST // 2], sex[test][TEST // 2 :]
    truth = second.labels("income")
    found = []
    for goal in ("none", "weights", "sampling", "selection", "recall"):
        p = second.probabilities["income"]
        if goal in weighted:
            p = weighted[goal].predict_proba(X[test][TEST // 2 :])["income"]
        answers = p.argmax(axis=1)
        if goal in ("selection", "recall"):
            rule = fit_group_thresholds(first, "income", group, goal)  # type: ignore[arg-type]
            answers = rule.predict(second.probabilities, new)
        decided = np.eye(2)[answers]
        shown = Predictions(second.annotations.only(["income"]), {"income": decided})
        gaps = fairness(shown, new, replicates=200).gaps.set_index("metric")
        found.append(
            {"mitigation": goal, "seed": seed, "accuracy": (answers == truth).mean(),
             "selection gap": gaps.loc["selection", "gap"],
             "recall gap": gaps.loc["recall", "gap"],
             "false alarm gap": gaps.loc["false_alarms", "gap"]}
        )  # fmt: skip
    return found


def cell_weights(labels: Annotations, group: NDArray[Any]) -> NDArray[np.float64]:
    """Return weights of rows under which each group with each class counts alike; 1 without one."""
    codes = labels.labels["income"]
    found = np.ones(len(codes))
    cells = [(codes == c) & (group == g) for c in (0, 1) for g in np.unique(group.astype(str))]
    for cell in cells:
        found[cell] = (codes >= 0).sum() / (len(cells) * max(int(cell.sum()), 1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    lines = [line for seed in range(asked.seeds) for line in measured(seed)]
    table = pd.DataFrame(lines).set_index(["mitigation", "seed"])
    order = list(dict.fromkeys(table.index.get_level_values(0)))
    print(table.groupby("mitigation").mean().loc[order].round(3).to_string())
    paired = (table - table.loc["none"]).groupby("mitigation").agg(["mean", "std"])
    print(paired.loc[order[1:]].round(3).to_string())


if __name__ == "__main__":
    main()
