"""A method on a task, class by class: counts, and which classes it takes for which."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.evaluation._comparison import TestResult, labelled
from labelweave.results import ClassFigures, Confusion, TaskDetails
from labelweave.tasks import Multiclass, Task

MOST = 12  # classes of a confusion matrix


def task_details(task: Task, method: str, results: Sequence[TestResult]) -> TaskDetails:
    """Return what a method predicts for the classes of a task, over all seeds together.

    Args:
        task: the task, its classes known.
        method: the method's name.
        results: one test result a seed.

    Raises:
        LabelweaveError: a result that does not fit the task.
    """
    runs = [labelled(task, result) for result in results]
    names = [str(name) for name in task.names]
    if isinstance(task, Multiclass):
        pairs = [run.labels * len(names) + run.scores.argmax(axis=1) for run in runs]
        counts = np.bincount(np.concatenate(pairs), minlength=len(names) ** 2)
        table = counts.reshape(len(names), len(names))
        return TaskDetails(
            method, _figures(names, table.sum(1), table.sum(0), table.diagonal()),
            _confusion(names, table),
        )  # fmt: skip
    on, predicted, right, known = np.zeros((4, len(names)), dtype=np.int64)
    for run in runs:
        cuts = 0.5 if run.cuts is None else run.cuts
        seen, given = run.labels >= 0, run.scores >= cuts
        on += (run.labels == 1).sum(0)
        predicted += (given & seen).sum(0)
        right += (given & (run.labels == 1)).sum(0)
        known += seen.sum(0)
    confusion = None
    if len(names) == 1:
        (p, q, both, n) = (int(each[0]) for each in (on, predicted, right, known))
        confusion = Confusion(
            (f"not {names[0]}", names[0]), ((n - p - q + both, q - both), (p - both, both))
        )
    return TaskDetails(method, _figures(names, on, predicted, right), confusion)


def _figures(names: Sequence[str], *counts: NDArray[np.int64]) -> tuple[ClassFigures, ...]:
    columns = (each.tolist() for each in counts)
    return tuple(ClassFigures(*each) for each in zip(names, *columns, strict=True))


def _confusion(names: Sequence[str], table: NDArray[np.int64]) -> Confusion:
    """Return the classes with the most elements, and the others as one."""
    if len(names) <= MOST:
        return Confusion(tuple(names), tuple(map(tuple, table.tolist())))
    kept = np.sort(np.argsort(-table.sum(1), kind="stable")[: MOST - 1])
    place = np.full(len(names), MOST - 1)
    place[kept] = np.arange(MOST - 1)
    small = np.zeros((MOST, MOST), dtype=np.int64)
    np.add.at(small, (place[:, None], place[None, :]), table)
    chosen = tuple(names[i] for i in kept)
    return Confusion(chosen, tuple(map(tuple, small.tolist())), len(names) - len(chosen))
