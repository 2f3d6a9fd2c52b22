"""How time and memory grow with tasks, relations, labels, classes and rows: log-log slopes.

Run ``python -m benchmarks.growth [--quick] [--only PART ...] [--json OUT]``. Each part runs at
three or four sizes, every one double the last, each in a process forked for it: processor seconds
(the median of turns) and the growth of its resident memory at the peak. A slope of 1 is linear;
the aim is at most 1.1. Fixed costs make the slope of small sizes flat, so the last doubling is
shown as well.

- tasks: a supervised step, half of the tasks multiclass, 2 to 12 classes or labels each
- relations: a coupled step of 100 such tasks
- labels: a coupled step of one task of 32 classes and a multilabel task
- classes: the same with 40 labels and many classes
- posterior labels, posterior relations: predictions coupled, of one relation to many labels, and
  of one task that many others are related to
- metrics labels, metrics rows: all figures of a multilabel task
- fit tasks: `fit_coupled` of 300 rows with a twelfth of the labels, and five relations a task
- fit labels: the same of 400 rows, half with one of 32 classes, half with a multilabel task

The fits have one learner, a logistic regression, take minutes, and are measured once and only where
``--only`` names them.
"""

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.coupling_overhead import COUPLINGS, Case, many_relations, objective_loss, step_of
from labelweave.annotations import Annotations
from labelweave.coupling import fit_coupled
from labelweave.coupling._posterior import joint_posterior, make_link
from labelweave.evaluation import evaluate
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import Relation
from labelweave.tasks import Multiclass, Multilabel
from labelweave.training._trainer import keep_freed_memory

AIM = 1.1
BATCH, ROWS = 256, 200
Work = Callable[[], object]


