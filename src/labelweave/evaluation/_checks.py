"""What every metric asks of its input: shapes, ranges and codes that fit the task."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.annotations import Annotations, Codes
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]

# wide enough for a softmax computed in half precision
SUM_TOLERANCE = 1e-2


def checked(
    task: Task, probabilities: ArrayLike, labels: ArrayLike, thresholds: ArrayLike | None = None
) -> tuple[Floats, Codes, Floats | None]:
    """Return probabilities (n, width), label codes and thresholds (L,), or raise.

    Thresholds left out become 0.5 for every label of a multilabel task, None for a multiclass one.

    Raises:
        LabelweaveError: wrong shapes, codes out of range, values that are no probabilities, rows
            of a multiclass task that do not sum to 1, or thresholds for a multiclass task.
    """
    codes = Annotations((task,), {task.name: np.atleast_1d(labels)}).labels[task.name]
    scores = _floats(task, "probabilities", probabilities, (len(codes), task.width))
    _check_range(task, "probabilities", scores)
    if isinstance(task, Multiclass):
        if thresholds is not None:
            raise LabelweaveError(
                f"task '{task.name}': found thresholds for a multiclass task, expected none"
            )
        wrong = np.abs(scores.sum(axis=1) - 1) > SUM_TOLERANCE
        if wrong.any():
            row = int(np.argmax(wrong))
            raise LabelweaveError(
                f"task '{task.name}', row {row + 1}: found probabilities that sum to "
                f"{scores[row].sum():.4g}, expected 1"
            )
        return scores, codes, None
    cuts = _floats(task, "thresholds", 0.5 if thresholds is None else thresholds, (task.width,))
    _check_range(task, "thresholds", cuts)
    return scores, codes, cuts


def _floats(task: Task, what: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    found: NDArray[Any] = np.asarray(values)
    if what == "thresholds" and found.ndim == 0:
        found = np.broadcast_to(found, shape)
    if found.shape != shape or found.dtype.kind not in "fiu":
        raise LabelweaveError(
            f"task '{task.name}': found {what} of type {found.dtype} and shape {found.shape}, "
            f"expected numbers of shape {shape}"
        )
    return found.astype(np.float64, copy=False)


def _check_range(task: Task, what: str, values: Floats) -> None:
    wrong = ~((values >= 0) & (values <= 1))  # also true for NaN
    if wrong.any():
        place = np.unravel_index(int(np.argmax(wrong)), values.shape)
        where = f", row {int(place[0]) + 1}" if values.ndim == 2 else ""
        name = task.names[int(place[-1])]
        raise LabelweaveError(
            f"task '{task.name}'{where}: found {values[place]:.4g} for '{name}' in the {what}, "
            "expected a number from 0 to 1"
        )
