"""What a noisy-OR gains on generated machines: five failure modes, each of which fails the machine.

Run ``python -m benchmarks.noisy_or [--quick] [--json OUT]``. The data are generated: 20 sensors mix
the modes' traces with a load and noise; a mode that is on fails the machine with its own
probability (.95 to .6), anything else with .03. No row carries both tasks' labels.

- ``few modes``: 60 rows of a repair shop carry the modes, 1,500 of the plant the failure.
- ``failed only``: the same, but the shop sees failed machines only.
- ``few failures``: 1,500 rows carry the modes, 60 the failure.

The relation is an expert's (weights rounded to .9, leak .02), or estimated as ``from: predictions``
does; "used" is how often the evidence lets the latter couple, else that method is the uncoupled
network. The mean average precision of the modes and of the failure on 2,000 test rows over seeds
(low, high: smallest and largest seed), with the paired difference to multi_task. ``--yeast``: two
halves of the 14 labels of river's yeast on disjoint rows, where nothing must be coupled.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.estimator import MultiTaskClassifier
from labelweave.evaluation import evaluate
from labelweave.relations import AnyRelation, NoisyOr, relate
from labelweave.relations._operations import multiply_in
from labelweave.tasks import Binary, Multilabel

Floats = NDArray[np.float64]
Codes = dict[str, NDArray[np.int8]]

MODES = Multilabel("mode", ("bearing", "belt", "seal", "motor", "sensor"))
FAILURE = Binary("failure")
RATES = np.array([0.08, 0.10, 0.06, 0.05, 0.08])
WEIGHTS = np.array([0.95, 0.8, 0.9, 0.95, 0.6])
EXPERT = NoisyOr(MODES, FAILURE, np.full((5, 1), 0.9), np.array([0.02]))
TRAINING = {"steps": 400, "hidden": (64, 64), "batch_size": 128}
CASES = {"few modes": (60, 1500), "failed only": (60, 1500), "few failures": (1500, 60)}


def machines(generator: np.random.Generator, rows: int) -> tuple[Floats, Codes]:
    """Return the sensors, (n, 20), and the labels of both tasks."""
    modes = generator.random((rows, 5)) < RATES
    load = generator.normal(size=(rows, 3))
    # a mode shows the more the harder the machine works, in separate and in shared sensors
    mix = np.random.default_rng(0).normal(size=(8, 20))
    traces = np.concatenate([modes * (1.5 + 0.7 * np.tanh(load[:, :1])), load], axis=1)
    sensors = np.tanh(0.5 * traces @ mix) + generator.normal(scale=0.35, size=(rows, 20))
    stay = 0.97 * np.prod(1 - WEIGHTS * modes, axis=1)
    failed = generator.random(rows) > stay
    return sensors, {"mode": modes.astype(np.int8), "failure": failed[:, None].astype(np.int8)}


def scattered(case: str, seed: int) -> tuple[Floats, Annotations, Floats, Codes]:
    """Return training inputs and labels, test inputs and labels."""
    generator = np.random.default_rng([seed, 17])
    sensors, codes = machines(generator, 8000)
    shop, plant = CASES[case]
    pool = np.flatnonzero(codes["failure"][:4000, 0] == 1) if case == "failed only" else range(4000)
    first, second = np.asarray(pool)[:shop], np.arange(4000, 4000 + plant)
    rows = np.concatenate([first, second])
    labels = {name: values[rows].copy() for name, values in codes.items()}
    labels["mode"][shop:], labels["failure"][:shop] = -1, -1
    test = slice(6000, 8000)
    held = {name: values[test] for name, values in codes.items()}
    return sensors[rows], Annotations((MODES, FAILURE), labels), sensors[test], held


def study(
    methods: Mapping[str, tuple[str, AnyRelation | None]],
    data: tuple[Floats, Annotations, Floats, Codes],
    pairs: Sequence[tuple[str, str]],
    given: AnyRelation | None,
    seed: int,
) -> dict[str, float]:
    """Return the figures of one seed, by ``method|metric``."""
    inputs, labels, test, held = data
    frame = pd.DataFrame(inputs, columns=[f"x{i}" for i in range(inputs.shape[1])])
    fresh = pd.DataFrame(test, columns=frame.columns)
    found: dict[str, float] = {}

    def score(method: str, given: Mapping[str, NDArray[Any]]) -> None:
        for task in labels.tasks:
            value = evaluate(task, given[task.name], held[task.name])["mean_average_precision"]
            assert value is not None
            found[f"{method}|{task.name}"] = value

    def fit(method: str, relations: Sequence[AnyRelation]) -> MultiTaskClassifier:
        model = MultiTaskClassifier(
            labels.tasks,
            relations,
            method,
            random_state=seed,
            **TRAINING,  # type: ignore[arg-type]
        )
        return model.fit(frame, labels)

    plain = fit("multi_task", [])
    score("multi_task", plain.predict_proba(fresh))
    related = relate(labels, plain.predict_proba(frame), pairs, origin="predictions", seed=seed)
    found["gate|used"] = len(related.relations)
    for evidence in related.evidence.values():
        found[f"gate {evidence.name}|lift"] = evidence.lift or 0.0
    for method, (method, relation) in methods.items():
        score(method, fit(method, [] if relation is None else [relation]).predict_proba(fresh))
    if given is not None:
        score("post_hoc", multiply_in(plain.predict_proba(fresh), [given]))
    if related.noisy_ors:
        kept = {relation.name: relation for relation in related.relations}
        score("full, gated estimate", fit("full", list(kept.values())).predict_proba(fresh))
        score("full, ungated estimate", fit("full", related.noisy_ors).predict_proba(fresh))
    return found


def summary(case: str, figures: Mapping[str, Sequence[float]]) -> Iterator[dict[str, Any]]:
    for name, values in figures.items():
        method, metric = name.split("|")
        row = {"case": case, "method": method, "metric": metric, "mean": float(np.mean(values)),
               "low": min(values), "high": max(values), "seeds": len(values)}  # fmt: skip
        base = figures.get(f"multi_task|{metric}")
        gain = ""
        if base is not None and method != "multi_task":
            paired = np.subtract(values, base)
            gain = f"  {paired.mean():+.3f} ({paired.min():+.3f} to {paired.max():+.3f})"
        print(f"{case:13s} {method:24s} {metric:8s} {row['mean']:.3f}  "
              f"{row['low']:.3f} to {row['high']:.3f}{gain}", flush=True)  # fmt: skip
        yield row


def yeast(seed: int, scattered: bool = True) -> tuple[Floats, Annotations, Floats, Codes]:
    """Return 800 rows with the first, 800 with the second seven labels, and 817 test rows.

    Not scattered: all rows with all labels.
    """
    spec = find_spec("river")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("yeast: the package river is not installed")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "yeast.csv.gz"
    table = pd.read_csv(path)
    inputs = table.iloc[:, :-14].to_numpy(float)
    codes = table.iloc[:, -14:].astype(str).map(lambda v: v.upper() in ("TRUE", "1")).to_numpy()
    tasks = tuple(Multilabel(name, tuple(f"{name}{i}" for i in range(7))) for name in ("a", "b"))
    labels = {"a": codes[:, :7].astype(np.int8), "b": codes[:, 7:].astype(np.int8)}
    order = np.random.default_rng(seed).permutation(len(inputs))
    rows, test = order[:1600], order[1600:]
    hidden = {name: values[rows].copy() for name, values in labels.items()}
    if scattered:
        hidden["a"][800:], hidden["b"][:800] = -1, -1
    held = {name: values[test] for name, values in labels.items()}
    return inputs[rows], Annotations(tasks, hidden), inputs[test], held


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--yeast", action="store_true", help="yeast instead, 3 seeds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    methods = {
        "single_task": ("single_task", None),
        "co_annotation": ("co_annotation", EXPERT),
        "distribution_matching": ("distribution_matching", EXPERT),
        "full": ("full", EXPERT),
    }
    rows: list[dict[str, Any]] = []
    for case in ["yeast"] if given.yeast else CASES:
        figures: dict[str, list[float]] = {}
        for seed in range(1 if given.quick else 3 if given.yeast else 5):
            if case == "yeast":
                found = study({}, yeast(seed), [("a", "b"), ("b", "a")], None, seed)
            else:
                pairs = [("mode", "failure")]
                found = study(methods, scattered(case, seed), pairs, EXPERT, seed)
            for name, value in found.items():
                figures.setdefault(name, []).append(value)
        rows += summary(case, figures)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
