"""Two studies, or two models, held against each other on the same test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data._collection import label_columns
from labelweave.data._row_hashes import seen_rows
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.evaluation import Difference, Estimate, TestResult, verdict
from labelweave.evaluation._comparison import MIN_ELEMENTS, Replicates
from labelweave.evaluation._metrics import HIGHER_IS_BETTER
from labelweave.experiments._runs import Run
from labelweave.experiments._study import Study
from labelweave.fitting._opening import model_folder, read_inputs
from labelweave.fitting._stack import load_model
from labelweave.results import read_results
from labelweave.tables import Table
from labelweave.tasks import Task

REPLICATES = 1000
WORDS = {"gain": "B better", "negative transfer": "A better"}


@dataclass(frozen=True)
class Side:
    """What one side predicts for its test rows.

    Attributes:
        name: the folder, with the method of a study.
        tasks: its tasks, by name.
        rows: by seed the test rows, as anything that identifies rows, (n, ...).
        results: by seed and task the probabilities with their labels.
        seen: of a model, which rows it was trained on, (n,); None = not recorded.
        folds: of a study by repeated cross-validation.
    """

    name: str
    tasks: Mapping[str, Task]
    rows: Mapping[int, NDArray[Any]]
    results: Mapping[int, Mapping[str, TestResult]]
    seen: NDArray[np.bool_] | None = None
    folds: int | None = None


@dataclass(frozen=True)
class Compared:
    """One task of both sides: the metric, B minus A, and who is better."""

    task: str
    metric: str
    a: Estimate
    b: Estimate
    difference: Difference
    verdict: str


def of_study(folder: Path, method: str | None = None) -> Side:
    """Return what a method of a study predicted on its test rows, of every seed.

    The labels are read from the study's tables again.

    Args:
        folder: the results folder of a study, ``runs/NAME``.
        method: its method; None = the one that its report recommends.

    Raises:
        LabelweaveError: no results there, no such method, or its tables have changed.
    """
    if not (folder / "results.json").is_file():
        raise LabelweaveError(
            f"{folder}: no results.json here, expected the results folder of a study (or give "
            "--data to compare models)"
        )
    results = read_results(folder)
    chosen = method or results.recommended.method
    settings = results.settings
    depth = len(Path(settings["output"]).parts)
    records = [run for run in results.runs if run.method == chosen]
    if not records:
        methods = list(results.methods)
        raise LabelweaveError(
            f"{folder}: no method '{chosen}', expected {listing(methods, 9)}"
            f"{nearest(chosen, methods)}"
        )
    study = Study(settings, folder.resolve().parents[depth])
    collection = study.data.collection
    names = np.array(collection.names)[collection.source]
    rows: dict[int, NDArray[Any]] = {}
    found: dict[int, dict[str, TestResult]] = {}
    for record in records:
        run = Run(chosen, record.seed, record.key, folder / "runs" / record.folder)
        if not run.done:
            raise LabelweaveError(f"{run.folder}: no such run; labelweave run makes it again")
        at, thresholds = run.rows(), run.record()["thresholds"]
        if at.max(initial=-1) >= len(collection):
            raise LabelweaveError(f"{folder}: its tables have changed since it was run")
        rows[run.seed] = np.stack([names[at], collection.numbers[at].astype(str)], axis=1)
        found[run.seed] = {
            task: TestResult(
                p, collection.annotations.labels[task][at], thresholds.get(task),
                collection.groups[at],
            )
            for task, p in run.predictions().items()
        }  # fmt: skip
    tasks = {task.name: task for task in study.data.tasks}
    return Side(f"{folder} ({chosen})", tasks, rows, found, folds=study.config.split.folds)


def of_model(folder: Path, data: Path, method: str | None = None) -> Side:
    """Return what a model predicts for a table with labels.

    Args:
        folder: a model's folder, or a study's, of which the first seed's model is taken.
        data: a table with inputs and label columns.
        method: of a study; None = the one that its report recommends.

    Raises:
        LabelweaveError: no model there, inputs that do not fit, or an unknown label.
    """
    place = model_folder(folder, method)
    model = load_model(place)
    table = read_inputs(data, model)
    with in_place(data):
        labels = Annotations.from_columns(model.tasks, _label_texts(model.tasks, table))
        typed = model.typed(table)
        predicted = model.typed_proba(typed)
        seen = seen_rows(place, model.encoder.transform(typed))
    results = {
        name: TestResult(p, labels.labels[name], model.thresholds.get(name))
        for name, p in predicted.items()
    }
    tasks = {task.name: task for task in model.tasks}
    return Side(str(folder), tasks, {0: np.arange(len(table))}, {0: results}, seen)


def on_unseen_rows(a: Side, b: Side) -> tuple[Side, Side, list[str]]:
    """Return two models without the rows that one of them was trained on, and what to report.

    A model knows the labels of such rows, so that they measure nothing.

    Args:
        a: one model, tested on a table.
        b: the other, on the same table.

    Raises:
        LabelweaveError: fewer than 20 rows are left.
    """
    notes = [
        f"{side.name} does not record its training rows: if some are among the test rows, it "
        "looks better than it is"
        for side in (a, b)
        if side.seen is None
    ]
    known = [(each.name, each.seen) for each in (a, b) if each.seen is not None and each.seen.any()]
    if not known:
        return a, b, notes
    kept = ~np.any([seen for _, seen in known], axis=0)
    names = " and ".join(dict.fromkeys(name for name, _ in known))
    rows = f"{(~kept).sum():,} of {len(kept):,} rows"
    if kept.sum() < MIN_ELEMENTS:
        raise LabelweaveError(
            f"{rows} are training rows of {names}, expected at least {MIN_ELEMENTS} rows that "
            "neither model was trained on"
        )
    notes.append(f"{rows} are training rows of {names} and are left out")
    return _only(a, kept), _only(b, kept), notes


def _only(side: Side, kept: NDArray[np.bool_]) -> Side:
    results = {
        seed: {
            task: replace(
                result,
                probabilities=np.asarray(result.probabilities)[kept],
                labels=np.asarray(result.labels)[kept],
            )
            for task, result in of_seed.items()
        }
        for seed, of_seed in side.results.items()
    }
    rows = {seed: at[kept] for seed, at in side.rows.items()}
    return replace(side, rows=rows, results=results, seen=None)


def _label_texts(tasks: Sequence[Task], table: pd.DataFrame | Table) -> pd.DataFrame:
    columns = [column for task in tasks for column in label_columns(task)]
    held = [column for column in columns if column in table.columns]
    if isinstance(table, pd.DataFrame):
        return table[held]
    texts = {column: table.texts(column) for column in held}
    return pd.DataFrame(texts, index=range(len(table)))


def compare_sides(a: Side, b: Side, level: float = 0.95) -> list[Compared]:
    """Return every task that both have, B against A, paired by seed and row.

    Args:
        a: one side.
        b: the other.
        level: with which the intervals of all tasks together hold the true values.

    Raises:
        LabelweaveError: no common task or seed, or other test rows or other labels of them.
    """
    tasks = [task for name, task in a.tasks.items() if b.tasks.get(name) == task]
    if not tasks:
        raise LabelweaveError(
            f"found no task with the same classes in both, expected one: {listing(a.tasks)} in "
            f"{a.name}, {listing(b.tasks)} in {b.name}"
        )
    seeds = [seed for seed in a.rows if seed in b.rows]
    if not seeds:
        raise LabelweaveError(
            f"found no seed in both, expected one: {listing(a.rows)} in {a.name}, "
            f"{listing(b.rows)} in {b.name}"
        )
    for seed in seeds:
        if not np.array_equal(a.rows[seed], b.rows[seed]):
            raise LabelweaveError(
                f"seed {seed}: {a.name} and {b.name} were tested on other rows, expected the same; "
                "give --data to compare their models on one table"
            )
        for name in (task.name for task in tasks):
            _same_labels(seed, name, a, b)
    first, second = ({t.name: _replicates(t, side, seeds) for t in tasks} for side in (a, b))
    found = {
        task.name: second[task.name].difference(first[task.name], level, len(tasks))[
            first[task.name].main_metric
        ]
        for task in tasks
    }
    return [_compared(task, first[task.name], second[task.name], found, level) for task in tasks]


def _same_labels(seed: int, task: str, a: Side, b: Side) -> None:
    one, other = (np.asarray(side.results[seed][task].labels) for side in (a, b))
    unlike = (one != other).reshape(len(one), -1).any(axis=1).sum()
    if unlike:
        raise LabelweaveError(
            f"seed {seed}: {a.name} and {b.name} have other labels of '{task}' on {unlike} of "
            f"{len(one)} test rows, expected the same; give --data to compare their models on one "
            "table"
        )


def _compared(
    task: Task, a: Replicates, b: Replicates, differences: Mapping[str, Difference], level: float
) -> Compared:
    metric, difference = a.main_metric, differences[task.name]
    word = verdict(difference, lower_is_better=not HIGHER_IS_BETTER[metric])
    return Compared(
        task=task.name,
        metric=metric,
        a=a.summary(level)[metric],
        b=b.summary(level)[metric],
        difference=difference,
        verdict=WORDS.get(word, word),
    )


def _replicates(task: Task, side: Side, seeds: Sequence[int]) -> Replicates:
    results = [side.results[seed][task.name] for seed in seeds]
    return Replicates(task, results, REPLICATES, folds=side.folds)
