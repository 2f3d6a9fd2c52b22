"""The exclusive questions of tasks: one of a multiclass task, one of every label of others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError, listing
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Probabilities = Mapping[str, NDArray[Any]]


def question_names(task: Task) -> list[str]:
    """Return the names of a task's questions: the task's, or ``task=label`` of each label."""
    if isinstance(task, Multiclass) or task.width == 1:
        return [task.name]
    return [f"{task.name}={name}" for name in task.names]


def states(task: Task, p: Floats, codes: NDArray[Any]) -> list[tuple[str, Floats, NDArray[Any]]]:
    """Return the exclusive questions of a task: name, probabilities (n, S) and codes (n,).

    A multiclass task is one question about its classes, every label of a multilabel task is one
    about off and on.
    """
    if isinstance(task, Multiclass):
        return [(task.name, p, codes)]
    return [
        (name, np.stack([1 - p[:, j], p[:, j]], axis=1), codes[:, j])
        for j, name in enumerate(question_names(task))
    ]


def questions(
    tasks: Sequence[Task], probabilities: Probabilities
) -> Iterator[tuple[Task, list[tuple[str, Floats]]]]:
    """Yield every task with its questions: names and probabilities (n, S), see `states`.

    Raises:
        LabelweaveError: no probabilities of a task.
    """
    for task in tasks:
        if task.name not in probabilities:
            raise LabelweaveError(
                f"probabilities: found {listing(probabilities)}, expected '{task.name}', too"
            )
        p = np.asarray(probabilities[task.name], np.float64)
        blank = np.full(p.shape[:1] if isinstance(task, Multiclass) else p.shape, -1)
        yield task, [(name, given) for name, given, _ in states(task, p, blank)]
