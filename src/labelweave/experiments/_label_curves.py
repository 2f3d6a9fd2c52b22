"""Label curves of a study: the tasks alone on fewer labels, and on hidden ones if any.

A point of the curve is the study's baseline on a split with fewer labels, and so a run like any
other: found by its content, resumed, trained in the same pool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave._messages import Message
from labelweave.annotations import Annotations
from labelweave.data._label_masking import label_order, only_rows
from labelweave.evaluation._comparison import Replicates
from labelweave.evaluation._label_curves import LabelCurve, interval, mean_draws
from labelweave.experiments._config import StudyConfig
from labelweave.fitting._split import Rows, Split
from labelweave.results import CurvePoint, MeanInterval, TaskLabelCurve

LEAST = 2  # labels of a point
MORE = (2, 4, 10)  # times the labels, where hidden ones exist; then all of them
BEYOND = 10  # times today's labels, how far the fit may go on
DRAWN = 40  # points of the smooth curve in results


@dataclass(frozen=True)
class CurveSplit:
    """A split with other numbers of labels.

    Attributes:
        share: of every task's labels; infinity = all hidden ones as well.
        labels: by task the number of labelled training rows.
        split: the data, with these tasks only.
    """

    share: float
    labels: Mapping[str, int]
    split: Split


def curve_splits(split: Split, shares: Sequence[float]) -> list[CurveSplit]:
    """Return the splits of a seed's label curves, without the one of today's labels.

    The labels of a smaller share are among those of a larger one. Left out are points of fewer
    than two labels, of as many as another one, and "all" where these are hardly more.

    Args:
        split: the data of the seed.
        shares: shares of the labels, above 0 and at most 1.
    """
    labels, hidden = split.train.annotations, split.everything
    orders: dict[str, NDArray[np.int64]] = {}
    has: dict[str, int] = {}
    for task in labels.tasks:
        name = task.name
        now = labels.labelled(name)
        orders[name] = label_order(labels, name, np.flatnonzero(now), split.source, split.seed)
        has[name] = len(orders[name])
        if hidden is not None:
            more = np.flatnonzero(hidden.labelled(name) & ~now)
            rest = label_order(hidden, name, more, split.source, split.seed)
            orders[name] = np.concatenate([orders[name], rest])
    found: list[CurveSplit] = []
    taken = {name: {count} for name, count in has.items()}
    for share in (*sorted(set(shares)), *MORE, np.inf):
        chosen: dict[str, NDArray[np.int64]] = {}
        for name, order in orders.items():
            size = len(order) if share == np.inf else round(share * has[name])
            useful = size >= 1.25 * max(taken[name]) if share == np.inf else size <= len(order)
            if useful and size >= LEAST and size not in taken[name]:
                chosen[name] = order[:size]
                taken[name].add(size)
        if chosen:
            counts = {name: len(rows) for name, rows in chosen.items()}
            found.append(CurveSplit(float(share), counts, _with_labels(split, chosen)))
    return found


def _with_labels(split: Split, chosen: Mapping[str, NDArray[np.int64]]) -> Split:
    known = split.train.annotations if split.everything is None else split.everything
    tasks = tuple(task for task in known.tasks if task.name in chosen)
    codes = {name: only_rows(known.labels[name], rows) for name, rows in chosen.items()}
    thinned = replace(split.train, annotations=Annotations(tasks, codes))
    validation, test = (_of_tasks(rows, chosen) for rows in (split.validation, split.test))
    return replace(
        split, train=thinned, validation=validation, test=test, everything=None, relations=()
    )


def _of_tasks(rows: Rows, names: Mapping[str, Any]) -> Rows:
    return replace(rows, annotations=rows.annotations.only(list(names)))


@dataclass(frozen=True)
class Point:
    """A measured point of a task's label curve: labels (a mean over seeds), share and metrics."""

    labels: float
    share: float
    measured: Replicates


@dataclass(frozen=True)
class TaskCurve:
    """A task's label curve, and where the joint method stands on it.

    Attributes:
        points: the measured points, labels rising, today's among them.
        has: labels in the training rows now.
        curve: the curves of all draws; the first is that of the measured means.
        joint: the joint method's metrics.
        draws: the joint method's metric in every draw, (D,).
        needed: labels that the task alone would need to match it, (D,); may be infinite.
    """

    points: tuple[Point, ...]
    has: int
    curve: LabelCurve
    joint: Replicates
    draws: NDArray[np.float64]
    needed: NDArray[np.float64]

    @property
    def saved(self) -> NDArray[np.float64]:
        """Labels that the joint method saves in every draw, (D,); negative where it is worse."""
        return self.needed - self.has


