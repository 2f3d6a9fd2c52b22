"""One learner fitted to one task: separate elements, missing classes, weights, too many rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from labelweave.errors import LabelweaveError
from labelweave.learners._learner import Learner, Size
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]


@dataclass(frozen=True)
class FittedPart:
    """One fit: a multiclass task, or one label of a multilabel task.

    Attributes:
        classes: the codes that were seen, ascending.
        floor: (K,) probabilities of every class without inputs: class frequencies, smoothed.
        share: how much of `floor` is mixed in.
        classifier: predicts the classes seen; None where there was only one.
    """

    classes: NDArray[np.int64]
    floor: Floats
    share: float
    classifier: Any | None

    def predict(self, X: Floats) -> Floats:
        """Return probabilities, (n, K)."""
        result = np.tile(self.floor, (len(X), 1))
        if self.classifier is None or not len(X):
            return result
        p = _probabilities(self.classifier, X, len(self.classes))
        result *= self.share
        result[:, self.classes] += (1 - self.share) * p
        return np.asarray(result / result.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class TaskModel:
    """One learner, fitted to one task.

    Attributes:
        key: the learner's name.
        multiclass: whether there is one part with all classes, or one a label.
        parts: the fits.
    """

    key: str
    multiclass: bool
    parts: tuple[FittedPart, ...]

    def predict(self, X: Floats) -> Floats:
        """Return class probabilities (n, K), or those of each label being on (n, L)."""
        if self.multiclass:
            return self.parts[0].predict(X)
        return np.stack([part.predict(X)[:, 1] for part in self.parts], axis=1)


def fit_task(
    learner: Learner,
    task: Task,
    X: Floats,
    codes: Codes,
    *,
    sample_weight: Floats | None = None,
    seed: int = 0,
) -> TaskModel:
    """Fit one learner to one task's labelled rows; every label of a multilabel task on its own.

    A class without a label, and a label that is always on or off, keep a small smoothed
    probability: no likelihood is infinite.

    Args:
        learner: the learner.
        task: the task.
        X: (n, d) inputs; must be finite.
        codes: (n,) or (n, L); missing elements (-1) are left out.
        sample_weight: (n,) or, per element, (n, L).
        seed: decides everything.
    """
    columns = codes[:, None] if codes.ndim == 1 else codes
    multiclass = isinstance(task, Multiclass)
    width = task.width if multiclass else 2
    parts = []
    for j in range(columns.shape[1]):
        rows = np.flatnonzero(columns[:, j] >= 0)
        weight = None
        if sample_weight is not None:
            weight = sample_weight if sample_weight.ndim == 1 else sample_weight[:, j]
            rows = rows[weight[rows] > 0]
            weight = weight[rows]
        parts.append(_fit_part(learner, X[rows], columns[rows, j], weight, width, seed))
    return TaskModel(learner.key, multiclass, tuple(parts))


def takes_weights(learner: Learner) -> bool:
    """Return whether the learner's classifier takes sample weights."""
    return _weight_name(learner.build(Size(10, 1, 2), 0)) is not None


def _fit_part(
    learner: Learner, X: Floats, y: Codes, weight: Floats | None, width: int, seed: int
) -> FittedPart:
    mass = np.asarray(np.bincount(y, weights=weight, minlength=width), np.float64)
    total = float(mass.sum())
    floor: Floats = np.asarray((mass + 0.5) / (total + 0.5 * width), np.float64)
    classes = np.unique(y).astype(np.int64)
    share = 1.0 / (total + width)
    if len(classes) < 2:
        return FittedPart(classes, floor, 1.0, None)
    rows = _drawn(y, learner.most_rows, seed)
    size = Size(len(rows), X.shape[1], width)
    classifier = learner.build(size, seed)
    options: dict[str, Any] = {}
    name = _weight_name(classifier)
    if weight is not None and name is not None:
        options[name] = weight[rows] * (len(rows) / weight[rows].sum()) if _uneven(weight) else None
    with catch_warnings():
        simplefilter("ignore")  # convergence: an unfinished fit is judged like any other
        try:
            classifier.fit(X[rows], y[rows], **options)
        except (ValueError, TypeError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())
            raise LabelweaveError(
                f"learner '{learner.key}': cannot be fitted ({reason})"
            ) from error
    return FittedPart(classes, floor, share, classifier)


def _uneven(weight: Floats) -> bool:
    return bool(np.ptp(weight) > 0)


def _drawn(y: Codes, most: int, seed: int) -> NDArray[np.int64]:
    """Return at most so many rows, each class in its share but at least 20 of it."""
    if len(y) <= most:
        return np.arange(len(y))
    rng = np.random.default_rng(seed)
    chosen: list[NDArray[np.int64]] = []
    order = np.argsort(y, kind="stable")
    counts = np.unique(y, return_counts=True)[1]
    for rows in np.split(order, np.cumsum(counts)[:-1]):
        count = max(min(20, len(rows)), round(most * len(rows) / len(y)))
        chosen.append(rng.choice(rows, min(count, len(rows)), replace=False))
    return np.sort(np.concatenate(chosen))


def _weight_name(classifier: Any) -> str | None:
    if isinstance(classifier, Pipeline):
        name, last = classifier.steps[-1]
        return f"{name}__sample_weight" if has_fit_parameter(last, "sample_weight") else None
    return "sample_weight" if has_fit_parameter(classifier, "sample_weight") else None


def _probabilities(classifier: Any, X: Floats, classes: int) -> Floats:
    if hasattr(classifier, "predict_proba"):
        return np.asarray(classifier.predict_proba(X), np.float64)
    scores = np.asarray(classifier.decision_function(X), np.float64)
    if classes == 2:
        on = expit(2 * scores.reshape(len(X)))
        return np.stack([1 - on, on], axis=1)
    return np.asarray(softmax(scores, axis=1))


def size_of(task: Task, codes: Codes, columns: int) -> Size:
    """Return the size of a task's problem: labelled rows, inputs, classes, elements."""
    multiclass = isinstance(task, Multiclass)
    seen = np.asarray(np.atleast_2d((codes >= 0).T).any(axis=0))
    return Size(
        int(seen.sum()), columns, task.width if multiclass else 2, 1 if multiclass else task.width
    )


def average(models: Sequence[TaskModel], weights: Sequence[float], X: Floats) -> Floats:
    """Return the weighted mean of several models' probabilities."""
    return np.asarray(sum(w * m.predict(X) for w, m in zip(weights, models, strict=True)))
