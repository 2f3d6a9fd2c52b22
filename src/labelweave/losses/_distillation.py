"""Distillation: single-task teachers give soft targets for the tasks that a row has no label of."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses._coupling import Coupling
from labelweave.losses._layout import ColumnBatch, Columns, Labels, Logits, Terms
from labelweave.tasks import Multiclass, Task


class Distillation(Coupling):
    """T^2 KL(teacher || student) at temperature T, on the elements that have no label.

    Both sides are softened by their T: softmax(scores / T), for a multilabel task
    sigmoid(scores / T). One term a task, a mean over its rows (multilabel: elements) without a
    label; the factor T^2 keeps the gradient's size at any T (Hinton, Vinyals and Dean,
    arXiv 1503.02531). No gradient reaches the teachers.

    Args:
        tasks: the tasks that have a teacher.
        temperature: above 0; one for all tasks, or task name to its own (others: 2).
        weights: factor of a task's term, 0 or more; one for all tasks, or task name to its own
            (others: 1).
        columns: see `Coupling`; None = that of `tasks`.

    Raises:
        LabelweaveError: an unknown task, a temperature that is not above 0, or a weight below 0.
    """

    factors: Tensor
    elements: Tensor

    def __init__(
        self,
        tasks: Sequence[Task],
        temperature: float | Mapping[str, float] = 2.0,
        weights: float | Mapping[str, float] = 1.0,
        columns: Columns | None = None,
    ) -> None:
        super().__init__(columns or Columns(tasks))
        self.tasks = tuple(tasks)
        self.names = tuple(f"distillation/{task.name}" for task in self.tasks)
        self.temperatures = _by_task(self.tasks, temperature, 2.0)
        factors = _by_task(self.tasks, weights, 1.0)
        for name, value in self.temperatures.items():
            if not _number(value) or not 0 < value < math.inf:
                raise LabelweaveError(
                    f"distillation: task '{name}': temperature {value}, expected a number above 0"
                )
        for name, value in factors.items():
            if not _number(value) or not 0 <= value < math.inf:
                raise LabelweaveError(
                    f"distillation: task '{name}': weight {value}, expected a number of 0 or more"
                )
        shape = (self.columns.width, len(self.tasks))
        self.register_buffer("factors", torch.zeros(shape), persistent=False)
        self.register_buffer("elements", torch.zeros(shape), persistent=False)
        for i, task in enumerate(self.tasks):
            own = self.columns.indices(task)
            self.factors[own, i] = factors[task.name] * self.temperatures[task.name] ** 2
            # a row counts once, by its first class; an element of a multilabel task by its "on"
            self.elements[own[:1] if isinstance(task, Multiclass) else own[: task.width], i] = 1.0

    def forward(
        self,
        logits: Logits,
        labels: Labels | None = None,
        teachers: Mapping[str, Tensor] | None = None,
        form: Literal["logits", "probabilities"] = "logits",
        *,
        source: Tensor | None = None,
    ) -> Terms:
        """Return one term a task.

        Args:
            logits: task name to (n, width) scores of the student's heads.
            labels: task name to the codes of `Annotations`, -1 = missing.
            teachers: task name to (n, width) outputs of its teacher for the same rows.
            form: what `teachers` holds: scores, or P(class) or P(label on).
            source: not looked at.

        Raises:
            LabelweaveError: a task without a teacher, an output of another shape than the task's
                scores, or an unknown form.
        """
        if form not in ("logits", "probabilities"):
            raise LabelweaveError(
                f"distillation: unknown form '{form}', expected 'logits', 'probabilities'"
                f"{nearest(form, ('logits', 'probabilities'))}"
            )
        given = dict(teachers or {})
        if form == "probabilities":
            given |= {t.name: logits_of(t, given[t.name]) for t in self.tasks if t.name in given}
        return super().forward(logits, labels, given)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a task."""
        student = self._scores(batch)
        log_s = self._softened(student)
        log_t = self._softened(
            {name: _output(name, batch.teachers, scores) for name, scores in student.items()}
        )
        missing = self.columns.missing(batch.labels, log_s.dtype)
        # where, not a product: what a teacher says at a labelled element must not enter, NaN or not
        log_t = torch.where(missing > 0, log_t, 0.0)
        loss = torch.where(missing > 0, log_t.exp() * (log_t - log_s), 0.0).sum(dim=0)
        count = missing.sum(dim=0)
        return Terms(
            self.names, loss @ self.factors.to(loss.dtype), count @ self.elements.to(loss.dtype)
        )

    def _scores(self, batch: ColumnBatch) -> dict[str, Tensor]:
        """Return the student's scores; those of classes up to a constant, which softmax ignores."""
        scores = dict(batch.log_classes)
        for task in self.columns.multilabel:
            on, off = self.columns.indices(task)[0], self.columns.indices(task)[task.width]
            scores[task.name] = batch.log_p.narrow(1, on, task.width) - batch.log_p.narrow(
                1, off, task.width
            )
        return scores

    def _softened(self, scores: Mapping[str, Tensor]) -> Tensor:
        """Return the log-probability of every column at the temperature of its task, (n, W)."""
        return self.columns.log_probabilities(
            {name: part / self.temperatures[name] for name, part in scores.items()}
        )


def logits_of(task: Task, probabilities: Tensor) -> Tensor:
    """Return scores (n, width) of P(class) or P(label on), which are cut off at 1e-6."""
    if isinstance(task, Multiclass):
        return torch.log(probabilities.clamp(min=1e-6))
    return torch.logit(probabilities, eps=1e-6)


def _by_task(
    tasks: Sequence[Task], given: float | Mapping[str, float], other: float
) -> dict[str, float]:
    known = [task.name for task in tasks]
    if not isinstance(given, Mapping):
        return dict.fromkeys(known, given)
    for name in given:
        if name not in known:
            raise LabelweaveError(
                f"distillation: no task '{name}', expected {listing(known)}{nearest(name, known)}"
            )
    return {name: given.get(name, other) for name in known}


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _output(name: str, teachers: Mapping[str, Tensor], student: Tensor) -> Tensor:
    if name not in teachers:
        raise LabelweaveError(
            f"distillation: no teacher of task '{name}', found {listing(teachers) or 'none'}"
        )
    if teachers[name].shape != student.shape:
        raise LabelweaveError(
            f"distillation: the teacher of '{name}' has outputs of shape "
            f"{tuple(teachers[name].shape)}, expected {tuple(student.shape)}"
        )
    return teachers[name].detach().to(student.dtype)
