"""Scores of training rows that were held out: they say which method to recommend."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations, Codes
from labelweave.errors import TrainingError
from labelweave.evaluation._selection import held_out_row_scores
from labelweave.evaluation._top_classes import keep
from labelweave.experiments._context import StudyContext
from labelweave.experiments._scheduler import Trained, train_methods
from labelweave.experiments._tracking import Tracking
from labelweave.fitting._split import Split, held_out, some_rows
from labelweave.fitting._stack import load_model
from labelweave.results import COUPLED, NETWORKS_ALONE, decision_baseline
from labelweave.tasks import Multiclass

Scores = dict[str, NDArray[np.float64]]

PARTS = 5  # a fifth of the training rows is held out
CELLS, LEAST = 50_000_000, 1_000  # validation rows x columns of all tasks, and rows at least
EVERY = 3  # on every third seed: with three seeds it costs 27 % of the training


def held_out_scores(
    context: StudyContext, trained: Trained, splits: Sequence[Split]
) -> Scores | None:
    """Return by method the quadratic scores of held-out rows, (n, T); None = there are none.

    With validation rows, these are predicted by the trained models; of very many classes as many
    rows as 5 10^7 probabilities allow, evenly spread. Without, a fifth of the
    training rows of every third seed is held out, and all methods that may be recommended are
    trained once more on the others: relations and teachers too see the others only. A label judges
    where the training rows have others of its class.

    Args:
        context: the study at work.
        trained: its trained methods.
        splits: the data of every seed.
    """
    alone = decision_baseline(trained.runs)
    kept = (alone, NETWORKS_ALONE)  # which teach some methods
    methods = [m for m in trained.runs if m in kept or m.partition(".")[0] in COUPLED]
    if len(methods) < 2 or alone not in methods:
        return None
    found: Scores | None
    if all(len(split.validation.index) for split in splits):
        found = _on_validation(methods, trained, splits)
    elif len(splits) >= EVERY:
        found = _on_held_out(context, methods, splits[: len(splits) // EVERY])
    else:
        return None
    return found if found and alone in found else None


def _on_validation(methods: Sequence[str], trained: Trained, splits: Sequence[Split]) -> Scores:
    found: Scores = {}
    tasks, splits = splits[0].train.annotations.tasks, [_of_some_rows(each) for each in splits]
    labels = [_judging(s.validation.annotations, s.train.annotations) for s in splits]
    for method in methods:
        parts = []
        for run, split, seen in zip(trained.runs[method], splits, labels, strict=True):
            model = load_model(run.folder / "model")
            given = keep(model.probabilities, split.validation.inputs, Annotations(tasks, seen))
            parts.append(held_out_row_scores(tasks, given, seen))
        found[method] = np.concatenate(parts)
    return found


def _of_some_rows(split: Split) -> Split:
    rows, width = split.validation, sum(task.width for task in split.train.annotations.tasks)
    most = max(LEAST, CELLS // width)
    if len(rows.index) <= most:
        return split
    chosen = np.linspace(0, len(rows.index) - 1, most).round().astype(np.int64)
    return replace(split, validation=some_rows(rows, chosen))


def _on_held_out(
    context: StudyContext, methods: Sequence[str], splits: Sequence[Split]
) -> Scores | None:
    inner = [
        replace(next(held_out(split, PARTS))[0], relations=split.relations) for split in splits
    ]
    quiet = context.config.model_copy(update={"tracking": []})
    tracking = Tracking(quiet, context.folder, context.folder)
    try:
        again = train_methods(replace(context, tracking=tracking), methods, inner)
    except TrainingError:
        return None
    tasks = splits[0].train.annotations.tasks
    labels = [_judging(s.test.annotations, s.train.annotations) for s in inner]
    return {
        method: np.concatenate(
            [
                held_out_row_scores(tasks, run.predictions(), seen)
                for run, seen in zip(runs, labels, strict=True)
            ]
        )
        for method, runs in again.runs.items()
    }


def _judging(held: Annotations, training: Annotations) -> dict[str, Codes]:
    """Return the labels without those of a class, or state, that no training row has."""
    found = {}
    for task in held.tasks:
        codes, counts = held.labels[task.name], training.counts(task.name)
        if isinstance(task, Multiclass):
            known = counts[np.maximum(codes, 0)] > 0
        else:
            known = np.where(codes == 1, counts[:, 1] > 0, counts[:, 0] > 0)
        found[task.name] = np.where(known, codes, -1)
    return found
