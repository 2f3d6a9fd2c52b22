"""Selective prediction: abstain where a model is not sure enough."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv  # scipy.stats takes a second to load

from labelweave.errors import LabelweaveError
from labelweave.evaluation._questions import Floats, Probabilities, questions, states
from labelweave.tasks import Multiclass, Task
from labelweave.trust._predictions import Predictions

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Cut:
    """From which confidence on a question is answered.

    Attributes:
        confidence: the least probability of the answer; above 1 = no confidence is enough.
        answered: share of the rows that are answered.
        error: share of these that are wrong; None where none is answered.
        bound: what the error is at most, with 95 % confidence; None likewise.
        n: labelled elements behind it.
    """

    confidence: float
    answered: float
    error: float | None
    bound: float | None
    n: int


@dataclass(frozen=True, eq=False)
class Abstention:
    """Confidences below which no answer is given; made by `fit_abstention`.

    Attributes:
        tasks: the tasks.
        error: the wanted error rate among answers.
        cuts: by question: the name of a task, or ``task=label``.
    """

    tasks: tuple[Task, ...]
    error: float
    cuts: Mapping[str, Cut]

    def answers(self, probabilities: Probabilities) -> dict[str, NDArray[np.bool_]]:
        """Return which elements are answered: (n,) of a multiclass task, (n, L) of others.

        Args:
            probabilities: per task (n, K) or (n, L), what `predict_proba` gives.

        Raises:
            LabelweaveError: no probabilities of a task.
        """
        result = {}
        for task, asked in questions(self.tasks, probabilities):
            found = [given.max(axis=1) >= self.cuts[name].confidence for name, given in asked]
            result[task.name] = (
                found[0] if isinstance(task, Multiclass) else np.stack(found, axis=1)
            )
        return result


def fit_abstention(rows: Predictions, error: float = 0.05) -> Abstention:
    """Return the least confidence at which answers are wrong as rarely as wanted.

    Of all confidences that keep the error bound below `error`, the lowest; the bound is Clopper and
    Pearson's upper one of 95 % at each (a search over confidences makes it slightly optimistic;
    Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017). Rows
    of one group count as independent, so give one row a group where that matters.

    Args:
        rows: labelled rows that the model was not trained on.
        error: the wanted share of wrong answers, between 0 and 1.

    Raises:
        LabelweaveError: an error outside (0, 1).
    """
    if not 0 < error < 1:
        raise LabelweaveError(f"error: found {error}, expected a number between 0 and 1")
    cuts = {}
    for name, sure, right in _elements(rows):
        cuts[name] = _cut(sure, right, error)
    return Abstention(rows.tasks, error, cuts)


def _cut(sure: Floats, right: NDArray[np.bool_], error: float) -> Cut:
    n = len(sure)
    confidence, answered, wrong = _curve(sure, right)
    if n:
        upper = np.asarray(betaincinv(wrong + 1, np.maximum(answered - wrong, 1e-9), CONFIDENCE))
        good = np.flatnonzero(np.where(wrong >= answered, 1.0, upper) <= error)
        if len(good):
            i = good[-1]
            return Cut(
                float(confidence[i]), float(answered[i] / n), float(wrong[i] / answered[i]),
                float(upper[i]), n,
            )  # fmt: skip
    return Cut(math.inf, 0.0, None, None, n)


def _curve(sure: Floats, right: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Return for every confidence, falling: how many are answered, and how many of them wrong."""
    order = np.argsort(-sure, kind="stable")
    ranked, wrong = sure[order], np.cumsum(~right[order])
    last = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True)) if len(ranked) else order
    return ranked[last], (last + 1).astype(np.float64), wrong[last].astype(np.float64)


def risk_coverage(rows: Predictions) -> pd.DataFrame:
    """Return how the error rises with the share that is answered, the surest answers first.

    Args:
        rows: labelled rows that the model was not trained on.

    Returns:
        Columns ``question``, ``confidence``, ``answered`` (share) and ``error`` (share of answers
        that are wrong): a line for every confidence.
    """
    parts = [pd.DataFrame({"question": [], "confidence": [], "answered": [], "error": []})]
    for name, sure, right in _elements(rows):
        confidence, answered, wrong = _curve(sure, right)
        part = {
            "question": name, "confidence": confidence, "answered": answered / max(1, len(sure)),
            "error": wrong / answered,
        }  # fmt: skip
        parts.append(pd.DataFrame(part))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _elements(rows: Predictions) -> list[tuple[str, Floats, NDArray[np.bool_]]]:
    """Return by question how sure every labelled element's answer is, and whether it is right."""
    found = []
    for task in rows.tasks:
        asked = states(task, rows.probabilities[task.name], rows.labels(task.name))
        for name, p, codes in asked:
            seen = codes >= 0
            found.append((name, p[seen].max(axis=1), p[seen].argmax(axis=1) == codes[seen]))
    return found
