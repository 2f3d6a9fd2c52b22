"""All tasks side by side: one matrix of log-probabilities and one of labels for a whole batch.

Every task is laid out as columns of probabilities that sum to one: a multiclass task gives its C
classes, a multilabel task a pair (on, off) for every label. In this form every loss is one
elementwise expression over (rows, columns), whatever the mix of tasks; and since the losses share
the two matrices, each is computed once a step.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from labelweave.errors import LabelweaveError, nearest
from labelweave.relations import AnyRelation
from labelweave.tasks import Multiclass, Task

WIDE = 256  # classes above which a task stays apart from the columns, where its losses allow it
Logits = Mapping[str, Tensor]
Labels = Mapping[str, Tensor]


class ColumnBatch(NamedTuple):
    """One batch in columns.

    Attributes:
        log_p: (n, W) log-probability of every column.
        log_classes: multiclass task to its (n, C) part of `log_p`; of a wide one not a part.
        one_hot: (n, W) 1 at the labelled column of an element, else 0; without labels (0,).
        one_hot_classes: multiclass task to its (n, C) part of `one_hot`; without labels empty.
            Wide tasks have none: their labels are codes.
        labels: task name to its codes, -1 = missing.
        source: (n,) index of the data source of each row; None = not known.
        teachers: task name to the (n, width) scores of its teacher, where it has one.
    """

    log_p: Tensor
    log_classes: Mapping[str, Tensor]
    one_hot: Tensor
    one_hot_classes: Mapping[str, Tensor]
    labels: Labels
    source: Tensor | None = None
    teachers: Mapping[str, Tensor] = MappingProxyType({})


class Columns:
    """Where each task's columns are: first every multiclass task, then all "on", then all "off".

    Args:
        tasks: the tasks, classes known; a task named twice counts once.
        wide: names of multiclass tasks of very many classes that no loss needs among the columns:
            they stay apart from them, so that nothing of their size is copied or filled with zeros.
    """

    def __init__(self, tasks: Sequence[Task], wide: Collection[str] = ()) -> None:
        distinct = {task.name: task for task in tasks}.values()
        classes = [task for task in distinct if isinstance(task, Multiclass)]
        self.multiclass = [task for task in classes if task.name not in wide]
        self.wide = [task for task in classes if task.name in wide]
        self.multilabel = [task for task in distinct if not isinstance(task, Multiclass)]
        self.labels = sum(task.width for task in self.multilabel)
        self.start: dict[str, int] = {}
        self.width = 0
        self.tasks: list[Task] = [*self.multiclass, *self.multilabel, *self.wide]
        for task in self.tasks[: len(self.tasks) - len(self.wide)]:
            self.start[task.name] = self.width
            self.width += task.width
        self.width += self.labels

    @classmethod
    def of(cls, relations: Sequence[AnyRelation]) -> "Columns":
        """Return the columns of all tasks that some relation covers."""
        return cls([task for r in relations for task in (r.source, r.target)])

    def indices(self, task: Task) -> list[int]:
        """Return a task's columns: its classes, or its labels on and then its labels off."""
        on = list(range(self.start[task.name], self.start[task.name] + task.width))
        return on if isinstance(task, Multiclass) else on + [i + self.labels for i in on]

    def __call__(
        self,
        logits: Logits,
        labels: Labels | None = None,
        source: Tensor | None = None,
        teachers: Mapping[str, Tensor] | None = None,
    ) -> ColumnBatch:
        """Return a batch in columns.

        Args:
            logits: task name to (n, width) scores; half precision is computed in float32.
            labels: task name to the codes of `Annotations`, -1 = missing.
            source: (n,) index of the data source of each row.
            teachers: task name to (n, width) scores of its teacher.
        """
        parts = self._parts(logits)
        log_classes = {task.name: part for task, part in zip(self.multiclass, parts, strict=False)}
        for task in self.wide:
            log_p = F.log_softmax(widened(logits[task.name]), dim=1)
            log_classes[task.name] = some_rows_taken(log_p)
        log_p = joined(parts) if parts else _none(log_classes)
        if labels is None:
            return ColumnBatch(log_p, log_classes, torch.empty(0), {}, {}, source, teachers or {})
        one_hot = self._one_hot(labels).to(log_p.dtype) if parts else log_p
        one_hot_classes = {
            task.name: one_hot.narrow(1, self.start[task.name], task.width)
            for task in self.multiclass
        }
        return ColumnBatch(
            log_p, log_classes, one_hot, one_hot_classes, labels, source, teachers or {}
        )

    def log_probabilities(self, logits: Logits) -> Tensor:
        """Return the log-probability of every column, (n, W), of scores as in a call."""
        return joined(self._parts(logits))

    def missing(self, labels: Labels, dtype: torch.dtype) -> Tensor:
        """Return 1 where the element that a column belongs to has no label, else 0, (n, W)."""
        # one byte an entry until all are side by side
        parts = [
            (labels[task.name] < 0)[:, None].expand(-1, task.width) for task in self.multiclass
        ]
        if self.multilabel:
            gaps = joined([labels[task.name] < 0 for task in self.multilabel])
            parts += [gaps, gaps]
        return joined(parts).to(dtype)

    def _parts(self, logits: Logits) -> list[Tensor]:
        """Return the log-probabilities of each multiclass task, of all "on" and of all "off"."""
        parts = [F.log_softmax(widened(logits[task.name]), dim=1) for task in self.multiclass]
        if self.multilabel:
            scores = joined([widened(logits[task.name]) for task in self.multilabel])
            on = F.logsigmoid(scores)
            parts += [on, on - scores]
        return parts

    def _one_hot(self, labels: Labels) -> Tensor:
        parts: list[Tensor] = []
        for task in self.multiclass:
            codes = labels[task.name]
            parts.append(codes[:, None] == torch.arange(task.width, device=codes.device))
        if self.multilabel:
            codes = joined([labels[task.name] for task in self.multilabel])
            parts += [codes == 1, codes == 0]
        return joined(parts)


