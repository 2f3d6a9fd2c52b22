"""What joining without pooling rows costs: B alone, B with A's exchange, and all rows pooled.

Run: python -m benchmarks.exchange [--sets leaves,olive,pitches] [--seeds 4]

Site B has the rare task's labels of a suite's scattering, and its expert's tables. Site A has the
labels of the other tasks, on half of the other training rows; the other half carries no labels and
is the shared table. Pooled is B's and A's rows in one place. Each site has its own encoder and
model.
"""

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.suite._lines import measured_lines
from benchmarks.suite._scatterings import Case, make_case
from benchmarks.suite._sets import SETS
from labelweave import MultiTaskClassifier, Source
from labelweave.evaluation import evaluate
from labelweave.trust import Exchange, make_exchange

LEARNERS = ("logistic", "logistic_strong", "extra_trees")


def source(case: Case, name: str, rows: Any, tasks: list[str]) -> Source:
    groups = None if case.groups is None else case.groups[rows]
    kept = case.labels[rows].keep(tasks)
    return Source(name, case.inputs.iloc[rows].reset_index(drop=True), kept, groups)


def accuracy(model: MultiTaskClassifier, case: Case, tasks: list[str]) -> float:
    given = model.predict_proba(case.test_inputs)
    found = []
    for name in tasks:
        task, labels = case.test_labels.task(name), case.test_labels.labels[name]
        found.append(evaluate(task, given[name], labels, None)["accuracy"])
    return float(np.mean([each for each in found if each is not None]))


def classifier(case: Case, seed: int, coupled: bool) -> MultiTaskClassifier:
    return MultiTaskClassifier(
        relations=case.relations if coupled else (),
        method="coupled" if coupled else "best_single_task",
        learners=LEARNERS,
        random_state=seed,
    )


def measured(name: str, seed: int) -> list[dict[str, Any]]:
    data_set = SETS[name]
    scattering = data_set.scatterings[0]
    case = make_case(data_set, scattering, seed)
    rare = [scattering.rare]
    others = [task.name for task in case.tasks if task.name not in rare]
    own = np.flatnonzero(case.labels.labelled(scattering.rare))
    rest = np.setdiff1d(np.arange(len(case.labels)), own)
    rest = np.random.default_rng(seed).permutation(rest)
    mine, shared = np.sort(rest[: len(rest) // 2]), np.sort(rest[len(rest) // 2 :])
    a, b = source(case, "a", mine, others), source(case, "b", own, rare)
    unlabelled = case.inputs.iloc[shared].reset_index(drop=True)
    at_a = MultiTaskClassifier(learners=LEARNERS, random_state=seed)
    at_a.fit(a.inputs, case.labels[mine].only(others), groups=a.groups)
    given = make_exchange(at_a, unlabelled, "a", labels=a.annotations)
    only = make_exchange(at_a, unlabelled, "a", answers="labels")
    noised, strongly = (
        make_exchange(at_a, unlabelled, "a", labels=a.annotations, epsilon=epsilon, seed=seed)
        for epsilon in (1.0, 0.1)
    )
    rounded = make_exchange(at_a, unlabelled, "a", decimals=1)

    def with_exchange(exchange: Exchange, draws: int = 0) -> MultiTaskClassifier:
        model = classifier(case, seed, coupled=True)
        model.relations = (*case.relations, *exchange.known_relations)
        given = exchange.source(unlabelled, tasks=case.tasks, draws=draws, seed=seed)
        return model.fit([b, given])

    alone = classifier(case, seed, coupled=False)
    alone.fit(b.inputs, case.labels[own].only(rare), groups=b.groups)
    models = {
        "B alone": alone,
        "exchange": with_exchange(given),
        "exchange, labels only, no counts": with_exchange(only),
        "exchange, counts noised, epsilon 1": with_exchange(noised),
        "exchange, counts noised, epsilon .1": with_exchange(strongly),
        "exchange, soft labels (3 draws)": with_exchange(given, 3),
        "exchange, one decimal, soft labels (3 draws), no counts": with_exchange(rounded, 3),
        "pooled": classifier(case, seed, coupled=True).fit([b, a]),
    }
    return [
        {"set": name, "seed": seed, "way": way, "rare task": accuracy(model, case, rare),
         "other tasks": accuracy(model, case, others) if way != "B alone" else np.nan}
        for way, model in models.items()
    ]  # fmt: skip


def main() -> None:
    table = measured_lines(__doc__, "leaves,olive,pitches", 4, measured)
    shown = table.groupby(["set", "way"], sort=False)[["rare task", "other tasks"]].mean()
    pooled = table[table["way"] == "pooled"].set_index(["set", "seed"])["rare task"]
    same = pd.MultiIndex.from_frame(table[["set", "seed"]])
    cost = table["rare task"] - pooled.reindex(same).to_numpy()
    spread = cost.groupby([table["set"], table["way"]], sort=False).agg(["mean", "std"])
    print(shown.join(spread.add_prefix("rare less pooled, ")).round(3).to_string())


if __name__ == "__main__":
    main()
