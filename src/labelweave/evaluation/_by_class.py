"""A method on a task, class by class: counts, and which classes it takes for which."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.evaluation._comparison import TestResult, labelled
from labelweave.evaluation._top_classes import likeliest
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
        truth = np.concatenate([run.labels for run in runs])
        predicted = np.concatenate([likeliest(run.scores)[0] for run in runs])
        hits = truth[truth == predicted]
        counts = (np.bincount(each, minlength=len(names)) for each in (truth, predicted, hits))
        return TaskDetails(method, _figures(names, *counts), _confusion(names, truth, predicted))
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


def _confusion(
    names: Sequence[str], truth: NDArray[np.int64], predicted: NDArray[np.int64]
) -> Confusion:
    """Return the classes with the most elements, and the others as one."""
    size = min(len(names), MOST)
    place, kept = np.arange(len(names)), np.arange(len(names))
    if len(names) > MOST:
        counts = np.bincount(truth, minlength=len(names))
        kept = np.sort(np.argsort(-counts, kind="stable")[: MOST - 1])
        place = np.full(len(names), MOST - 1)
        place[kept] = np.arange(MOST - 1)
    cells = np.bincount(place[truth] * size + place[predicted], minlength=size * size)
    chosen = tuple(names[int(i)] for i in kept)
    rows = map(tuple, cells.reshape(size, size).tolist())
    return Confusion(chosen, tuple(rows), len(names) - len(chosen))