def table_case(classes: int, labels: int) -> Case:
    """Return a task of so many classes, related to one of so many labels."""
    rng = np.random.default_rng(0)
    source = Multiclass("class", tuple(f"c{i}" for i in range(classes)))
    target = Multilabel("labels", tuple(f"l{j}" for j in range(labels)))
    relation = Relation(source, target, rng.uniform(0.05, 0.95, (classes, labels)))
    codes = rng.integers(0, classes, BATCH)
    on = rng.integers(0, 2, (BATCH, labels)).astype(np.int8)
    codes[BATCH // 2 :], on[: BATCH // 2] = -1, -1
    given = {"class": torch.from_numpy(codes), "labels": torch.from_numpy(on)}
    tasks = (source, target)

    def network() -> MultiTaskNetwork:
        return MultiTaskNetwork(backbone("mlp", 64), tasks)

    return Case(tasks, [relation], torch.randn(BATCH, 64), given, network)


def posterior_of_labels(labels: int) -> Work:
    """Return the coupled prediction of one relation to so many labels."""
    case, rng = table_case(32, labels), np.random.default_rng(1)
    rates = {"class": np.full(32, 1 / 32), "labels": np.full(labels, 0.4)}
    link = make_link(case.relations[0], rates)
    p = {"class": rng.dirichlet(np.ones(32), ROWS), "labels": rng.uniform(0.1, 0.9, (ROWS, labels))}
    return lambda: joint_posterior(p, [link])


def posterior_of_relations(relations: int) -> Work:
    """Return the coupled prediction of a task to which so many are related."""
    rng = np.random.default_rng(1)
    tasks = [Multiclass(f"t{i}", tuple("abcde")) for i in range(relations + 1)]
    rates = {task.name: np.full(5, 0.2) for task in tasks}
    links = [
        make_link(Relation(tasks[0], task, rng.dirichlet(np.ones(5), 5)), rates)
        for task in tasks[1:]
    ]
    p = {task.name: rng.dirichlet(np.ones(5), ROWS) for task in tasks}
    return lambda: joint_posterior(p, links)


def figures_of(rows: int, labels: int) -> Work:
    """Return the metrics of a multilabel task."""
    rng = np.random.default_rng(1)
    task = Multilabel("labels", tuple(f"l{j}" for j in range(labels)))
    on = rng.integers(0, 2, (rows, labels)).astype(np.int8)
    p = rng.random((rows, labels))
    return lambda: evaluate(task, p, on)


def fit_of_tasks(tasks: int) -> Work:
    """Return a coupled fit of so many tasks and five times as many relations."""
    rng = np.random.default_rng(0)
    case = many_relations(tasks, 5 * tasks, 1)
    X = rng.normal(size=(300, 16))
    labels: dict[str, np.ndarray[Any, Any]] = {}
    for task in case.tasks:
        scores = X @ rng.normal(size=(16, task.width))
        one = isinstance(task, Multiclass)
        codes = scores.argmax(axis=1) if one else (scores > 0).astype(np.int8)
        known = rng.random(len(X)) < 1 / 12
        labels[task.name] = np.where(known if one else known[:, None], codes, -1)
    return fit(X, Annotations(case.tasks, labels), case.relations)


def fit_of_labels(labels: int) -> Work:
    """Return a coupled fit of 32 classes and so many labels."""
    rng = np.random.default_rng(0)
    case = table_case(32, labels)
    (source, target), (relation,) = case.tasks, case.relations
    classes = rng.integers(0, 32, 400)
    on = (rng.random((400, labels)) < relation.table[classes]).astype(np.int8)
    X = rng.normal(size=(32, 16))[classes] + rng.normal(size=(400, 16))
    classes[200:], on[:200] = -1, -1
    annotations = Annotations((source, target), {source.name: classes, target.name: on})
    return fit(X, annotations, case.relations)


def fit(X: Any, annotations: Annotations, relations: list[Relation]) -> Work:
    return lambda: fit_coupled(X, annotations, relations, learners=["logistic"], seed=0)


def supervised(case: Case) -> Work:
    return step_of(case, objective_loss(case, {}))


def coupled(case: Case) -> Work:
    return step_of(case, objective_loss(case, COUPLINGS))


PARTS: dict[str, tuple[tuple[int, ...], Callable[[int], Work]]] = {
    "tasks": ((25, 50, 100, 200), lambda n: supervised(many_relations(n, 0, BATCH))),
    "relations": ((62, 125, 250, 500), lambda n: coupled(many_relations(100, n, BATCH))),
    "labels": ((1250, 2500, 5000, 10_000), lambda n: coupled(table_case(32, n))),
    "classes": ((1250, 2500, 5000, 10_000), lambda n: coupled(table_case(n, 40))),
    "posterior labels": ((1250, 2500, 5000, 10_000), posterior_of_labels),
    "posterior relations": ((62, 125, 250, 500), posterior_of_relations),
    "metrics labels": ((1250, 2500, 5000, 10_000), lambda n: figures_of(ROWS, n)),
    "metrics rows": ((10_000, 20_000, 40_000, 80_000), lambda n: figures_of(n, 20)),
    "fit tasks": ((25, 50, 100), fit_of_tasks),
    "fit labels": ((50, 100, 200, 400), fit_of_labels),
}
FITS = ("fit tasks", "fit labels")  # they take minutes: measured once, without warming up


def measured(part: str, size: int, turns: int) -> tuple[float, float]:
    """Return median processor seconds and MiB that the peak of memory lies above the start."""
    torch.set_num_threads(1)
    keep_freed_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work = PARTS[part][1](size)
    seconds = []
    warm = 0 if part in FITS else 1
    for turn in range(turns + warm):  # the first only warms up
        started = time.process_time()
        work()
        if turn >= warm:
            seconds.append(time.process_time() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(np.median(seconds)), (after - before) / 1024


def slopes(sizes: tuple[int, ...], values: list[float]) -> tuple[float, float]:
    """Return the log-log slope over all sizes, and that of the last doubling."""
    x, y = np.log(sizes), np.log(np.maximum(values, 1e-6))
    return float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2]))


def main() -> None:
    """Measure, print a table and write the figures as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 turns, not 9")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), help="parts")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    context = multiprocessing.get_context("fork")
    print(
        f"{'part':20} {'sizes':>28} {'slope of time':>14} {'last':>6} {'of memory':>10} {'last':>6}"
    )
    for part in options.only or [part for part in PARTS if part not in FITS]:
        sizes, rows = PARTS[part][0], []
        for size in sizes:
            with context.Pool(1) as pool:
                turns = 1 if part in FITS else 3 if options.quick else 9
                rows.append(pool.apply(measured, (part, size, turns)))
        seconds, memory = (list(values) for values in zip(*rows, strict=True))
        slope, last = slopes(sizes, seconds)
        of_memory, last_memory = slopes(sizes, memory)
        found[part] = {
            "sizes": sizes, "seconds": seconds, "mebibytes": memory, "slope": slope,
            "last": last, "slope_memory": of_memory, "last_memory": last_memory,
        }  # fmt: skip
        shown = " ".join(f"{size:,}" for size in sizes)
        print(
            f"{part:20} {shown:>28} {slope:14.2f} {last:6.2f} {of_memory:10.2f} {last_memory:6.2f}"
            f"   {seconds[-1]:8.3f} s {memory[-1]:7.0f} MiB"
            + ("  above the aim" if max(slope, of_memory) > AIM else ""),
            flush=True,
        )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
