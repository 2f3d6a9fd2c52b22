"""The library on one task: out-of-fold probabilities, which learners stay, and their mixture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labelweave.learners._fitting import TaskModel, fit_task
from labelweave.learners._learner import Learner, Size
from labelweave.learners._library import MANY_CLASSES
from labelweave.learners._stacking import (
    Judged,
    fit_temperature,
    mixture_weights,
    own_labels,
    tempered,
)
from labelweave.tasks import Task

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]
Rows = NDArray[np.int64]
Tick = Callable[[str, str], None]  # called with task and learner before every round of fits

SCREENED = 600  # from so many labels on, a small round decides which learners enter the large one
SCREEN_ROWS, SCREEN_JUDGES, SCREEN_KEPT, SCREEN_WEIGHT = 400, 400, 3, 0.1
MAIN_FROM = 5_000  # labels from which boosting always enters the large round
SURE = 100  # judging rows after which a learner of next to no weight is not fitted to all rows
LEAST_WEIGHT = 0.02
FOLDS, FEW_FOLDS = 5, 3


def fold_count(labels: int) -> int:
    """Return the number of folds for so many labels: 5, or 3 from 500 on."""
    return FOLDS if labels < 500 else FEW_FOLDS


@dataclass(frozen=True)
class Member:
    """One learner of a stack.

    Attributes:
        key: its name.
        weight: in the mixture.
        temperature: of its probabilities.
        model: fitted to all labels; None for a joint learner, which predicts for all tasks.
    """

    key: str
    weight: float
    temperature: float
    model: TaskModel | None


@dataclass(frozen=True)
class TaskStack:
    """The mixture of one task's learners.

    Attributes:
        task: the task.
        members: the learners of positive weight.
    """

    task: Task
    members: tuple[Member, ...]

    def predict(self, X: Floats, joint: dict[str, Floats] | None = None) -> Floats:
        """Return class (n, K) or label-on (n, L) probabilities.

        Args:
            X: (n, d) inputs.
            joint: by name, what joint learners predict for this task.
        """
        total = np.zeros((len(X), self.task.width))
        for member in self.members:
            p = member.model.predict(X) if member.model else (joint or {})[member.key]
            total += member.weight * tempered(self.task, p, member.temperature)
        return total


@dataclass(eq=False)
class LibraryFit:
    """What fitting the library to one task gave.

    Attributes:
        task: the task.
        keys: the learners that took part, in order.
        predictions: by learner, (n, W) probabilities of all rows: out-of-fold on labelled rows
            that have a fold, the class shares on those that have none, else by all labels.
        by_fold: by learner, for each fold what its model gives for the watched rows.
        models: by learner, fitted to all labels.
        left_out: by learner, why it took no part.
    """

    task: Task
    keys: list[str] = field(default_factory=list)
    predictions: dict[str, Floats] = field(default_factory=dict)
    by_fold: dict[str, dict[int, Floats]] = field(default_factory=dict)
    models: dict[str, TaskModel] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def fit_library(
    learners: Sequence[Learner],
    task: Task,
    X: Floats,
    codes: Codes,
    folds: Rows,
    rate: Floats,
    *,
    work: Rows,
    watched: Rows,
    sample_weight: Floats | None,
    seed: int,
    tick: Tick,
) -> LibraryFit:
    """Fit every learner out of fold, and the useful ones on all labels.

    Args:
        learners: the learners, those that apply to the size.
        task: the task.
        X: (n, d) inputs of all rows.
        codes: labels of all rows.
        folds: (n,) fold of every row, -1 = in every training part.
        rate: the class shares, for rows that cannot be predicted out-of-fold.
        work: the rows that need predictions; `predictions` has one row for each.
        watched: rows (positions in `work`) that every fold's model predicts as well.
        sample_weight: (n,) or None.
        seed: decides everything.
        tick: progress.
    """
    found = LibraryFit(task)
    seen = np.asarray(codes >= 0 if codes.ndim == 1 else (codes >= 0).any(axis=1))
    rows = np.flatnonzero(seen)
    if not len(rows):
        return found
    learners = _screened(learners, task, X, codes, folds, rows, sample_weight, seed, tick, found)
    held = [int(f) for f in np.unique(folds[rows]) if f >= 0]
    judges = np.flatnonzero(seen[work] & (folds[work] >= 0))
    weight = np.ones(len(work)) if sample_weight is None else sample_weight[work]
    for learner in learners:
        tick(task.name, learner.key)
        p = np.tile(np.asarray(rate, np.float64), (len(work), 1))
        watch: dict[int, Floats] = {}
        for fold in held:
            train = rows[folds[rows] != fold]
            model = _fit(learner, task, X, codes, train, sample_weight, seed)
            inside = np.flatnonzero(seen[work] & (folds[work] == fold))
            both = model.predict(X[work[np.concatenate([inside, watched])]])
            p[inside] = both[: len(inside)]
            watch[fold] = both[len(inside) :]
        found.predictions[learner.key], found.by_fold[learner.key] = p, watch
    kept = list(learners)
    if len(judges) >= SURE and len(kept) > 1:
        own = own_labels(task, codes[work], judges, weight)
        weights = stack_weights(task, [found.predictions[k.key] for k in kept], own)[1]
        for learner, w in zip(list(kept), weights, strict=True):
            if w < LEAST_WEIGHT:
                kept.remove(learner)
                found.left_out[learner.key] = f"weight {w:.3f} on held-out labels"
    rest = np.flatnonzero(~seen[work])
    for learner in kept:
        model = _fit(learner, task, X, codes, rows, sample_weight, seed)
        found.models[learner.key] = model
        found.predictions[learner.key][rest] = model.predict(X[work[rest]])
    found.keys = [learner.key for learner in kept]
    return found


def stack_weights(
    task: Task, predictions: Sequence[Floats], judged: Judged
) -> tuple[list[float], Floats]:
    """Return the temperature and the mixture weight of every learner.

    Args:
        task: the task.
        predictions: of each learner, (n, W) for all rows that `judged` counts in.
        judged: the rows that judge, none of which the predictions were fitted to.
    """
    if not predictions:
        return [], np.zeros(0)
    parts = [p[judged.rows] for p in predictions]
    temperatures = [fit_temperature(task, p, judged) for p in parts]
    if len(parts) == 1 or not len(judged.rows):
        return temperatures, np.full(len(parts), 1 / len(parts))
    fits = [
        judged.likelihood(tempered(task, p, t)) for p, t in zip(parts, temperatures, strict=True)
    ]
    return temperatures, mixture_weights(np.stack(fits, axis=1), judged.weight)


def combine(
    task: Task, predictions: Sequence[Floats], temperatures: Sequence[float], weights: Floats
) -> Floats:
    """Return the mixture of several learners' predictions."""
    return np.asarray(
        sum(
            w * tempered(task, p, t)
            for p, t, w in zip(predictions, temperatures, weights, strict=True)
        )
    )