def _none(values: Mapping[str, Tensor]) -> Tensor:
    """Return no column, (n, 0)."""
    first = next(iter(values.values()))
    return first.new_zeros((len(first), 0))


def widened(scores: Tensor) -> Tensor:
    """Return scores in float32 where they are in half precision."""
    return scores.float() if scores.element_size() < 4 else scores


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return parts of (n, w) side by side; a single one is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def of_some_rows(rows: Tensor, values: Tensor, length: int) -> Tensor:
    """Return a gradient (length, w) that is 0 but in some rows, without filling the others.

    Args:
        rows: (r,) their distinct numbers.
        values: (r, w) the gradient there.
        length: the number of all rows.
    """
    size = (length, values.shape[1])
    return torch.sparse_coo_tensor(
        rows[None], values, size, is_coalesced=True, check_invariants=False
    )


def some_rows_taken(values: Tensor) -> Tensor:
    """Return values (n, w) that take gradients `of_some_rows` besides dense ones."""
    if torch.compiler.is_compiling():
        return values
    taken: Tensor = _SomeRowsTaken.apply(values)  # type: ignore[no-untyped-call]
    return taken


class _SomeRowsTaken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Tensor:
        # autograd's sum is sparse only where no dense gradient came
        return gradient[0].to_dense() if gradient[0].is_sparse else gradient[0]


class Terms(NamedTuple):
    """Named loss sums: `sums[i] / counts[i]` is the value of `names[i]`; both tensors (T,)."""

    names: tuple[str, ...]
    sums: Tensor
    counts: Tensor

    def means(self) -> Tensor:
        """Return the value of every term, (T,); 0 where the count is 0."""
        return self.sums * self.inverse_counts()

    def inverse_counts(self) -> Tensor:
        """Return 1 / count of every term, (T,); 0 where the count is 0."""
        # a mean over few elements must stay a mean, so only empty terms are guarded
        inverse = self.counts.clamp(min=1e-6).reciprocal()
        return inverse.masked_fill_(~(self.counts > 0), 0.0)


def join(parts: Sequence[Terms]) -> Terms:
    """Return the terms of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    names = tuple(name for part in parts for name in part.names)
    return Terms(
        names, torch.cat([part.sums for part in parts]), torch.cat([part.counts for part in parts])
    )


def constant(values: ArrayLike | Any) -> Tensor:
    """Return values as a tensor, floating-point ones in PyTorch's default precision."""
    tensor = torch.as_tensor(values).clone()
    if tensor.is_complex():
        raise LabelweaveError(f"found {_type(tensor.dtype)}, expected real numbers")
    return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor


def check_batch(
    tasks: Sequence[Task],
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor] | None,
    tables: Iterable[Tensor] = (),
) -> None:
    """Check names, shapes, types, and the values of labels.

    PyTorch marks a missing label by -100, this package by -1: both are taken.

    Args:
        tasks: what there must be scores and labels of.
        logits: task name to scores, (n, width).
        labels: task name to codes, (n,) or (n, width); None = not asked for.
        tables: those of the couplings; scores have their precision, or half precision.

    Raises:
        LabelweaveError: scores or labels are lacking, or of another shape, type or range; names
            the task.
    """
    rows: int | None = None
    precision = next((table.dtype for table in tables if table.is_floating_point()), None)
    for task in tasks:
        scores = _of(task, logits, "scores")
        rows = len(scores) if rows is None and scores.dim() else rows
        _check_shape(f"scores of task '{task.name}'", scores, (rows or 0, task.width))
        if not scores.is_floating_point():
            raise LabelweaveError(
                f"scores of task '{task.name}': found {_type(scores.dtype)}, expected real "
                "floating-point numbers"
            )
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
        if codes.is_floating_point() or codes.is_complex() or (one and codes.dtype != torch.int64):
            expected = "int64" if one else "integers"
            raise LabelweaveError(
                f"labels of task '{task.name}': found {_type(codes.dtype)}, expected {expected}, "
                "-1 = missing"
            )
        _check_values(task, codes)


def _check_values(task: Task, codes: Tensor) -> None:
    last = task.width - 1 if isinstance(task, Multiclass) else 1
    wrong = codes[((codes < 0) & (codes != -1) & (codes != -100)) | (codes > last)]
    if not len(wrong):
        return
    found = int(wrong[0])
    past = found == last + 1 and not bool((codes == 0).any())
    hint = "; labels count from 0" if past and isinstance(task, Multiclass) else ""
    raise LabelweaveError(
        f"labels of task '{task.name}': found {found}, expected 0 to {last}, or -1 = missing{hint}"
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
