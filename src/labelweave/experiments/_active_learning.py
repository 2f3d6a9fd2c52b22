"""Which labels to buy next: the tasks by expected gain per price, and the rows to label first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._files import write_csv
from labelweave._messages import Message
from labelweave.data import Collection
from labelweave.evaluation._label_curves import interval
from labelweave.experiments._label_curves import TaskCurve
from labelweave.experiments._sections import PricesSection
from labelweave.fitting._split import Split
from labelweave.relations._operations import multiply_in
from labelweave.results import MeanInterval, PlannedTask
from labelweave.tasks import Multiclass, Task

POOL = 2000  # rows of the highest scores that are looked at, at least
TIMES = 10  # and so many times the rows that are wanted
KNOWN = 5000  # labelled rows that are looked at, evenly
CELLS = 5_000_000  # rows times columns of all tasks, predicted at a time

Floats = NDArray[np.floating]


def spread_out(score: Floats, features: Floats, known: Floats, count: int) -> NDArray[np.int64]:
    """Return rows in the order to label them, each the one of the greatest score times distance.

    The distance is to the nearest row that is labelled or chosen already: rows that the model is
    unsure of for the same reason are close together, and labelling one informs the others (the
    k-center of Sener and Savarese, "Active learning for convolutional neural networks: a core-set
    approach", ICLR 2018, with a weight a row).

    Args:
        score: (n,), not negative; how informative a row's label would be alone.
        features: (n, d) what the network makes of the rows.
        known: (m, d) the same of the rows that are labelled.
        count: how many rows to choose.
    """
    pool = np.argsort(-score, kind="stable")[: max(POOL, TIMES * count)]
    x, gain = np.asarray(features[pool], np.float64), np.array(score[pool], np.float64)
    nearest = np.full(len(pool), np.inf)
    known = np.asarray(known, np.float64)
    for row in known[np.linspace(0, len(known) - 1, min(len(known), KNOWN)).astype(int)]:
        nearest = np.minimum(nearest, _distance(x, row))
    if not len(known):
        nearest[:] = 1.0
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        value = gain * nearest
        value[chosen] = -1.0
        chosen.append(int(np.argmax(value)))
        nearest = np.minimum(nearest, _distance(x, x[chosen[-1]]))
    return pool[chosen]


def _distance(x: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(((x - row) ** 2).sum(axis=1)))


STEP = 100  # labels that a gain is reported for
ROWS_FILE = "label_next.csv"
COLUMNS = ["source", "row", "task", "score", "why"]
TINY = 1e-12
Probabilities = Mapping[str, NDArray[np.floating[Any]]]


def task_plan(
    curves: Mapping[str, TaskCurve], prices: PricesSection | None, level: float
) -> tuple[PlannedTask, ...]:
    """Return what 100 more labels of each task are expected to gain, the best buy first.

    The joint network stands where a single-task network with `needed` labels does; it is taken to
    gain from 100 more labels what that one would. By gain per price where every task has a price,
    else by gain.
    """
    given = prices.label if prices else {}
    tasks = []
    for name, found in curves.items():
        start = np.clip(found.needed, found.points[0].labels, found.curve.limit)
        gains = _gains(found, start)
        low, high = interval(gains, level)
        price = given.get(name)
        mean = float(gains[0])
        tasks.append(
            PlannedTask(
                task=name,
                rank=0,
                labels_now=found.has,
                gain_per_100=MeanInterval(mean, low, high),
                price=price,
                gain_per_price=mean / (STEP * price) if price else None,
                reason=Message("plan.why", {"labels": STEP, "points": 100 * mean}),
            )
        )
    tasks.sort(key=worth(tasks), reverse=True)
    return tuple(replace(task, rank=rank) for rank, task in enumerate(tasks, start=1))


def worth(tasks: Sequence[PlannedTask]) -> Callable[[PlannedTask], float]:
    """Return what tasks are ordered by: gain per price where every task has a price, else gain."""
    priced = all(task.gain_per_price is not None for task in tasks)
    return lambda task: (task.gain_per_price if priced else task.gain_per_100.mean) or 0.0


def _gains(found: TaskCurve, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return in every draw what 100 labels from `start` on gain, (D,)."""
    grid = np.geomspace(float(start.min()), float(start.max()) + STEP, 200)
    curves = found.curve(grid)
    pairs = zip(curves, start, strict=True)
    ends = np.array([np.interp([n, n + STEP], grid, curve) for curve, n in pairs])
    return np.asarray(ends[:, 1] - ends[:, 0])


class RowScores(NamedTuple):
    """How uncertain one task is on n rows: 0 on those with its label.

    Attributes:
        entropy: (n,) mean entropy of the probabilities over that of the uniform distribution.
        disagreement: (n,) how far they are from what they become once the other tasks'
            predictions are multiplied in through the relations: the Jensen-Shannon divergence over
            its largest value.
        unknown: (n,) entropy, in nats, after that; of several labels their sum.
    """

    entropy: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    unknown: NDArray[np.float64]


def row_scores(
    split: Split, predict: Callable[[slice], Probabilities], *, at_once: bool = False
) -> dict[str, RowScores]:
    """Return by task how uncertain it is on every training row, some rows predicted at a time.

    Args:
        split: the data; its relations are those that hold.
        predict: gives of some training rows (m, W) probabilities by task.
        at_once: call it once, with all rows.
    """
    labels = split.train.annotations
    found = {task.name: RowScores(*np.zeros((3, len(labels)))) for task in labels.tasks}
    step = len(labels) if at_once else max(1, CELLS // sum(task.width for task in labels.tasks))
    for start in range(0, len(labels), max(1, step)):
        rows = slice(start, start + step)
        given = predict(rows)
        combined = multiply_in(given, split.relations)
        for task in labels.tasks:
            free = ~labels.labelled(task.name)[rows]
            own = np.asarray(given[task.name], np.float64)[free]
            for values, part in zip(
                found[task.name],
                _scores(own, np.asarray(combined[task.name], np.float64)[free], task),
                strict=True,
            ):
                values[rows][free] = part
    return found


def _scores(own: NDArray[np.float64], combined: NDArray[np.float64], task: Task) -> RowScores:
    multiclass = isinstance(task, Multiclass)
    most = _most(own, multiclass)
    entropy, other = _entropy(own, multiclass), _entropy(combined, multiclass)
    mixed = _entropy((own + combined) / 2, multiclass)
    disagreement = (mixed - (entropy + other) / 2) * most / np.log(2)
    elements = 1 if multiclass else task.width
    return RowScores(np.clip(entropy, 0, 1), np.clip(disagreement, 0, 1), other * most * elements)


def rows_to_label(
    split: Split,
    scores: Mapping[str, RowScores],
    features: NDArray[np.floating[Any]],
    collection: Collection,
    wanted: Mapping[str, float],
    count: int,
) -> pd.DataFrame:
    """Return the training rows to label first: source, row of its file, task, score and why.

    The score, 0 to 1, is the larger of two: ``entropy`` and ``disagreement`` (`RowScores`). Of the
    rows with high scores those are named that are unlike the labelled ones and each other
    (`spread_out`), in the order to label them. Tasks share the rows in proportion to their expected
    gain. Nothing else about a row is written.

    Args:
        split: the data.
        scores: of the training rows, by task (`row_scores`).
        features: of the training rows, (n, d): what the network makes of them.
        collection: all rows.
        wanted: by task a weight, not negative; all 0 = equal.
        count: number of rows, of all tasks together.
    """
    parts = []
    free = {name: int((~split.train.annotations.labelled(name)).sum()) for name in wanted}
    for name, size in _allotted(wanted, free, count).items():
        labelled = split.train.annotations.labelled(name)
        rows = np.flatnonzero(~labelled)
        entropy, disagreement = scores[name].entropy[rows], scores[name].disagreement[rows]
        score = np.maximum(entropy, disagreement)
        first = spread_out(score, features[rows], features[labelled], size)
        place = split.train.index[rows[first]]
        source = collection.source[place]
        parts.append(
            pd.DataFrame(
                {
                    "source": np.array(collection.names, dtype=object)[source],
                    "row": collection.numbers[place],
                    "task": name,
                    "score": score[first].round(4),
                    "why": np.where(disagreement > entropy, "disagreement", "entropy")[first],
                }
            )
        )
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def left_uncertain(split: Split, scores: Mapping[str, RowScores]) -> dict[str, float]:
    """Return by task a weight for `rows_to_label`: what the relations leave unknown.

    It is the mean entropy, in nats, of the rows without the task's label, once the predictions of
    related tasks are multiplied in. A task that others determine gets little, a task of many
    classes much.

    Args:
        split: the data.
        scores: of the training rows, by task (`row_scores`).
    """
    free = {name: ~split.train.annotations.labelled(name) for name in scores}
    return {
        name: float(found.unknown[free[name]].mean()) if free[name].any() else 0.0
        for name, found in scores.items()
    }


def write_rows(table: pd.DataFrame, folder: Path, *, formulas: bool = False) -> Path:
    """Write ``label_next.csv`` to a folder; return its path. For `formulas` see `csv_text`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / ROWS_FILE, table, formulas=formulas)
    return folder / ROWS_FILE


def _allotted(wanted: Mapping[str, float], free: Mapping[str, int], count: int) -> dict[str, int]:
    """Return how many rows each task gets, none more than it has; in the order of `wanted`."""
    names = [name for name in wanted if free[name]]
    weights = np.array([max(wanted[name], 0.0) for name in names])
    if not weights.any():
        weights = np.ones(len(names))
    got = dict.fromkeys(names, 0)
    left = count
    for _ in names:  # what a task cannot take goes to the others
        able = [i for i, name in enumerate(names) if got[name] < free[name] and weights[i] > 0]
        if not left or not able:
            break
        shares = weights[able] / weights[able].sum() * left
        whole = np.floor(shares).astype(int)
        whole[np.argsort(-(shares - whole), kind="stable")[: left - whole.sum()]] += 1
        for i, more in zip(able, whole, strict=True):
            taken = min(int(more), free[names[i]] - got[names[i]])
            got[names[i]] += taken
            left -= taken
    return {name: size for name, size in got.items() if size}


def _most(p: NDArray[np.float64], multiclass: bool) -> float:
    return float(np.log(max(p.shape[1], 2))) if multiclass else float(np.log(2))


def _entropy(p: NDArray[np.float64], multiclass: bool) -> NDArray[np.float64]:
    """Return the entropy over the largest possible, (n,); of several labels, their mean."""
    if multiclass:
        total = -(p * np.log(np.maximum(p, TINY))).sum(axis=1)
    else:
        off = 1 - p
        each = p * np.log(np.maximum(p, TINY)) + off * np.log(np.maximum(off, TINY))
        total = -each.mean(axis=1)
    return np.asarray(total / _most(p, multiclass))
