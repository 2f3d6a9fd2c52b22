"""The results of a made-up study of nine methods and nine tasks."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from labelweave.evaluation import recommend
from labelweave.results import (
    FORMAT,
    AddedTask,
    Cell,
    CurvePoint,
    Failure,
    LabelCounts,
    LabelMoney,
    LabelPlan,
    Latency,
    LossTerms,
    MeanInterval,
    MethodCosts,
    MethodLearning,
    ModelCosts,
    Money,
    PlannedTask,
    RelationTable,
    ReliabilityBin,
    Results,
    RunningCosts,
    RunningMoney,
    TaskCalibration,
    TaskFacts,
    TaskLabelCurve,
    TaskLearning,
    TaskOrder,
)

TASKS = {
    "species": 32, "shape": 9, "denate_edge": 2, "hirsute": 2, "apex_form": 5,
    "texture_and_lustre": 4, "outlying_polar": 3, "outlying_contour": 2, "margin_type": 6,
}  # fmt: skip
METHODS = {
    "single_task": (0.0, "one network per task, the same backbone and labels"),
    "multi_task": (0.01, "one network, the losses summed over the labels there are"),
    "co_annotation": (0.03, "and labels inferred from the related tasks"),
    "distribution_matching": (0.025, "and predictions drawn towards the relations' tables"),
    "full": (0.05, "co-annotation and distribution matching"),
    "post_hoc": (0.02, "control: the relations' tables multiplied in at prediction only"),
    "oracle": (0.09, "control: all labels, none hidden"),
    "shuffled_relations": (-0.01, "control: the rows of the relations' tables permuted"),
    "strong_single_task": (0.015, "control: gradient-boosted trees, one model per task"),
}


def example_results(
    tasks: int = 9, methods: int = 9, seeds: int = 3, large_table: bool = True
) -> Results:
    rng = np.random.default_rng(0)
    names = [*TASKS, *(f"task_{i}" for i in range(len(TASKS), tasks))][:tasks]
    kept = list(METHODS)[:methods]
    sizes = {name: TASKS.get(name, 4) for name in names}
    facts = tuple(
        TaskFacts(
            name,
            "macro_f1" if name == "hirsute" else "accuracy",
            "multilabel" if name == "hirsute" else "multiclass",
            tuple(f"{name}_{k}" for k in range(sizes[name])),
        )
        for name in names
    )
    cells: dict[str, dict[str, dict[str, Cell]]] = {method: {} for method in kept}
    differences: dict[str, dict[str, dict[str, Cell]]] = {method: {} for method in kept[1:]}
    verdicts: dict[str, dict[str, Any]] = {method: {} for method in kept[1:]}
    for t, task in enumerate(facts):
        _fill_task(cells, differences, verdicts, rng, t, task, seeds)
    coverage = _coverage(rng, names, sizes)
    relations = [
        _relation(rng, names[0], other, sizes[names[0]], sizes[other]) for other in names[1:]
    ]
    if large_table:
        relations.append(_relation(rng, "bird", "attributes", 200, 312))
    steps = range(0, 2000, 50)
    terms = [*names, "co_annotation", "distribution_matching"]
    curves = {
        method: LossTerms(
            tuple(steps),
            {
                term: tuple(
                    float(np.exp(-s / (300 + 40 * k)) + 0.1 + 0.03 * rng.random()) for s in steps
                )
                for k, term in enumerate(terms)
            },
        )
        for method in kept
    }
    costs = {
        method: MethodCosts(
            float(12 + 30 * (method == "single_task") + 3 * rng.random()),
            1_234_567 if method != "single_task" else 1_234_567 * tasks,
            tasks if "single" in method else 1,
        )
        for method in kept
    }
    study = "leaves, labels scattered over four herbaria"
    return recommended(
        Results(
            study=study,
            labelweave="0.1.0",
            created="2025-01-31T12:00:00+00:00",
            seeds=tuple(range(seeds)),
            tasks=facts,
            method_titles={method: METHODS[method][1] for method in kept},
            methods=cells,
            differences=differences,
            verdicts=verdicts,
            coverage=coverage,
            relations=tuple(relations),
            curves=curves,
            costs=costs,
            splits={"train": 1204, "validation": 322, "test": 381},
            settings={
                "study": study,
                "sources": {"herbarium_north": {"table": "north.csv", "labels": names[:2]}},
                "training": {
                    "epochs": 40, "learning_rate": 0.001, "batch": 256, "early_stopping": True,
                },
            },
            environment={"python": "3.11", "torch": "2.13.0+cpu", "cpu": "8 cores"},
            notes=("task 'species': class 'species_31' has 2 labelled rows",),
            failures=(Failure(kept[-1], 2, "loss is no longer finite"),),
            command="labelweave study leaves.yaml --seeds 3",
        )
    )  # fmt: skip


def recommended(results: Results, **changes: Any) -> Results:
    """Return the results with fields changed, and the recommendation that follows from them."""
    changed = replace(results, **changes)
    return changed if "recommendation" in changes else replace(
        changed, recommendation=recommend(changed)
    )  # fmt: skip


def results_of(given: dict[str, Any]) -> Results:
    """Return the results of a table that holds some of the keys of results.json."""
    return recommended(Results.from_json(json.dumps({"format": FORMAT, **given})))


def _fill_task(
    cells: dict[str, dict[str, dict[str, Cell]]],
    differences: dict[str, dict[str, dict[str, Cell]]],
    verdicts: dict[str, dict[str, Any]],
    rng: np.random.Generator,
    t: int,
    task: TaskFacts,
    seeds: int,
) -> None:
    name, main = task.name, task.main_metric
    base = 0.55 + 0.35 * rng.random()
    lift = 3.0 if t == 0 else -1.2 if t == 3 else rng.uniform(-0.2, 1.0)
    for method in cells:
        gain = METHODS[method][0] * (abs(lift) if method == "oracle" else lift)
        width = 0.012 + 0.02 * rng.random()
        if t == 6 and method == "strong_single_task":
            metrics = {main: Cell(n=0, seeds=0)}
        else:
            mean = min(base + gain + 0.01 * rng.normal(), 0.99)
            metrics = {
                main: _estimate(mean, width, 381, seeds),
                "balanced_accuracy": _estimate(mean - 0.04, width, 381, seeds),
                "ece": _estimate(0.05 + 0.02 * rng.random(), 0.01, 381, seeds),
            }
        cells[method][name] = metrics
        if method == "single_task":
            continue
        differences[method][name] = {
            metric: _difference(value, cells["single_task"][name][metric], width)
            for metric, value in metrics.items()
        }
        change = differences[method][name][main]
        verdicts[method][name] = (
            "not enough data" if change.mean is None
            else "no difference" if (change.low or 0) <= 0 <= (change.high or 0)
            else "gain" if change.mean > 0 else "negative transfer"
        )  # fmt: skip


def _estimate(mean: float, width: float, n: int, seeds: int) -> Cell:
    return Cell(mean, mean - width, mean + width, n, seeds, (mean,) * seeds)


def _difference(value: Cell, base: Cell, width: float) -> Cell:
    if value.mean is None or base.mean is None:
        return value
    mean = value.mean - base.mean
    p = float(np.exp(-abs(mean) * 160))
    found = _estimate(mean, width, value.n or 0, value.seeds or 0)
    return replace(
        found, raw_low=mean - width / 2, raw_high=mean + width / 2, p=p,
        p_adjusted=min(1.0, 9 * p), effect=3 * mean, detectable=2 * width,
    )  # fmt: skip


def _coverage(rng: np.random.Generator, names: list[str], sizes: dict[str, int]) -> LabelCounts:
    sources = ["herbarium_north", "herbarium_south", "field_photos", "experts"]
    seen = rng.random((len(sources), len(names))) < 0.5
    per_class: dict[str, Any] = {
        source: {
            task: {
                f"{task}_{k}": int(rng.integers(0, 60)) * int(seen[s, t])
                for k in range(sizes[task])
            }
            for t, task in enumerate(names)
        }
        for s, source in enumerate(sources)
    }
    labelled = {
        source: {task: sum(classes.values()) for task, classes in of_task.items()}
        for source, of_task in per_class.items()
    }
    rows = {source: max(*of_task.values(), 50) for source, of_task in labelled.items()}
    co = rng.integers(0, 900, (len(names), len(names))) * (rng.random((len(names),) * 2) < 0.7)
    both = tuple(tuple(row) for row in (co + co.T).tolist())
    return LabelCounts(tuple(sources), tuple(names), rows, labelled, per_class, both)


def _relation(
    rng: np.random.Generator, source: str, target: str, rows: int, columns: int
) -> RelationTable:
    table = rng.dirichlet(np.full(columns, 0.3), rows)
    known = np.repeat(rng.random((rows, 1)) < 0.9, columns, axis=1)
    return RelationTable(
        source=source,
        target=target,
        origin="estimated from annotations",
        strength=float(rng.random()),
        rows=tuple(f"{source}_{k}" for k in range(rows)),
        columns=tuple(f"{target}_{k}" for k in range(columns)),
        table=tuple(map(tuple, table.tolist())),
        known=tuple(map(tuple, known.tolist())),
    )


def with_value(results: Results) -> Results:
    """Return the results with label curves, calibration, costs, money, label plan and next task."""
    names, baseline = [task.name for task in results.tasks], results.baseline
    method = "full" if "full" in results.methods else baseline
    return recommended(
        results,
        label_curves={
            task.name: _label_curve(results, task, method, reached=t != 1)
            for t, task in enumerate(results.tasks)
        },
        calibration={
            name: {
                task: TaskCalibration(Cell(0.05, 0.04, 0.06, seeds=3), _bins(k)) for task in names
            }
            for k, name in enumerate(dict.fromkeys([baseline, "multi_task", method]))
        },
        running=RunningCosts(
            joint=_running(1, 1_234_567, 0.9),
            single=_running(len(names), 1_234_567 * len(names), 6.5),
            ratio={
                "latency_1": MeanInterval(0.14, 0.13, 0.15),
                "latency_256": MeanInterval(0.2, 0.18, 0.23),
                "throughput": MeanInterval(5.0, 4.4, 5.6),
                "memory": MeanInterval(0.2), "disk": MeanInterval(0.11),
                "training": MeanInterval(0.4),
            },
            machine="8 cores",
            assumptions=("one thread, warm",),
        ),
        money=Money(
            "EUR",
            {names[0]: LabelMoney(2.5, _share(1200.0))},
            _share(1200.0),
            RunningMoney(80.0, 410.5, 330.5, "a year", "5,000,000 predictions a year"),
        ),
        learning={method: _learning(names)},
        label_plan=LabelPlan(
            tuple(
                PlannedTask(name, k + 1, 64, _share(0.02), price=2.5 if k == 0 else None)
                for k, name in enumerate(names)
            ),
            "label_next.csv",
            100,
        ),
        task_order=TaskOrder(
            tuple(names[:2]),
            "most related",
            tuple(AddedTask(name, "a gain of 0.01") for name in names[2:4]),
        ),
    )  # fmt: skip


def _learning(names: list[str]) -> MethodLearning:
    states = ("starved", "overfit", "fine", "slow", "underfit", "conflict")
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(len(names), 4))
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    cosine = (flat @ flat.T).clip(-1, 1).tolist()
    tasks = {
        name: TaskLearning(
            labels=1234 - k, rarest=f"{name}_0", rarest_labels=41,
            share=0.003 + 0.1 * k, rate=1.5, half=0.31,
            train=0.83, validation=None if k == 2 else -0.2,
            train_score=0.91, validation_score=None if k == 2 else 0.72,
            state=states[k % len(states)], other=names[0], cosine=-0.41,
        )
        for k, name in enumerate(names)
    }  # fmt: skip
    return MethodLearning(tasks, tuple(map(tuple, cosine)))


def _share(mean: float) -> MeanInterval:
    return MeanInterval(mean, 0.8 * mean, 1.2 * mean)


def _label_curve(results: Results, task: TaskFacts, method: str, reached: bool) -> TaskLabelCurve:
    top = results.score(results.baseline, task).mean or 0.0
    labels = [float(n) for n in (6, 13, 26, 51, 64)]
    value = [top - 0.3 / n**0.5 + 0.3 / 8 for n in labels]
    return TaskLabelCurve(
        metric=task.main_metric,
        method=method,
        has=64,
        points=tuple(
            CurvePoint(n, n / 64, v, v - 0.02, v + 0.02, 3)
            for n, v in zip(labels, value, strict=True)
        ),
        fit=tuple((float(n), top - 0.3 / n**0.5 + 0.3 / 8) for n in range(6, 200, 5)),
        joint=MeanInterval(top + 0.02, top, top + 0.04),
        needed=_share(180.0) if reached else MeanInterval(),
        beyond=None if reached else 640.0,
        saved=_share(116.0) if reached else None,
    )


def _bins(shift: int) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(0.3 + 0.07 * k, 0.25 + 0.07 * k - 0.02 * shift, 38) for k in range(10)
    )


def _running(networks: int, parameters: int, milliseconds: float) -> ModelCosts:
    return ModelCosts(
        networks=networks, parameters=parameters, disk_mb=4.9 * networks,
        memory_mb=6.1 * networks,
        latency_ms={"1": Latency(milliseconds, 1.2 * milliseconds),
                    "256": Latency(4 * milliseconds, 5 * milliseconds)},
        rows_per_second=1000 / milliseconds, training_seconds=12.5,
    )  # fmt: skip
