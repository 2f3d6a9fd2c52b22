"""Which of several methods to use: the simplest of those that held-out rows find equal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri  # scipy.stats takes a second to load

from labelweave.annotations import Codes
from labelweave.evaluation._top_classes import TopClasses
from labelweave.tasks import Multiclass, Task, one_hot

Floats = NDArray[np.float64]

HARM = 0.05  # chance of ruling a method out by noise, over all tasks
NEAR = 0.02  # in the score; less is no reason for the more complex method
SPREAD = 1.0  # of one more row, not seen: n rows alike leave room for an error in every n + 1


@dataclass(frozen=True)
class MethodChoice:
    """The method to use, and what it rests on.

    Attributes:
        method: the simplest method that is shown equal to the best.
        best: the method to beat: the default one, unless another clearly scores higher.
        equal: the other methods that are shown equal to it.
        harmed: by method that is ruled out, the numbers of the tasks that it harms.
        rows: held-out rows that judge.
    """

    method: str
    best: str
    equal: tuple[str, ...]
    harmed: Mapping[str, tuple[int, ...]]
    rows: int


def choose(
    scores: Mapping[str, Floats], order: Sequence[str], default: str | None = None
) -> MethodChoice:
    """Return the simplest method that is shown equal to the best, by scores of held-out rows.

    A task's score is the mean of its rows, a method's the mean of its tasks. The best method is the
    default one, unless the mean of another is more than one standard error of their paired
    difference above it. A method is shown equal to the best where its mean lies within one standard
    error, and on every task the upper end of the shortfall (mean and one standard error, with one
    more row of spread 1) is at most .02. Fewer than 50 rows thus show nothing equal, however alike
    they are, and the default stands.
    Noise in the last digits, of another machine say, cannot move the choice between equals. The
    first of `order` is the baseline; a method that clearly scores below it on some task (5 % over
    all tasks) is ruled out.

    Args:
        scores: by method (n, T), the same rows for all, higher is better, NaN = no label.
        order: the methods, the simplest first.
        default: the method that stands where the rows cannot tell; None, or one without scores or
            ruled out = the one of the highest mean.
    """
    known = [method for method in order if method in scores]
    baseline = scores[known[0]]
    counts = (~np.isnan(baseline)).sum(axis=0)
    tasks = int((counts > 0).sum())
    limit = float(-ndtri(HARM / max(tasks, 1)))
    harmed = {}
    for method in known[1:]:
        change, error = _paired(scores[method] - baseline)
        if clear := tuple(int(t) for t in np.flatnonzero(change < -limit * error - 1e-9)):
            harmed[method] = clear
    safe = [method for method in known if method not in harmed]
    means = {method: _mean(scores[method]) for method in safe}
    # of equal means the simplest is the best
    best = max(safe, key=lambda method: (round(means[method], 9), -safe.index(method)))
    if default in safe and _within_an_error(scores[best] - scores[default]):
        best = default
    equal = [m for m in safe if m == best or shown_equal(scores[best] - scores[m])]
    others = tuple(method for method in equal if method != equal[0])
    return MethodChoice(
        equal[0], best, others, harmed, int((~np.isnan(baseline)).any(axis=1).sum())
    )


def shown_equal(behind: Floats) -> bool:
    """Return whether rows (n, T) of score differences show that a method is not behind."""
    count = (~np.isnan(behind)).sum(axis=0)
    if not count.size or count.min() < 2:
        return False
    mean, error = _paired(behind)
    error = np.sqrt(error**2 + SPREAD**2 / (count * (count - 1)))
    return _within_an_error(behind) and bool((mean + error <= NEAR + 1e-9).all())


def _within_an_error(behind: Floats) -> bool:
    return _mean(behind) <= _error_of_mean(behind) + 1e-9


def held_out_row_scores(
    tasks: Sequence[Task],
    predictions: Mapping[str, NDArray[np.floating] | TopClasses],
    labels: Mapping[str, Codes],
) -> Floats:
    """Return the quadratic score of every row and task, (n, T), 0 to 1, NaN without a label.

    1 - |p - y|^2 / 2 of a class, the mean of 1 - (p - y)^2 over the labels of a multilabel task
    (Brier 1950): a proper score that no single over-confident error decides.
    """
    found = []
    for task in tasks:
        given, codes = predictions[task.name], labels[task.name]
        if isinstance(given, TopClasses):
            found.append(np.where(codes >= 0, given.quadratic(codes), np.nan))
            continue
        p = np.asarray(given, np.float64)
        if isinstance(task, Multiclass):
            wrong = ((p - one_hot(codes, task.width)) ** 2).sum(axis=1) / 2
            found.append(np.where(codes >= 0, 1 - wrong, np.nan))
        else:
            seen = codes >= 0
            count = seen.sum(axis=1)
            wrong = np.where(seen, (p - codes) ** 2, 0).sum(axis=1) / np.maximum(count, 1)
            found.append(np.where(count > 0, 1 - wrong, np.nan))
    return np.stack(found, axis=1)


def _mean(scores: Floats) -> float:
    """Return the mean of the tasks that have rows; 0 where none has."""
    means = _task_means(scores)
    return float(np.nanmean(means)) if (~np.isnan(means)).any() else 0.0


def _task_means(scores: Floats) -> Floats:
    """Return the mean of every task, (T,), NaN without rows."""
    seen = ~np.isnan(scores)
    count = seen.sum(axis=0)
    total = np.where(seen, scores, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _paired(differences: Floats) -> tuple[Floats, Floats]:
    """Return the mean difference of every task and its standard error, both (T,)."""
    seen = ~np.isnan(differences)
    count = seen.sum(axis=0)
    mean = np.nan_to_num(_task_means(differences))
    spread = np.where(seen, (differences - mean) ** 2, 0).sum(axis=0)
    error = np.sqrt(spread / np.maximum(count * (count - 1), 1))
    return mean, np.where(count > 1, error, np.inf)


def _error_of_mean(differences: Floats) -> float:
    """Return the standard error of the mean over tasks; the tasks of one row vary together."""
    seen = ~np.isnan(differences)
    count = seen.sum(axis=0)
    used = count > 1
    centred = np.where(seen, differences - np.nan_to_num(_task_means(differences)), 0)[:, used]
    n = count[used]
    shares = centred / np.sqrt(n * (n - 1)) / max(int(used.sum()), 1)
    return float(np.sqrt((shares.sum(axis=1) ** 2).sum()))
