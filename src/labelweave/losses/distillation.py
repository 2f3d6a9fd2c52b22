"""Distillation: single-task teachers give soft targets for the tasks that a row has no label of."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses.columns import Labels, Logits
from labelweave.losses.terms import Terms
from labelweave.tasks import Multiclass, Task


class Distillation:
    """T^2 KL(teacher || student) at temperature T, on the elements that have no label.

    Both sides are softened by their T: softmax(scores / T), for a multilabel task
    sigmoid(scores / T). One term a task, a mean over its rows (multilabel: elements) without a
    label; the factor T^2 keeps the gradient's size at any T (Hinton, Vinyals and Dean,
    arXiv 1503.02531). No gradient reaches the teachers.

    Args:
        tasks: the tasks that have a teacher.
        temperature: above 0; one for all tasks, or task name to its own (others: 2).
        weights: task name to the factor of its term, 0 or more (others: 1).

    Raises:
        LabelweaveError: an unknown task, a temperature that is not above 0, or a weight below 0.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        temperature: float | Mapping[str, float] = 2.0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.tasks = tuple(tasks)
        self.names = tuple(f"distillation/{task.name}" for task in self.tasks)
        known = [task.name for task in self.tasks]
        given = (
            temperature if isinstance(temperature, Mapping) else dict.fromkeys(known, temperature)
        )
        for name in (*given, *(weights or {})):
            if name not in known:
                raise LabelweaveError(
                    f"distillation: no task '{name}', expected {listing(known)}"
                    f"{nearest(name, known)}"
                )
        self.temperatures = {name: float(given.get(name, 2.0)) for name in known}
        self.weights = {name: float((weights or {}).get(name, 1.0)) for name in known}
        for name in known:
            if not 0 < self.temperatures[name] < math.inf:
                raise LabelweaveError(
                    f"distillation: task '{name}': temperature {self.temperatures[name]:g}, "
                    "expected a number above 0"
                )
            if not 0 <= self.weights[name] < math.inf:
                raise LabelweaveError(
                    f"distillation: task '{name}': weight {self.weights[name]:g}, "
                    "expected a number of 0 or more"
                )

    def __call__(
        self,
        logits: Logits,
        labels: Labels,
        teachers: Mapping[str, Tensor],
        form: Literal["logits", "probabilities"] = "logits",
    ) -> Terms:
        """Return one term a task.

        Args:
            logits: task name to (n, width) scores of the student's heads.
            labels: task name to the codes of `Annotations`, -1 = missing.
            teachers: task name to (n, width) outputs of its teacher for the same rows.
            form: what `teachers` holds: scores, or P(class) or P(label on).

        Raises:
            LabelweaveError: a task without a teacher, an output of another shape than the task's
                scores, or an unknown form.
        """
        if form not in ("logits", "probabilities"):
            raise LabelweaveError(
                f"distillation: unknown form '{form}', expected 'logits', 'probabilities'"
                f"{nearest(form, ('logits', 'probabilities'))}"
            )
        sums: list[Tensor] = []
        counts: list[Tensor] = []
        for task in self.tasks:
            student, name = logits[task.name], task.name
            teacher = _output(name, teachers, student).to(student.dtype)
            if form == "probabilities":
                teacher = _scores(task, teacher)
            temperature = self.temperatures[name]
            loss = _divergence(task, teacher / temperature, student / temperature)
            missing = labels[name] < 0
            factor = self.weights[name] * temperature**2
            sums.append(factor * torch.where(missing, loss, 0.0).sum())
            counts.append(missing.sum(dtype=loss.dtype))
        return Terms(self.names, torch.stack(sums), torch.stack(counts))


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
    return teachers[name].detach()


def _scores(task: Task, probabilities: Tensor) -> Tensor:
    if isinstance(task, Multiclass):
        return torch.log(probabilities.clamp(min=1e-6))
    return torch.logit(probabilities, eps=1e-6)


def _divergence(task: Task, teacher: Tensor, student: Tensor) -> Tensor:
    """Return KL(teacher || student) of scores: (n,) of classes, (n, L) of labels."""
    if isinstance(task, Multiclass):
        log_t, log_s = F.log_softmax(teacher, dim=1), F.log_softmax(student, dim=1)
        return (log_t.exp() * (log_t - log_s)).sum(dim=1)
    on = torch.sigmoid(teacher) * (F.logsigmoid(teacher) - F.logsigmoid(student))
    return on + torch.sigmoid(-teacher) * (F.logsigmoid(-teacher) - F.logsigmoid(-student))
