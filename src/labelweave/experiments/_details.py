"""A study's method looked at closely: its classes, the inputs that matter, the rows it leaks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError
from labelweave.evaluation._by_class import task_details
from labelweave.experiments._context import StudyContext
from labelweave.experiments._results import tested
from labelweave.experiments._runs import Run
from labelweave.fitting._split import Rows, Split
from labelweave.fitting._stack import load_model
from labelweave.model import EncodedPredictor
from labelweave.results import Check, InputImportance, InputsMeasured, MeanInterval, Results
from labelweave.trust._importance import input_importance
from labelweave.trust._membership import membership_advantage
from labelweave.trust._predictions import Predictions

ROWS = 200  # test rows on which columns are exchanged
COLUMNS = 100  # more would take too long; `labelweave explain` takes them
REPEATS = 3
KEPT = 8  # columns of a task in results
MEMBERS = 1000  # rows of each side of the attack on a model
SEED = 0

Splits = Mapping[str, Sequence[Split]]
Runs = Mapping[str, Sequence[Run]]


def add_details(context: StudyContext, results: Results, splits: Splits, runs: Runs) -> Results:
    """Return a study's results with what its shown method does class by class, and why.

    Inputs and privacy are measured on the first seed's model where it was kept: of the student
    where `coupled` is shown and one was trained, because it predicts fast.

    Args:
        context: the study at work.
        results: of the study, with its recommendation.
        splits: by method the data that it was trained on, one a seed.
        runs: by method its finished runs, in the same order.
    """
    method, level = results.recommended.shown, context.config.statistics.level
    if method not in runs:
        return results
    details = {
        task.name: task_details(task, method, tested(task, runs[method], splits[method]))
        for task in splits[method][0].test.annotations.tasks
    }
    fast = "student" if method == "coupled" and "student" in runs else method
    run, split = runs[fast][0], splits[fast][0]
    results = replace(results, details=details)
    if not (run.folder / "model" / "model.json").exists():
        return results
    model = load_model(run.folder / "model")
    return replace(
        results,
        inputs=_inputs(context, fast, model, split, level),
        checks={**results.checks, "privacy": _privacy(model, split, level)},
    )


def _inputs(
    context: StudyContext, method: str, model: EncodedPredictor, split: Split, level: float
) -> InputsMeasured | None:
    """Return which columns matter to each task; None = too many columns, or no columns."""
    inputs, config = context.data.collection.inputs, context.config.inputs
    if config.media() or not 0 < inputs.shape[1] <= COLUMNS or not len(split.test.index):
        return None
    rows = _some(split.test, ROWS)
    frame = inputs.iloc[split.test.index[rows]]
    labels, groups = split.test.annotations[rows], split.test.groups[rows]
    try:
        found = input_importance(
            model, frame, labels, groups=groups, repeats=REPEATS, level=level, seed=SEED
        )
    except LabelweaveError:  # a model of fewer columns, or of other ones
        return None
    by_task = {
        str(name): tuple(_importance(line) for line in lines.head(KEPT).to_dict("records"))
        for name, lines in found.groupby("task", sort=False)
    }
    return InputsMeasured(method, len(rows), by_task)


def _privacy(model: EncodedPredictor, split: Split, level: float) -> tuple[Check, ...]:
    """Return how much better than chance an attacker finds out which rows trained the model."""
    sides = []
    for side in (split.train, split.test):
        rows = _some(side, MEMBERS)
        given = model.under_prior(model.probabilities(side.inputs[rows]))
        sides.append(Predictions(side.annotations[rows], given, side.groups[rows]))
    found = membership_advantage(*sides, level=level, seed=SEED)
    return tuple(_check(line) for line in found[found["part"] == "all"].to_dict("records"))


def _importance(line: Mapping[Any, Any]) -> InputImportance:
    loss = MeanInterval(line["log_loss"], line["low"], line["high"])
    return InputImportance(str(line["column"]), loss, float(line["accuracy"]))


def _check(line: Mapping[Any, Any]) -> Check:
    known = not np.isnan(line["advantage"])
    value = MeanInterval(line["advantage"], line["low"], line["high"]) if known else None
    return Check(str(line["task"]), value, int(line["members"]))


def _some(side: Rows, most: int) -> NDArray[np.int64]:
    """Return the places of at most so many rows, in order; rows with rare labels come first."""
    labels = side.annotations
    known = np.stack([labels.labelled(task.name) for task in labels.tasks], axis=1)
    rare = np.where(known, 1 / np.maximum(known.sum(axis=0), 1), 0.0).max(axis=1)
    order = np.lexsort((np.random.default_rng(SEED).permutation(len(known)), -rare))
    return np.sort(order[:most]).astype(np.int64)
