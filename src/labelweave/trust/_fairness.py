"""Fairness: what a model does to each group of a named column, with intervals.

A group here is a part of the rows, such as a sex or a site; rows that belong together, such as
those of a person, are the `groups` of `Predictions`, and are drawn together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labelweave.errors import LabelweaveError, listing
from labelweave.evaluation._metrics import CalibrationError
from labelweave.evaluation._questions import Floats, Probabilities
from labelweave.evaluation._top_classes import likeliest
from labelweave.results import Check, MeanInterval
from labelweave.tasks import Multiclass, Task
from labelweave.trust._predictions import Predictions
from labelweave.trust._resampling import Resampling, ends
from labelweave.trust._sets import segment_names

LEAST_CELL = 10  # labelled elements below which no figure is shown
LEAST_COMPARED = 20  # labelled elements below which nothing is concluded, as in a study
REPLICATES = 1_000
Goal = Literal["selection", "recall"]
METRICS = ("accuracy", "selection", "recall", "false_alarms", "ece")


@dataclass(frozen=True, eq=False)
class FairnessReport:
    """What a model does to each group.

    Attributes:
        column: the name of the column that the groups come from.
        groups: a line for each question, class, metric and group: ``question``, ``class`` (empty
            where the metric is of all classes), ``metric``, ``group``, ``value``, ``low``, ``high``
            and ``n``, the labelled elements; value and interval are None where n is below 10.
        gaps: a line for each question, class and metric: the ``lowest`` and the ``highest`` group,
            their ``gap`` and its interval ``low``, ``high``.
        sizes: rows of each group.
    """

    column: str
    groups: pd.DataFrame
    gaps: pd.DataFrame
    sizes: Mapping[str, int]

    def checks(self) -> tuple[Check, ...]:
        """Return what a study's report shows of it: the accuracy of each task in each group."""
        lines = self.groups[self.groups["metric"] == "accuracy"].to_dict("records")
        return tuple(
            Check(
                f"{line['question']}, {line['group']}",
                None if pd.isna(line["value"])
                else MeanInterval(line["value"], line["low"], line["high"]),
                int(line["n"]) if line["n"] >= LEAST_CELL else None,
            )
            for line in lines
        )  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """Return everything JSON-able; sizes below 10 as None."""
        frames = {"groups": self.groups, "gaps": self.gaps}
        return {
            "column": self.column,
            "sizes": {n: size if size >= LEAST_CELL else None for n, size in self.sizes.items()},
            **{key: _records(frame) for key, frame in frames.items()},
        }


def fairness(
    rows: Predictions,
    by: ArrayLike,
    *,
    column: str = "group",
    replicates: int = REPLICATES,
    level: float = 0.95,
    seed: int = 0,
) -> FairnessReport:
    """Return metrics of each group of rows, and the gaps between groups, with intervals.

    - ``accuracy`` and ``ece`` of each task and each label.
    - for each class (of a label: on): ``selection``, the share of labelled rows predicted so;
      ``recall``, the share of those that are so (equal recalls are equal opportunity: Hardt, Price
      and Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016); and
      ``false_alarms``, the share of those that are not.

    Intervals are percentiles of a bootstrap over the rows' `groups`. A gap is that of the lowest
    and the highest group as found, so its interval is a little too high. Cells of fewer than 10
    labelled elements are not shown.

    Args:
        rows: labelled rows that the model was not trained on.
        by: (n,) the group of every row; missing ones are left out.
        column: its name.
        replicates: number of resamplings.
        level: coverage of the intervals.
        seed: of the resamplings.

    Raises:
        LabelweaveError: another number of groups than rows, or no group.
    """
    names = np.array(segment_names(by, len(rows)), dtype=object)
    groups = sorted({name for name in names if name is not None})
    if not groups:
        raise LabelweaveError(f"column '{column}': found no group, expected at least one")
    draws = Resampling(rows.group_codes, replicates, seed)
    cells: list[dict[str, object]] = []
    gaps: list[dict[str, object]] = []
    for question in _questions(rows):
        for metric, word, hit, base in question.shares():
            drawn, values = {}, {}
            for name in groups:
                inside = base * (names == name)
                n = int(inside.sum())
                line = _head(question.name, word, metric) | {"group": name}
                if n < LEAST_CELL:
                    cells.append(line | {"value": None, "low": None, "high": None, "n": n})
                    continue
                values[name] = float((hit * inside).sum() / n)
                drawn[name] = draws.means(hit, inside)
                cells.append(line | _interval(values[name], drawn[name], level) | {"n": n})
            gaps += _gap(_head(question.name, word, metric), values, drawn, level)
        drawn, values = {}, {}
        for name in groups:
            seen = np.flatnonzero((question.codes >= 0) & (names == name))
            line = _head(question.name, "", "ece") | {"group": name}
            if len(seen) < LEAST_CELL:
                cells.append(line | {"value": None, "low": None, "high": None, "n": len(seen)})
                continue
            error = CalibrationError(
                question.sure[seen], question.right[seen], np.arange(len(seen)), len(seen)
            )
            values[name] = float(error(np.ones((len(seen), 1)))[0])
            drawn[name] = draws.errors(error, seen)
            cells.append(line | _interval(values[name], drawn[name], level) | {"n": len(seen)})
        gaps += _gap(_head(question.name, "", "ece"), values, drawn, level)
    sizes = {name: int((names == name).sum()) for name in groups}
    return FairnessReport(column, _frame(cells, CELLS), _frame(gaps, GAPS), sizes)


