"""Calibration: maps from a model's probabilities to ones that mean what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from labelweave.errors import LabelweaveError, listing
from labelweave.evaluation._calibration import MOST, Reliability, reliability
from labelweave.evaluation._metrics import EPSILON
from labelweave.tasks import Multiclass, Task
from labelweave.trust._predictions import Floats, Predictions, Probabilities, questions, states

KINDS = ("none", "temperature", "vector", "isotonic")
LEAST = 10  # labels from which a temperature is fitted
VECTOR = 20  # labels for each of the two numbers a class that vector scaling has
ISOTONIC, ISOTONIC_CLASS = 1_000, 100  # labels in all, and of each class
PENALTY = 1e-3  # per label, towards no change: separable labels have no finite optimum


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
            found = [np.interp(p[:, k], *curve) for k, curve in enumerate(self.curves)]
            raised = np.stack(found, axis=1)
            total = raised.sum(axis=1, keepdims=True)
            return np.where(total > 0, raised / np.where(total > 0, total, 1), p)
        return np.asarray(softmax(_logs(p) * self.scale + self.shift, axis=1))


@dataclass(frozen=True)
class CalibrationFigures:
    """How far probabilities are from the truth, on labelled rows of one question.

    Attributes:
        ece: expected calibration error (`labelweave.evaluation.reliability`).
        brier: mean squared distance of the probabilities from the truth, summed over classes; of a
            label, of its probability of on.
        log_loss: mean -log probability of the truth, in nats.
        bins: the reliability diagram.
        n: labelled elements.
    """

    ece: float | None
    brier: float | None
    log_loss: float | None
    bins: Reliability = field(repr=False)
    n: int = 0


@dataclass(frozen=True, eq=False)
class Calibration:
    """Maps for all tasks; made by `fit_calibration`.

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
        for task, asked in questions(self.tasks, probabilities):
            found = [self.maps[name].apply(given) for name, given in asked]
            single = isinstance(task, Multiclass)
            result[task.name] = found[0] if single else np.stack([f[:, 1] for f in found], axis=1)
        return result

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
            blank = np.zeros((0, task.width))
            codes = np.zeros(0 if isinstance(task, Multiclass) else (0, task.width), np.int64)
            for name, _, _ in states(task, blank, codes):
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
    sound = sound and all(np.isfinite(each).all() for each in (scale, shift, *curves))
    sound = sound and all(c.ndim == 2 and len(c) == 2 and c.shape[1] for c in curves)
    if kind not in KINDS or not sound or (kind == "isotonic") != bool(curves):
        raise LabelweaveError(
            f"calibration of '{name}': makes no sense, expected {listing(KINDS)}, of {width} "
            "classes"
        )
    return CalibrationMap(kind, scale, shift, curves)


def fit_calibration(rows: Predictions) -> Calibration:
    """Return maps that make probabilities calibrated, as rich as the number of labels allows.

    Below 10 labels (or with labels of one class) nothing is changed; then comes one temperature
    (Guo et al., "On calibration of modern neural networks", ICML 2017); from 40 labels a class one
    factor and one shift a class, their vector scaling, which is Platt's for a label; from 1,000
    labels, 100 of each class, isotonic regression of each class against the rest (Zadrozny and
    Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD
    2002).

    Args:
        rows: labelled rows that the model was not trained on.
    """
    maps = {}
    for task in rows.tasks:
        asked = states(task, rows.probabilities[task.name], rows.labels(task.name))
        for name, p, codes in asked:
            seen = codes >= 0
            maps[name] = fitted_map(p[seen], codes[seen])
    return Calibration(rows.tasks, maps)


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

    bounds = [(0.0, MOST)] * width + [(-MOST, MOST)] * width
    found = minimize(loss, np.concatenate([scale, shift]), jac=True, bounds=bounds,
                     method="L-BFGS-B", options={"maxiter": 500})  # fmt: skip
    return CalibrationMap(chosen, found.x[:width], found.x[width:])


def chosen_kind(counts: NDArray[np.int64]) -> str:
    """Return which map the labels of each class, (S,), allow."""
    total = int(counts.sum())
    if total < LEAST or (counts > 0).sum() < 2:
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
        found.append(np.stack([fit.X_thresholds_, fit.y_thresholds_]).astype(np.float64))
    return tuple(found)


def calibration_figures(rows: Predictions) -> dict[str, CalibrationFigures]:
    """Return calibration error, Brier score and log-loss by question: a task, or a label.

    Args:
        rows: labelled rows, new to model and calibration.
    """
    result = {}
    for task in rows.tasks:
        asked = states(task, rows.probabilities[task.name], rows.labels(task.name))
        for name, p, codes in asked:
            seen = codes >= 0
            result[name] = _figures(p[seen], codes[seen], label=not isinstance(task, Multiclass))
    return result


def _figures(p: Floats, codes: NDArray[np.int64], *, label: bool) -> CalibrationFigures:
    n = len(codes)
    if not n:
        return CalibrationFigures(None, None, None, Reliability(None, ()))
    sure, right = p.max(axis=1), (p.argmax(axis=1) == codes).astype(np.float64)
    squares = ((p - np.eye(p.shape[1])[codes]) ** 2).sum(axis=1)
    if label:
        sure, right, squares = p[:, 1], codes.astype(np.float64), squares / 2
    found = reliability(sure, right)
    truth = np.clip(p[np.arange(n), codes], EPSILON, 1 - EPSILON)
    return CalibrationFigures(
        found.ece, float(squares.mean()), float(-np.log(truth).mean()), found, n
    )


def calibrated(rows: Predictions, calibration: Calibration) -> Predictions:
    """Return rows with calibrated probabilities; their thresholds no longer apply.

    Args:
        rows: labelled rows.
        calibration: what `fit_calibration` gives.
    """
    found = calibration.apply(rows.probabilities)
    return Predictions(rows.annotations, found, rows.group_codes)


def _logs(p: Floats) -> Floats:
    return np.log(np.maximum(p, EPSILON))