def applicable(
    learners: Sequence[Learner], size: Size, seconds: float
) -> tuple[list[Learner], dict[str, str]]:
    """Return the learners for a task's size within a budget, and why the others are left out.

    The time of a fit is the learner's fixed model, so a budget leaves out the same learners on
    every machine. The costliest go first; two always stay, of many classes one.

    Args:
        learners: all.
        size: the size of the problem.
        seconds: the budget of the task.
    """
    kept, left_out = [], {}
    for learner in learners:
        reason = learner.reason_against(size)
        if reason is None:
            kept.append(learner)
        else:
            left_out[learner.key] = reason
    if not kept and learners:
        # better one that is not made for it than none
        kept, left_out = [learners[0]], {k: r for k, r in left_out.items() if k != learners[0].key}
    fits = (fold_count(size.rows) + 1) * size.elements
    cost = {k.key: fits * k.seconds(size.cut(k.most_rows)) for k in kept}
    least = 2 if size.classes < MANY_CLASSES else 1
    while len(kept) > least and sum(cost[k.key] for k in kept) > seconds:
        costliest = max(kept, key=lambda k: cost[k.key])
        if not cost[costliest.key]:
            break
        kept.remove(costliest)
        left_out[costliest.key] = f"about {cost[costliest.key]:.0f} s, over the budget"
    return kept, left_out


def _screened(
    learners: Sequence[Learner],
    task: Task,
    X: Floats,
    codes: Codes,
    folds: Rows,
    rows: Rows,
    sample_weight: Floats | None,
    seed: int,
    tick: Tick,
    found: LibraryFit,
) -> Sequence[Learner]:
    """Return the learners that do well enough in a small round to enter a large one."""
    if len(rows) < SCREENED or len(learners) <= 2:
        return learners
    rng = np.random.default_rng(seed)
    inside, outside = rows[folds[rows] == 0], rows[folds[rows] != 0]
    if len(inside) < 50:
        return learners
    train = np.sort(rng.choice(outside, min(SCREEN_ROWS, len(outside)), replace=False))
    judges = np.sort(rng.choice(inside, min(SCREEN_JUDGES, len(inside)), replace=False))
    predictions = []
    for learner in learners:
        tick(task.name, f"{learner.key} (screening)")
        model = _fit(learner, task, X, codes, train, sample_weight, seed)
        predictions.append(model.predict(X[judges]))
    own = own_labels(task, codes[judges], np.arange(len(judges)), np.ones(len(judges)))
    weights = stack_weights(task, predictions, own)[1]
    order = np.argsort(-weights, kind="stable")
    kept = {int(i) for i in order[:SCREEN_KEPT] if weights[i] >= SCREEN_WEIGHT} or {int(order[0])}
    if len(rows) >= MAIN_FROM:
        kept |= {i for i, k in enumerate(learners) if k.key == "boosting"}
    for i, learner in enumerate(learners):
        if i not in kept:
            found.left_out[learner.key] = f"weight {weights[i]:.3f} in a round of {len(train)} rows"
    return [learner for i, learner in enumerate(learners) if i in kept]


def _fit(
    learner: Learner,
    task: Task,
    X: Floats,
    codes: Codes,
    rows: Rows,
    sample_weight: Floats | None,
    seed: int,
) -> TaskModel:
    weight = None if sample_weight is None else sample_weight[rows]
    return fit_task(learner, task, X[rows], codes[rows], sample_weight=weight, seed=seed)
