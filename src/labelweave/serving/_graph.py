"""A model as one graph: columns in, probabilities and labels of every task out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelweave.class_priors import TINY
from labelweave.data._table_encoder import LARGEST, TableEncoder, _as_numeric, _category_codes
from labelweave.errors import LabelweaveError
from labelweave.evaluation._calibration_maps import CalibrationMap
from labelweave.evaluation._metrics import EPSILON
from labelweave.evaluation._questions import question_names
from labelweave.fitting._stack import StackModel
from labelweave.model import EncodedPredictor, Model
from labelweave.networks._multi_task import probabilities
from labelweave.serving._onnx_nodes import (
    CATEGORIES,
    LEARNERS,
    STANDARDISED,
    at_least,
    between,
    number,
)
from labelweave.serving._stack_graph import StackGraph
from labelweave.tasks import Multiclass, Task, factorize, key

NUMBERS = "numbers"  # the other input
PREDICTED = " predicted"  # ending of the outputs that hold labels


class PredictionGraph(nn.Module):
    """A model as tensor operations, from its encoding of columns to its thresholds.

    Args:
        model: networks or a stack, on columns.

    Attributes:
        stack: the stack; None = networks.

    Raises:
        LabelweaveError: images or texts as inputs, a prior that each batch decides, a learner that
            nothing converts, or tasks whose names are those of inputs.
    """

    def __init__(self, model: Model | StackModel) -> None:
        super().__init__()
        encoder = model.encoder
        if not isinstance(encoder, TableEncoder):
            raise LabelweaveError("export: found inputs that are images or texts, expected columns")
        if model.prior.name == "rows":
            raise LabelweaveError(
                "export: found the prior 'rows', which every batch decides anew, expected "
                "'training', 'population' or 'uniform'"
            )
        networks = model.networks if isinstance(model, Model) else []
        self.tasks, self.networks = model.tasks, nn.ModuleList(networks)
        self._tasks_of = [network.tasks for network in networks]
        self.stack = StackGraph(model.stack) if isinstance(model, StackModel) else None
        self.numbers = list(encoder.numeric_.names)
        self.categories = {name: list(kept) for name, kept in encoder.categories_.items()}
        self.clip, numeric = encoder.clip, encoder.numeric_
        self.median, self.mean, self.scale = (
            torch.from_numpy(each.copy()) for each in (numeric.median, numeric.mean, numeric.scale)
        )
        self.varies, self.gaps = (
            torch.from_numpy(np.flatnonzero(each)) for each in (numeric.varies, numeric.gaps)
        )
        self.calibration = model.calibration
        self.shifts = dict(_shifts(model))
        self.thresholds = {task.name: _thresholds(model, task) for task in model.tasks}
        names = [*self.outputs, NUMBERS, CATEGORIES, LEARNERS, STANDARDISED]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise LabelweaveError(
                f"export: task '{twice.removesuffix(PREDICTED)}' gives the name '{twice}' twice, "
                "expected another name of the task"
            )

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs: every task, then the labels of every task."""
        names = [task.name for task in self.tasks]
        return [*names, *(f"{name}{PREDICTED}" for name in names)]

    @property
    def columns(self) -> int:
        """The number of columns that nodes of learners give."""
        return 0 if self.stack is None else self.stack.nodes.width

    def forward(
        self,
        numbers: Tensor | None = None,
        categories: Tensor | None = None,
        learners: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Return per task P(class) or P(label on), (n, width), then per task the labels.

        With `learners`, what they read comes last, (n, d).

        Args:
            numbers: (n, c) float64, NaN = missing.
            categories: (n, k) int64, the place among the categories; one more = unknown.
            learners: (n, columns) float64, what the nodes of learners give.
        """
        features = torch.cat([*self._numeric(numbers), *self._one_hot(categories)], dim=1)
        given: dict[str, Tensor] = {}
        read: tuple[Tensor, ...] = ()
        if self.stack is not None:
            inputs = self.stack.standardised(features)
            given = {n: p.float() for n, p in self.stack(inputs, learners).items()}
            read = () if learners is None else (inputs,)
        for network, tasks in zip(self.networks, self._tasks_of, strict=True):
            given |= probabilities(network(features), tasks)
        found = {
            task.name: self._shifted(task, self._calibrated(task, given[task.name]))
            for task in self.tasks
        }
        labels = tuple(self._labels(task, found[task.name]) for task in self.tasks)
        return (*(found[task.name] for task in self.tasks), *labels, *read)

    def _numeric(self, numbers: Tensor | None) -> list[Tensor]:
        if numbers is None:
            return []
        missing = torch.isnan(numbers) | (numbers.abs() > LARGEST)
        values = (torch.where(missing, self.median, numbers) - self.mean) / self.scale
        parts = []
        if len(self.varies):
            clipped = between(values, -self.clip, self.clip).float()
            parts.append(clipped.index_select(1, self.varies))
        if len(self.gaps):
            parts.append(missing.float().index_select(1, self.gaps))
        return parts

    def _one_hot(self, categories: Tensor | None) -> list[Tensor]:
        if categories is None:
            return []
        return [
            (categories[:, j : j + 1] == torch.arange(len(kept) + 1)).float()
            for j, kept in enumerate(self.categories.values())
        ]

    def _calibrated(self, task: Task, p: Tensor) -> Tensor:
        if self.calibration is None:
            return p
        maps = [self.calibration.maps[name] for name in question_names(task)]
        if all(each.kind == "none" for each in maps):
            return p
        wide = p.double()
        if isinstance(task, Multiclass):
            return _mapped(maps[0], wide).float()
        columns = [wide[:, j : j + 1] for j in range(task.width)]
        both = [torch.cat([1 - column, column], dim=1) for column in columns]
        parts = [_mapped(each, pair)[:, 1:] for each, pair in zip(maps, both, strict=True)]
        return torch.cat(parts, dim=1).float()

    def _shifted(self, task: Task, p: Tensor) -> Tensor:
        if task.name not in self.shifts:
            return p
        old, new = self.shifts[task.name]
        wide = between(p.double(), TINY, 1 - TINY)
        on = wide * torch.from_numpy(new / np.maximum(old, TINY))
        if isinstance(task, Multiclass):
            return (on / on.sum(dim=1, keepdim=True)).float()
        off = (1 - wide) * torch.from_numpy((1 - new) / np.maximum(1 - old, TINY))
        return (on / (on + off)).float()

    def _labels(self, task: Task, p: Tensor) -> Tensor:
        if isinstance(task, Multiclass):
            return p.argmax(dim=1)
        return (p.double() >= torch.from_numpy(self.thresholds[task.name])).long()

    def arrays(self, typed: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """Return the graph's inputs of n rows read by the schema, categories as codes."""
        found: dict[str, NDArray[Any]] = {}
        if self.numbers:
            frame = _as_numeric(typed, self.numbers)
            found[NUMBERS] = frame.to_numpy(dtype=np.float64, na_value=np.nan)
        if self.categories:
            codes = [_category_codes(typed[name], kept) for name, kept in self.categories.items()]
            found[CATEGORIES] = np.stack(codes, axis=1)
        return found

    def texts(self, typed: pd.DataFrame) -> NDArray[np.object_]:
        """Return the categories of n rows as text, (n, k); "" = missing."""
        columns = []
        for name in self.categories:
            codes, distinct = factorize(typed[name])
            words = np.array([*(key(value) for value in distinct), ""], dtype=object)
            columns.append(words[codes])
        return np.stack(columns, axis=1)


def _mapped(given: CalibrationMap, p: Tensor) -> Tensor:
    """Return what `CalibrationMap.apply` does, as tensor operations."""
    if given.kind == "none":
        return p
    if given.kind != "isotonic":
        logs = at_least(p, EPSILON).log()
        scale, shift = (torch.from_numpy(each.copy()) for each in (given.scale, given.shift))
        return (logs * scale + shift).softmax(dim=1)
    raised = torch.cat([_curve(c, p[:, k : k + 1]) for k, c in enumerate(given.curves)], dim=1)
    return raised / at_least(raised.sum(dim=1, keepdim=True), TINY)


def _curve(points: NDArray[np.float64], p: Tensor) -> Tensor:
    """Return the height of a curve of lines at p, (n, 1): what every line adds up to there."""
    x, y = points
    width = np.diff(x)
    start, wide, slope = (torch.from_numpy(v.copy()) for v in (x[:-1], width, np.diff(y) / width))
    inside = torch.minimum(at_least(p - start, 0.0), wide)
    return number(float(y[0])) + (inside * slope).sum(dim=1, keepdim=True)


def _shifts(
    model: EncodedPredictor,
) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return by task the prior of its scores and the one to assume, where they differ."""
    found = {}
    for task in model.tasks:
        if model.prior.name == "training" and task.name not in model.prior.given:
            continue
        old = model.priors["training"][task.name]
        population = model.priors["population"][task.name]
        new = model.prior._prior(task, np.zeros((0, task.width)), old, population)
        found[task.name] = (old, new)
    return found


def _thresholds(model: EncodedPredictor, task: Task) -> NDArray[np.float64]:
    return np.broadcast_to(model.thresholds.get(task.name, 0.5), (task.width,)).astype(np.float64)