CELLS = ("question", "class", "metric", "group", "value", "low", "high", "n")
GAPS = ("question", "class", "metric", "lowest", "highest", "gap", "low", "high")


@dataclass(frozen=True, eq=False)
class _Question:
    """A task, or a label, on n rows: predicted and true codes, and what calibration looks at."""

    name: str
    words: Sequence[str]
    predicted: NDArray[np.int64]
    codes: NDArray[np.int64]
    sure: Floats
    right: Floats

    def shares(self) -> list[tuple[str, str, Floats, Floats]]:
        """Return metric, class, and for each row whether it is a hit and whether it counts."""
        seen = (self.codes >= 0).astype(np.float64)
        found = [("accuracy", "", (self.predicted == self.codes).astype(np.float64), seen)]
        # of off and on, one says it all
        for code in range(len(self.words)) if len(self.words) > 2 else [1]:
            chosen = (self.predicted == code).astype(np.float64)
            so = seen * (self.codes == code)
            word = str(self.words[code])
            found += [("selection", word, chosen, seen), ("recall", word, chosen, so),
                      ("false_alarms", word, chosen, seen - so)]  # fmt: skip
        return found


def _questions(rows: Predictions) -> list[_Question]:
    found = []
    for task in rows.tasks:
        p, codes = rows.probabilities[task.name], rows.labels(task.name)
        if isinstance(task, Multiclass):
            best, highest = likeliest(p)
            right = (best == codes).astype(np.float64)
            found.append(_Question(task.name, task.names, best, codes, highest, right))
            continue
        on = (p >= np.asarray(rows.thresholds.get(task.name, 0.5))).astype(np.int64)
        for j, label in enumerate(task.names):
            name = task.name if task.width == 1 else f"{task.name}={label}"
            right = codes[:, j].astype(np.float64)
            found.append(_Question(name, ("off", "on"), on[:, j], codes[:, j], p[:, j], right))
    return found


def _head(question: str, word: str, metric: str) -> dict[str, object]:
    return {"question": question, "class": word, "metric": metric}


def _interval(value: float, drawn: Floats, level: float) -> dict[str, object]:
    low, high = ends(drawn, level)
    return {"value": value, "low": low, "high": high}


def _gap(
    head: dict[str, object],
    values: Mapping[str, float],
    drawn: Mapping[str, Floats],
    level: float,
) -> list[dict[str, object]]:
    if len(values) < 2:
        return []
    lowest, highest = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    low, high = ends(drawn[highest] - drawn[lowest], level)
    gap = values[highest] - values[lowest]
    return [
        head | {"lowest": lowest, "highest": highest, "gap": gap, "low": float(low),
                "high": float(high)}
    ]  # fmt: skip


