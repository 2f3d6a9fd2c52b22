"""Conformal sets of one task at a time: those of its classes that are plausible for a row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.evaluation._questions import Floats, Probabilities, question_names, states
from labelweave.tasks import Multiclass, Task
from labelweave.trust._predictions import Predictions
from labelweave.trust._quantiles import (
    check_coverage,
    conformal_threshold,
    least_labels,
    share_weights,
)

Sets = NDArray[np.bool_]
MOST_SEGMENTS = 200  # more are identifiers or numbers, not groups
ROUNDING = 1e-9  # a calibration row must lie in its own set


@dataclass(frozen=True)
class Promise:
    """Whether the wanted coverage can be promised for a part of the rows.

    Attributes:
        question: the task, or one label of it.
        part: ``all`` rows, a class (``class=NAME``), or a segment (``segment=NAME``).
        labels: labelled rows (groups of rows) behind it.
        needed: how many it takes.
    """

    question: str
    part: str
    labels: int
    needed: int

    @property
    def kept(self) -> bool:
        """Whether there are enough."""
        return self.labels >= self.needed

    def __str__(self) -> str:
        if self.kept:
            return f"{self.question}, {self.part}: coverage promised by {self.labels} labels"
        return (
            f"{self.question}, {self.part}: no coverage can be promised, found {self.labels} "
            f"labels, expected at least {self.needed}"
        )


@dataclass(frozen=True, eq=False)
class SetRule:
    """Thresholds that turn probabilities into sets; made by `fit_sets`.

    Attributes:
        tasks: the tasks.
        coverage: the wanted share of rows whose set holds the truth.
        per: what the coverage is for: each ``task``, or each ``class``.
        promises: for every task and part, whether the labels suffice.
        cuts: per segment (``None`` = all rows) and question, (S,) the highest score,
            1 - P(class), that lets a class into a set.
    """

    tasks: tuple[Task, ...]
    coverage: float
    per: Literal["task", "class"]
    promises: tuple[Promise, ...]
    cuts: Mapping[str | None, Mapping[str, Floats]]

    @property
    def notes(self) -> list[str]:
        """The promises that cannot be given, a line each."""
        return [str(promise) for promise in self.promises if not promise.kept]

    def predict(
        self,
        probabilities: Probabilities,
        segments: ArrayLike | None = None,
        *,
        allow_empty: bool = False,
    ) -> dict[str, Sets]:
        """Return per task which classes are plausible.

        Args:
            probabilities: per task (n, K) or (n, L), what `predict_proba` gives.
            segments: (n,) the segment of every row, where the rule was fitted with segments; an
                unknown one gets the thresholds of all rows.
            allow_empty: leave a set empty where no class is plausible; otherwise it holds the
                likeliest class, and coverage is then above the wanted one for accurate models.

        Returns:
            (n, K) of a multiclass task; (n, L, 2) of a multilabel task, whether off and on are
            plausible.

        Raises:
            LabelweaveError: no probabilities of a task, or another number of segments than rows.
        """
        result = {}
        for task in self.tasks:
            if task.name not in probabilities:
                raise LabelweaveError(
                    f"probabilities: found {listing(probabilities)}, expected '{task.name}', too"
                )
            p = np.asarray(probabilities[task.name], np.float64)
            if p.ndim != 2 or p.shape[1] != task.width:
                raise LabelweaveError(
                    f"task '{task.name}': found probabilities of shape {p.shape}, expected (rows, "
                    f"{task.width})"
                )
            blank = np.full(p.shape[:1] if isinstance(task, Multiclass) else p.shape, -1)
            found = []
            for name, given, _ in states(task, p, blank):
                plausible = 1 - given <= self._cuts(name, len(p), segments) + ROUNDING
                if not allow_empty:
                    plausible[np.arange(len(p)), given.argmax(axis=1)] = True
                found.append(plausible)
            single = isinstance(task, Multiclass)
            result[task.name] = found[0] if single else np.stack(found, axis=1)
        return result

    def _cuts(self, question: str, n: int, segments: ArrayLike | None) -> Floats:
        general = self.cuts[None][question]
        if segments is None:
            return general
        given = segment_names(segments, n)
        known: list[Floats] = [self.cuts.get(name, self.cuts[None])[question] for name in given]
        return np.array(known).reshape(n, len(general))


def fit_sets(
    rows: Predictions,
    coverage: float = 0.9,
    *,
    per: Literal["task", "class"] = "task",
    segments: ArrayLike | None = None,
    shares: Mapping[str, ArrayLike] | None = None,
) -> SetRule:
    """Return thresholds for sets that hold the truth with the wanted probability.

    A set holds the classes of probability ``1 - threshold`` and above, which gives the smallest
    sets on average (Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with
    bounded error levels", JASA 2019). With ``per="class"`` every class has its own threshold, so
    that the promise holds for rows of each class; a class with too few labels takes the task's. All
    promises assume that new rows are drawn as the given ones are, up to the shares of the classes
    where `shares` gives them.

    Args:
        rows: labelled rows that the model was not trained on. Rows of one of their `groups` count
            together as one.
        coverage: between 0 and 1.
        per: ``task`` or ``class``.
        segments: (n,) a named part of every row, such as its site: each gets its own thresholds,
            so that the promise holds in each; None = none.
        shares: by task those of its classes, (K,), or of its labels being on, (L,), among the rows
            to predict, where the labelled ones were chosen by class; None = as among the labels.

    Raises:
        LabelweaveError: a coverage outside (0, 1), another number of segments than rows, or shares
            that do not fit a task.
    """
    wanted = check_coverage(coverage)
    known = _known_shares(rows.tasks, shares or {})
    if per not in ("task", "class"):
        raise LabelweaveError(f"per: found '{per}', expected 'task' or 'class'")
    parts: dict[str | None, NDArray[np.bool_]] = {None: np.ones(len(rows), np.bool_)}
    if segments is not None:
        given = np.array(segment_names(segments, len(rows)), dtype=object)
        parts |= {name: given == name for name in dict.fromkeys(given.tolist()) if name is not None}
    promises: list[Promise] = []
    cuts: dict[str | None, dict[str, Floats]] = {}
    for segment, inside in parts.items():
        cuts[segment] = {}
        for task in rows.tasks:
            p, codes = rows.probabilities[task.name], rows.labels(task.name)
            for name, given_p, truth in states(task, p, codes):
                mine = np.where(inside, truth, -1)
                weights = None
                if name in known:  # those of all rows: the shares in a segment are not known
                    weights = np.zeros(len(rows))
                    weights[truth >= 0] = share_weights(truth[truth >= 0], known[name])
                found, kept = _question_cuts(
                    name, given_p, mine, rows.group_codes, wanted, per, _words(task), segment,
                    weights,
                )  # fmt: skip
                if segment is not None and not kept[0].kept:
                    found = cuts[None][name]
                cuts[segment][name] = found
                promises += kept
    return SetRule(rows.tasks, wanted, per, tuple(promises), cuts)


def _words(task: Task) -> Sequence[str]:
    return task.names if isinstance(task, Multiclass) else ("off", "on")


def _known_shares(tasks: Sequence[Task], given: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """Return by question the shares of its states, of the tasks that some are given for."""
    names = [task.name for task in tasks]
    for name in given:
        if name not in names:
            raise LabelweaveError(
                f"shares: no task '{name}', expected {listing(names)}{nearest(name, names)}"
            )
    found: dict[str, Floats] = {}
    for task in tasks:
        if task.name not in given:
            continue
        shares = np.asarray(given[task.name], np.float64)
        if shares.shape != (task.width,) or not ((shares >= 0) & (shares <= 1)).all():
            raise LabelweaveError(
                f"shares of '{task.name}': expected {task.width} numbers from 0 to 1"
            )
        each = zip(question_names(task), shares, strict=False)
        found |= (
            {task.name: shares}
            if isinstance(task, Multiclass)
            else {name: np.array([1 - on, on]) for name, on in each}
        )
    return found


def _question_cuts(
    name: str,
    p: Floats,
    codes: NDArray[Any],
    groups: NDArray[np.int64],
    coverage: float,
    per: str,
    words: Sequence[str],
    segment: str | None,
    weights: Floats | None,
) -> tuple[Floats, list[Promise]]:
    """Return the thresholds of one question's classes, and the promises behind them."""
    needed = least_labels(coverage)
    seen = np.flatnonzero(codes >= 0)
    scores = 1 - p[seen, codes[seen]]
    part = "all" if segment is None else f"segment={segment}"
    promises = [Promise(name, part, len(np.unique(groups[seen])), needed)]
    counted = None if weights is None else weights[seen]
    cuts = np.full(p.shape[1], conformal_threshold(scores, coverage, groups[seen], counted))
    if per == "class":
        for code, word in enumerate(words):
            mine = codes[seen] == code
            label = f"class={word}" if segment is None else f"{part}, class={word}"
            promise = Promise(name, label, len(np.unique(groups[seen][mine])), needed)
            promises.append(promise)
            if promise.kept:
                cuts[code] = conformal_threshold(scores[mine], coverage, groups[seen][mine])
    return cuts, promises


@dataclass(frozen=True)
class SetFigures:
    """How good sets are on labelled rows.

    Attributes:
        coverage: share of labelled rows whose set holds the truth; None without labels.
        size: mean number of classes in a set; None without rows.
        single: share of sets with one class.
        empty: share of sets without a class.
        n: labelled rows.
    """

    coverage: float | None
    size: float | None
    single: float | None
    empty: float | None
    n: int


def evaluate_sets(rows: Predictions, sets: Mapping[str, Sets]) -> dict[str, SetFigures]:
    """Return coverage and size of sets by question: a task, or a label of a multilabel task.

    Args:
        rows: labelled rows, new to model and rule.
        sets: what `SetRule.predict` gives for them.
    """
    result = {}
    for task in rows.tasks:
        given = sets[task.name]
        blocks = [given] if isinstance(task, Multiclass) else [*np.moveaxis(given, 1, 0)]
        asked = states(task, rows.probabilities[task.name], rows.labels(task.name))
        for (name, _, codes), block in zip(asked, blocks, strict=True):
            seen = np.flatnonzero(codes >= 0)
            size = block.sum(axis=1)
            result[name] = SetFigures(
                mean_of(block[seen, codes[seen]]), mean_of(size), mean_of(size == 1),
                mean_of(size == 0), len(seen),
            )  # fmt: skip
    return result


def mean_of(values: NDArray[Any]) -> float | None:
    """Return the mean; None without values."""
    return float(values.mean()) if len(values) else None


def segment_names(segments: ArrayLike, n: int) -> list[str | None]:
    """Return the segment of each of n rows as text; missing ones as None.

    Raises:
        LabelweaveError: another number of segments than rows, or more than `MOST_SEGMENTS` of them.
    """
    given = np.asarray(segments, dtype=object)
    if given.shape != (n,):
        raise LabelweaveError(f"segments: found shape {given.shape}, expected ({n},)")
    names = [None if _gone(value) else str(value) for value in given.tolist()]
    if (found := len(set(names) - {None})) > MOST_SEGMENTS:
        raise LabelweaveError(
            f"groups: found {found:,} different values, expected at most {MOST_SEGMENTS}; of a "
            "number make ranges, such as 18-39, 40-64, 65+"
        )
    return names


def _gone(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
