"""Whether the scores and labels of a training loop are what the losses take."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from labelweave.errors import LabelweaveError, nearest
from labelweave.tasks import Multiclass, Task


def check_batch(
    tasks: Sequence[Task],
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor] | None,
    tables: Iterable[Tensor] = (),
) -> None:
    """Check names, shapes and types; values are not looked at.

    Args:
        tasks: what there must be scores and labels of.
        logits: task name to scores, (n, width).
        labels: task name to codes, (n,) or (n, width); None = not asked for.
        tables: those of the couplings; scores have their precision, or half precision.

    Raises:
        LabelweaveError: scores or labels are lacking, or of another shape or type; names the task.
    """
    rows: int | None = None
    precision = next((table.dtype for table in tables if table.is_floating_point()), None)
    for task in tasks:
        scores = _of(task, logits, "scores")
        rows = len(scores) if rows is None and scores.dim() else rows
        _check_shape(f"scores of task '{task.name}'", scores, (rows or 0, task.width))
        if precision and scores.element_size() >= 4 and scores.dtype != precision:
            raise LabelweaveError(
                f"scores of task '{task.name}': found {_type(scores.dtype)}, expected "
                f"{_type(precision)} as the couplings' tables; objective.to({scores.dtype}) turns "
                "these"
            )
        if labels is None:
            continue
        codes = _of(task, labels, "labels")
        one = isinstance(task, Multiclass)
        shape = (rows or 0,) if one else (rows or 0, task.width)
        _check_shape(f"labels of task '{task.name}'", codes, shape)
        if codes.is_floating_point() or (one and codes.dtype != torch.int64):
            expected = "int64" if one else "integers"
            raise LabelweaveError(
                f"labels of task '{task.name}': found {_type(codes.dtype)}, expected {expected}, "
                "-1 = missing"
            )


def _of(task: Task, given: Mapping[str, Tensor], what: str) -> Tensor:
    if task.name not in given:
        raise LabelweaveError(
            f"{what} of task '{task.name}': found none{nearest(task.name, given)}"
        )
    return given[task.name]


def _check_shape(what: str, values: Tensor, expected: tuple[int, ...]) -> None:
    if tuple(values.shape) != expected:
        raise LabelweaveError(f"{what}: found the shape {tuple(values.shape)}, expected {expected}")


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