def _frame(lines: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    made = pd.DataFrame(list(lines), columns=list(columns))
    return made.astype({name: float for name in ("value", "gap", "low", "high") if name in columns})


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    clean = frame.astype(object).where(frame.notna(), None)
    found: list[dict[str, object]] = clean.to_dict("records")  # type: ignore[assignment]
    for line in found:
        if isinstance(line.get("n"), int) and int(str(line["n"])) < LEAST_CELL:
            line["n"] = None
    return found


def compare_groups(
    joint: Predictions,
    single: Predictions,
    by: ArrayLike,
    *,
    replicates: int = REPLICATES,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Return for each group what joining the tasks changed: a mean gain may hurt a group.

    The difference is that of accuracy, joint minus single. Intervals hold together over all lines
    (Bonferroni); an interval below 0 is negative transfer for that group.

    Args:
        joint: what the joint model gives for labelled rows.
        single: what models of the single tasks give for the same rows.
        by: (n,) the group of every row; missing ones are left out.
        replicates: number of resamplings, paired.
        level: coverage of all intervals together.
        seed: of the resamplings.

    Returns:
        Columns ``question``, ``group``, ``single``, ``joint``, ``difference``, ``low``, ``high``,
        ``n`` and ``verdict``: gain, no difference, negative transfer, or not enough data, which
        it is below 20 labelled elements; below 10 no figure is shown.

    Raises:
        LabelweaveError: other rows or labels.
    """
    names = np.array(segment_names(by, len(joint)), dtype=object)
    groups = sorted({name for name in names if name is not None})
    pairs = list(zip(_questions(joint), _questions(single), strict=False))
    if len(joint) != len(single) or any(
        a.name != b.name or not np.array_equal(a.codes, b.codes) for a, b in pairs
    ):
        raise LabelweaveError("single: found other rows or labels than in joint, expected the same")
    draws = Resampling(joint.group_codes, replicates, seed)
    each = 1 - (1 - level) / max(1, len(groups) * len(pairs))
    lines: list[dict[str, object]] = []
    for after, before in pairs:
        for name in groups:
            base = ((after.codes >= 0) & (names == name)).astype(np.float64)
            n = int(base.sum())
            line: dict[str, object] = {"question": after.name, "group": name, "n": n}
            if n < LEAST_CELL:
                lines.append(line | {"verdict": "not enough data"})
                continue
            hits = [(q.predicted == q.codes).astype(np.float64) for q in (before, after)]
            shares = [float((hit * base).sum() / n) for hit in hits]
            low, high = draws.interval(hits[1] - hits[0], base, each)
            word = "no difference" if low <= 0 <= high else ""
            word = word or ("gain" if low > 0 else "negative transfer")
            lines.append(
                line | {"single": shares[0], "joint": shares[1], "low": low, "high": high,
                        "difference": shares[1] - shares[0],
                        "verdict": word if n >= LEAST_COMPARED else "not enough data"}
            )  # fmt: skip
    columns = ["question", "group", "single", "joint", "difference", "low", "high", "n", "verdict"]
    return pd.DataFrame(lines, columns=columns)


@dataclass(frozen=True, eq=False)
class GroupThresholds:
    """Thresholds of each group; made by `fit_group_thresholds`.

    Attributes:
        task: a task with one yes-or-no question: binary, or of two classes (the second is yes).
        cuts: per group the probability from which the answer is yes; ``None`` = any other group.
    """

    task: Task
    cuts: Mapping[str | None, float]

    def predict(self, probabilities: Probabilities, by: ArrayLike) -> NDArray[np.int64]:
        """Return the answers, (n,): 1 = yes.

        Args:
            probabilities: what `predict_proba` gives.
            by: (n,) the group of every row.
        """
        p = np.asarray(probabilities[self.task.name], np.float64)[:, -1]
        names = segment_names(by, len(p))
        cuts = np.array([self.cuts.get(name, self.cuts[None]) for name in names])
        return (p >= cuts).astype(np.int64)


def fit_group_thresholds(
    rows: Predictions, name: str, by: ArrayLike, goal: Goal = "recall"
) -> GroupThresholds:
    """Return thresholds that give every group the rate that all rows have together.

    Whether groups may be treated by different thresholds is a question of law and purpose, not of
    statistics.

    Args:
        rows: labelled rows that the model was not trained on; other rows must measure the result.
        name: a binary task, or one of two classes.
        by: (n,) the group of every row.
        goal: ``selection`` = equal shares of yes, ``recall`` = equal shares of yes among those
            that are so (equal opportunity).

    Raises:
        LabelweaveError: a task of several questions, an unknown goal, or no row to go by.
    """
    task = rows.annotations.task(name)
    if task.width != (2 if isinstance(task, Multiclass) else 1):
        raise LabelweaveError(
            f"task '{name}': found {task.width} classes or labels, expected one yes-or-no question"
        )
    if goal not in ("selection", "recall"):
        raise LabelweaveError(f"goal: found '{goal}', expected {listing(['selection', 'recall'])}")
    p, codes = np.asarray(rows.probabilities[name])[:, -1], rows.labels(name).reshape(-1)
    cut = 0.5 if isinstance(task, Multiclass) else float(rows.thresholds.get(name, [0.5])[0])
    counts = codes >= 0 if goal == "selection" else codes == 1
    if not counts.any():
        raise LabelweaveError(f"task '{name}': found no row to equal the {goal} on")
    rate = float((p[counts] >= cut).mean())
    names = np.array(segment_names(by, len(rows)), dtype=object)
    cuts: dict[str | None, float] = {None: cut}
    for group in sorted({n for n in names if n is not None}):
        mine = np.sort(p[counts & (names == group)])[::-1]
        if len(mine) >= LEAST_CELL:
            chosen = round(rate * len(mine))
            above = mine[chosen - 1] if chosen else 1.0
            below = mine[chosen] if chosen < len(mine) else 0.0
            cuts[group] = float((above + below) / 2)
    return GroupThresholds(task, cuts)
