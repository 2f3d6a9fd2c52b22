"""Calibration maps: from a model's probabilities to ones that mean what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from labelweave.errors import LabelweaveError, listing
from labelweave.evaluation._calibration import MOST
from labelweave.evaluation._metrics import EPSILON
from labelweave.evaluation._questions import Floats, Probabilities, question_names
from labelweave.tasks import Multiclass, Task

KINDS = ("none", "temperature", "vector", "isotonic")
LEAST = 10  # labels a class, on average, from which a temperature is fitted
VECTOR = 20  # labels for each of the two numbers a class that vector scaling has
ISOTONIC, ISOTONIC_CLASS = 1_000, 100  # labels in all, and of each class
PENALTY = 1e-3  # per label, towards no change: separable labels have no finite optimum
SLOPE = 1e-3  # share of the given probability in isotonic curves: no two become equal
LARGEST = 1e3  # of saved factors and shifts


@dataclass(frozen=True, eq=False)
class CalibrationMap:
    """How the probabilities of one question (a task, or one label) are changed.

    Attributes:
        kind: ``none``, ``temperature``, ``vector`` or ``isotonic``.
        scale: (S,) factors on the log-probabilities.
        shift: (S,) added to them.
        curves: of ``isotonic``: per class the points (2, m) that are joined by lines.
    """

    kind: str
    scale: Floats
    shift: Floats
    curves: tuple[Floats, ...] = ()

    def apply(self, p: Floats) -> Floats:
        """Return the calibrated probabilities, (n, S), rows summing to 1."""
        if self.kind == "none":
            return p
        if self.kind == "isotonic":
            # a row a class: sums over the few classes of many rows are several times as fast
            raised = np.stack([np.interp(p[:, k], *curve) for k, curve in enumerate(self.curves)])
            total = raised.sum(axis=0)
            if not (total > 0).all():
                return np.where(total > 0, raised / np.where(total > 0, total, 1), p.T).T
            raised /= total
            return raised.T
        return np.asarray(softmax(_logs(p.T) * self.scale[:, None] + self.shift[:, None], axis=0)).T


@dataclass(frozen=True, eq=False)
class Calibration:
    """Maps for all tasks; made by `labelweave.trust.fit_calibration`.

    Attributes:
        tasks: the tasks.
        maps: by question: the name of a task, or ``task=label``.
    """

    tasks: tuple[Task, ...]
    maps: Mapping[str, CalibrationMap]

    def apply(self, probabilities: Probabilities) -> dict[str, Floats]:
        """Return calibrated probabilities, in the shapes of the given ones.

        Args:
            probabilities: per task (n, K) or (n, L), what `predict_proba` gives.

        Raises:
            LabelweaveError: no probabilities of a task.
        """
        result = {}
        for task in self.tasks:
            if task.name not in probabilities:
                raise LabelweaveError(
                    f"probabilities: found {listing(probabilities)}, expected '{task.name}', too"
                )
            result[task.name] = self._task(task, np.asarray(probabilities[task.name], np.float64))
        return result

    def _task(self, task: Task, p: Floats) -> Floats:
        maps = [self.maps[name] for name in question_names(task)]
        if isinstance(task, Multiclass):
            return maps[0].apply(p)
        # all labels at once: a service asks for one row at a time
        linear = np.array([each.kind in ("temperature", "vector") for each in maps])
        scale, shift = (np.stack([getattr(m, key) for m in maps]) for key in ("scale", "shift"))
        on, off = _logs(p) * scale[:, 1] + shift[:, 1], _logs(1 - p) * scale[:, 0] + shift[:, 0]
        found = np.where(linear, expit(on - off), p)
        for j, each in enumerate(maps):
            if each.kind == "isotonic":
                found[:, j] = each.apply(np.stack([1 - p[:, j], p[:, j]], axis=1))[:, 1]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the maps by question, JSON-able."""
        return {
            name: {
                "kind": each.kind, "scale": each.scale.tolist(), "shift": each.shift.tolist(),
                "curves": [curve.tolist() for curve in each.curves],
            }
            for name, each in self.maps.items()
        }  # fmt: skip

    @classmethod
    def from_dict(cls, tasks: Sequence[Task], saved: Mapping[str, Any]) -> "Calibration":
        """Return the calibration that `to_dict` described.

        Args:
            tasks: its tasks.
            saved: by question the map.

        Raises:
            LabelweaveError: a question without a map, or a map that makes no sense.
        """
        maps = {}
        for task in tasks:
            width = task.width if isinstance(task, Multiclass) else 2
            for name in question_names(task):
                maps[name] = _map_of(name, saved.get(name), width)
        return cls(tuple(tasks), maps)