def task_curve(points: Sequence[Point], joint: Replicates) -> TaskCurve:
    """Return a task's label curve; one of `points` has share 1, today's labels."""
    points = sorted(points, key=lambda point: point.labels)
    metric = joint.main_metric
    now = next(i for i, point in enumerate(points) if point.share == 1)
    labels = np.array([point.labels for point in points])
    drawn = [_draws(point.measured, metric) for point in points]
    target = _draws(joint, metric)
    has = labels[now]
    curve = LabelCurve(labels, np.stack(drawn, axis=1), BEYOND * has)
    needed = curve.needed(target, drawn[now], has)
    return TaskCurve(tuple(points), round(has), curve, joint, target, needed)


def _draws(measured: Replicates, metric: str) -> NDArray[np.float64]:
    return mean_draws(measured.values[metric], measured.replicates[metric], measured.folds)


def shown_curve(found: TaskCurve, method: str, config: StudyConfig) -> TaskLabelCurve:
    """Return a task's label curve as results hold it."""
    level, metric = config.statistics.level, found.joint.main_metric
    joint = found.joint.summary(level)[metric]
    needed = float(found.needed[0])
    low, high = interval(found.needed, level)
    last = found.points[-1].labels
    end = max(last, min(found.curve.limit, needed * 1.2))
    grid = np.geomspace(found.points[0].labels, end, DRAWN)
    smooth = found.curve(grid)[0]
    points = []
    for point in found.points:
        value = point.measured.summary(level)[metric]
        share = point.labels / found.has
        points.append(
            CurvePoint(
                point.labels, round(share, 4), value.mean, value.low, value.high, value.seeds
            )
        )
    reached = np.isfinite(needed)
    return TaskLabelCurve(
        metric=metric,
        method=method,
        has=found.has,
        points=tuple(points),
        fit=tuple((float(n), float(v)) for n, v in zip(grid, smooth, strict=True)),
        joint=MeanInterval(joint.mean, joint.low, joint.high),
        needed=MeanInterval(needed if reached else None, low, high),
        beyond=None if reached and high is not None else found.curve.limit,
        saved=mean_saved(found.saved, level),
        note=_note(found, needed, last),
    )


def mean_saved(draws: NDArray[np.float64], level: float) -> MeanInterval | None:
    """Return mean and interval of the labels saved; None where the mean is beyond the limit."""
    if not np.isfinite(draws[0]):
        return None
    low, high = interval(draws, level)
    return MeanInterval(float(draws[0]), low, high)


def total_saved(
    curves: Mapping[str, TaskCurve], weights: Mapping[str, float], level: float
) -> MeanInterval | None:
    """Return mean and interval of what is saved on the tasks where that is shown; None = on none.

    Shown is a saving whose interval does not hold 0; other tasks count nothing, for noise over many
    tasks would add up to a saving. A task whose curve never reaches the joint method counts as far
    as the curve may go on.

    Args:
        curves: by task its label curve.
        weights: by task what a label counts; tasks left out count nothing.
        level: that of the intervals.
    """
    used = [name for name in tasks_that_save(curves, level) if name in weights]
    if not used:
        return None
    total = np.sum([weights[name] * curves[name].saved for name in used], axis=0)
    least = [
        weights[name] * (min(curves[name].needed[0], curves[name].curve.limit) - curves[name].has)
        for name in used
    ]
    low, high = interval(total, level)
    return MeanInterval(float(sum(least)), low, high)


def tasks_that_save(curves: Mapping[str, TaskCurve], level: float) -> list[str]:
    """Return the tasks on which the interval of what is saved does not hold 0."""
    found = []
    for name, curve in curves.items():
        low, high = interval(curve.saved, level)
        if (low is None or low > 0) or (high is not None and high < 0):
            found.append(name)
    return found


def _note(found: TaskCurve, needed: float, last: float) -> Message:
    if len(found.points) == 1:
        return Message("curves.one_point")
    if not np.isfinite(needed):
        return Message("curves.not_reached", {"labels": float(found.curve.limit)})
    if needed > last:
        return Message("curves.beyond", {"labels": float(last)})
    if needed <= found.points[0].labels:
        return Message("curves.reached_first", {"labels": float(found.points[0].labels)})
    return Message("curves.within")
