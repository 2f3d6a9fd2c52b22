"""Calibration: maps fitted on labelled rows, and how far probabilities are from the truth."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labelweave.evaluation._calibration import Reliability, reliability
from labelweave.evaluation._calibration_maps import (
    Calibration,
    CalibrationMap,
    chosen_kind,
    fitted_map,
)
from labelweave.evaluation._metrics import EPSILON
from labelweave.evaluation._questions import Floats, states
from labelweave.tasks import Multiclass
from labelweave.trust._predictions import Predictions

FOLDS = 5  # of cross-fitted maps
BEYOND = 2.0  # standard errors that a map must gain


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


def fit_calibration(rows: Predictions) -> Calibration:
    """Return maps that make probabilities calibrated, as rich as the number of labels allows.

    Below 10 labels a class (or with labels of one class) nothing is changed: fits that leave some
    of so few labels out are too unlike the final one. Then comes one temperature
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


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Maps for a model, and what they do to rows that did not fit them.

    Attributes:
        calibration: fitted on all rows.
        before: the rows as given.
        after: with every row calibrated by maps that were fitted without it (and its group).
    """

    calibration: Calibration
    before: Predictions
    after: Predictions


def cross_calibrate(rows: Predictions, seed: int = 0) -> CrossFit:
    """Return the maps of `fit_calibration` that lower the log-loss of rows that did not fit them.

    Of each question five maps are fitted, each without a fifth of the groups, and change that
    fifth. Where they do not lower the mean log-loss of the labels by more than two standard errors
    (over groups), the probabilities stay: with few labels a map is mostly chance.

    Args:
        rows: labelled rows that the model was not trained on: out-of-fold.
        seed: of the folds.
    """
    groups = rows.group_codes
    distinct, place = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(distinct))[place] % FOLDS
    maps: dict[str, CalibrationMap] = {}
    after: dict[str, Floats] = {}
    for task in rows.tasks:
        parts = []
        for name, p, codes in states(task, rows.probabilities[task.name], rows.labels(task.name)):
            maps[name], made = _cross_fitted(p, codes, place, fold)
            parts.append(made)
        single = isinstance(task, Multiclass)
        after[task.name] = parts[0] if single else np.stack([each[:, 1] for each in parts], axis=1)
    made_rows = Predictions(rows.annotations, after, groups)
    return CrossFit(Calibration(rows.tasks, maps), rows, made_rows)


def _cross_fitted(
    p: Floats, codes: NDArray[np.int64], groups: NDArray[np.int64], fold: NDArray[np.int64]
) -> tuple[CalibrationMap, Floats]:
    seen, width = codes >= 0, p.shape[1]
    unchanged = fitted_map(p[:0], codes[:0], "none")
    kind = chosen_kind(np.bincount(codes[seen], minlength=width))
    if kind == "none" or len(np.unique(fold[seen])) < 2:
        return unchanged, p
    made = p.copy()
    for each in range(FOLDS):
        kept, out = seen & (fold != each), fold == each
        made[out] = fitted_map(p[kept], codes[kept], kind).apply(p[out])
    at = np.flatnonzero(seen)
    before, after = (np.log(np.maximum(values[at, codes[at]], EPSILON)) for values in (p, made))
    if not _beyond_chance(after - before, groups[at]):
        return unchanged, p
    return fitted_map(p[seen], codes[seen], kind), made


def _beyond_chance(gains: Floats, groups: NDArray[np.int64]) -> bool:
    """Return whether a mean lies above 0 by more than chance would bring, over groups of rows."""
    mean = gains.mean()
    noise = np.bincount(groups, gains - mean)
    return bool(mean > BEYOND * np.sqrt((noise**2).sum()) / len(gains))


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