def _map_of(name: str, saved: Any, width: int) -> CalibrationMap:
    try:
        kind = str(saved["kind"])
        scale, shift = (np.asarray(saved[key], np.float64) for key in ("scale", "shift"))
        curves = tuple(np.asarray(curve, np.float64) for curve in saved["curves"])
    except (TypeError, KeyError, ValueError):
        raise LabelweaveError(f"calibration of '{name}': found no map of it") from None
    sound = scale.shape == shift.shape == (width,) and len(curves) in (0, width)
    sound = sound and all((np.abs(each) <= LARGEST).all() for each in (scale, shift))
    sound = sound and bool((scale >= 0).all()) and all(_sound(curve) for curve in curves)
    if kind not in KINDS or not sound or (kind == "isotonic") != bool(curves):
        raise LabelweaveError(
            f"calibration of '{name}': makes no sense, expected {listing(KINDS)}, of {width} "
            "classes"
        )
    return CalibrationMap(kind, scale, shift, curves)


def _sound(curve: Floats) -> bool:
    """Return whether a curve rises from a probability to a probability."""
    if curve.ndim != 2 or len(curve) != 2 or curve.shape[1] < 2:
        return False
    inside = bool(((curve >= 0) & (curve <= 1)).all())
    return inside and bool((np.diff(curve[0]) > 0).all() and (np.diff(curve[1]) >= 0).all())


def fitted_map(p: Floats, codes: NDArray[np.int64], kind: str | None = None) -> CalibrationMap:
    """Return the map of one question.

    Args:
        p: (n, S) probabilities.
        codes: (n,) the truth.
        kind: which map; None = by the number of labels.
    """
    width = p.shape[1]
    chosen = kind or chosen_kind(np.bincount(codes, minlength=width))
    scale, shift = np.ones(width), np.zeros(width)
    if chosen == "isotonic":
        return CalibrationMap(chosen, scale, shift, _curves(p, codes))
    if chosen == "none":
        return CalibrationMap(chosen, scale, shift)
    logs, n = _logs(p), len(codes)
    hot = np.eye(width)[codes]
    from scipy.optimize import minimize  # takes half a second to load

    if chosen == "temperature":

        def one(power: Floats) -> tuple[float, Floats]:
            z = logs * power
            gradient = ((softmax(z, axis=1) - hot) * logs).sum() / n
            return -float(log_softmax(z, axis=1)[range(n), codes].mean()), np.array([gradient])

        found = minimize(one, np.ones(1), jac=True, bounds=[(1 / MOST, MOST)], method="L-BFGS-B")
        return CalibrationMap(chosen, scale * found.x[0], shift)

    def loss(values: Floats) -> tuple[float, Floats]:
        w, b = values[:width], values[width:]
        z = logs * w + b
        error = (softmax(z, axis=1) - hot) / n
        pull = PENALTY / n * np.concatenate([w - 1, b])
        value = -float(log_softmax(z, axis=1)[range(n), codes].mean())
        gradient = np.concatenate([(error * logs).sum(axis=0), error.sum(axis=0)])
        return value + float(pull @ np.concatenate([w - 1, b])) / 2, gradient + pull

    # a factor of 0 would make all probabilities equal
    bounds = [(1 / MOST, MOST)] * width + [(-MOST, MOST)] * width
    found = minimize(loss, np.concatenate([scale, shift]), jac=True, bounds=bounds,
                     method="L-BFGS-B", options={"maxiter": 500})  # fmt: skip
    return CalibrationMap(chosen, found.x[:width], found.x[width:])


def chosen_kind(counts: NDArray[np.int64]) -> str:
    """Return which map the labels of each class, (S,), allow."""
    total = int(counts.sum())
    if total < LEAST * len(counts) or (counts > 0).sum() < 2:
        return "none"
    if total >= ISOTONIC and counts.min() >= ISOTONIC_CLASS:
        return "isotonic"
    enough = total >= 2 * VECTOR * len(counts) and counts.min() >= LEAST
    return "vector" if enough else "temperature"


def _curves(p: Floats, codes: NDArray[np.int64]) -> tuple[Floats, ...]:
    from sklearn.isotonic import IsotonicRegression

    found = []
    for k in range(p.shape[1]):
        fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p[:, k], codes == k)
        x, y = (np.asarray(v, np.float64) for v in (fit.X_thresholds_, fit.y_thresholds_))
        x, places = np.unique(np.concatenate([[0.0], x, [1.0]]).clip(0, 1), return_index=True)
        y = np.concatenate([y[:1], y, y[-1:]])[places]
        found.append(np.stack([x, (1 - SLOPE) * y + SLOPE * x]))
    return tuple(found)


def _logs(p: Floats) -> Floats:
    return np.log(np.maximum(p, EPSILON))
