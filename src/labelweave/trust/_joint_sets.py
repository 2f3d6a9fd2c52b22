"""Conformal sets of several related tasks at once: the answers that their tables allow together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labelweave.coupling._posterior import Link, combinations
from labelweave.errors import LabelweaveError, listing
from labelweave.evaluation._questions import Floats, Probabilities
from labelweave.relations import AnyRelation
from labelweave.tasks import Multiclass, Task
from labelweave.trust._forest import (
    MOST_LISTED,
    RelationTree,
    States,
    Variable,
    links_of,
    relation_trees,
    shares_of,
)
from labelweave.trust._predictions import Predictions
from labelweave.trust._quantiles import check_coverage, conformal_threshold, least_labels
from labelweave.trust._sets import ROUNDING, Promise, Sets, mean_of, segment_names


@dataclass(frozen=True, eq=False)
class JointSets:
    """The plausible answers of n rows on related tasks.

    Attributes:
        tree: the tasks and their relations.
        states: per row the states of the variables, (m, V).
        probabilities: per row their joint probabilities, (m,).
        whole: (n,) whether all plausible answers are listed; 1,000 a row are at most.
    """

    tree: RelationTree
    states: Sequence[States]
    probabilities: Sequence[Floats]
    whole: NDArray[np.bool_]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The number of listed answers of every row, (n,)."""
        return np.array([len(found) for found in self.states], np.int64)

    def holds(self, labels: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return whether every row's set holds its labels, (n,): 1 or 0, NaN where one is missing.

        Args:
            labels: per task the codes; -1 = missing.
        """
        truth = self.tree.states_of(labels)
        found = [
            float(not all_listed or (given == row).all(axis=1).any())
            for given, row, all_listed in zip(self.states, truth, self.whole, strict=True)
        ]
        return np.where((truth >= 0).all(axis=1), found, np.nan)

    def per_task(self) -> dict[str, Sets]:
        """Return per task the classes that some plausible answer holds, as `SetRule.predict` does.

        Where not all answers are listed, every class is plausible.
        """
        found: dict[str, Sets] = {}
        n = len(self.states)
        for task in self.tree.tasks:
            multiclass = isinstance(task, Multiclass)
            shape = (n, task.width) if multiclass else (n, task.width, 2)
            block = np.zeros(shape, np.bool_)
            block[~self.whole] = True
            found[task.name] = block
        for v, variable in enumerate(self.tree.variables):
            block = found[variable.task.name]
            for i, states in enumerate(self.states):
                mine = states[:, v]
                if variable.label is not None:
                    block[i, variable.label, mine] = True
                elif variable.joint:
                    on = combinations(variable.task.width)[mine].astype(int)
                    for j in range(variable.task.width):
                        block[i, j, on[:, j]] = True
                else:
                    block[i, mine] = True
        return found

    def table(self) -> pd.DataFrame:
        """Return one line an answer: ``row`` (from 0), one column a task, ``probability``."""
        rows = np.repeat(np.arange(len(self.states)), self.sizes)
        empty = np.zeros((0, len(self.tree.variables)), np.int64)
        stacked = np.concatenate([empty, *self.states])
        columns: dict[str, Any] = {"row": rows}
        for v, variable in enumerate(self.tree.variables):
            columns |= decoded(variable, stacked[:, v])
        columns["probability"] = np.concatenate([np.zeros(0), *self.probabilities])
        return pd.DataFrame(columns)


def decoded(variable: Variable, states: States) -> dict[str, NDArray[Any]]:
    """Return the columns that the states of a variable stand for, by name."""
    task: Task = variable.task
    if isinstance(task, Multiclass):
        return {task.name: task.decode(states)}
    if variable.label is not None:
        values = task.decode(states) if task.width == 1 and hasattr(task, "decode") else states
        return {variable.name: values}
    on = combinations(task.width)[states].astype(np.int64)
    return {f"{task.name}={label}": on[:, j] for j, label in enumerate(task.names)}


@dataclass(frozen=True, eq=False)
class JointRule:
    """The threshold for sets over related tasks; made by `fit_joint_sets`.

    Attributes:
        tree: the tasks and their relations.
        coverage: the wanted share of rows whose set holds the true answer to all tasks.
        way: ``joint`` = one threshold on the joint probability, from rows with labels of all
            tasks; ``separate`` = one a task at 1 - (1 - coverage) / tasks, from any labels, and of
            the answers those that the tables allow.
        promises: whether the labels suffice.
        floors: per segment (None = all rows) the lowest log-probability that is let in; one number
            of ``joint``, (V,) of ``separate``.
    """

    tree: RelationTree
    coverage: float
    way: str
    promises: tuple[Promise, ...]
    floors: Mapping[str | None, Floats]

    @property
    def notes(self) -> list[str]:
        """The promises that cannot be given, and tables that the labels contradict, a line each."""
        found = [str(promise) for promise in self.promises if not promise.kept]
        if not self.tree.exact:
            names = listing(link.name for link in self.tree.links)
            found.append(f"{names}: labels contradict the tables; no answer is excluded by them")
        return found

    def predict(self, probabilities: Probabilities, segments: ArrayLike | None = None) -> JointSets:
        """Return the plausible answers of n rows; the jointly most likely one is always among them.

        Args:
            probabilities: per task (n, K) or (n, L), what `predict_proba` gives.
            segments: (n,) the segment of every row, where the rule was fitted with segments.

        Raises:
            LabelweaveError: no probabilities of a task, or another number of segments than rows.
        """
        given = {name: np.asarray(probabilities[name], np.float64) for name in self.tree.names}
        n = len(given[self.tree.names[0]])
        names = [None] * n if segments is None else segment_names(segments, n)
        floors = np.stack([self.floors.get(name, self.floors[None]) for name in names])
        best = self.tree.best(given)
        if self.way == "joint":
            top = self.tree.log_probability(given, best)
            found = self.tree.above(given, np.minimum(floors[:, 0], top) - ROUNDING, MOST_LISTED)
        else:
            found = self.tree.among(given, floors - ROUNDING, best, MOST_LISTED)
        return JointSets(
            self.tree,
            [states for states, _, _ in found],
            [np.exp(log_p) for _, log_p, _ in found],
            np.array([whole for _, _, whole in found], np.bool_),
        )


def fit_joint_sets(
    rows: Predictions,
    relations: Sequence[AnyRelation | Link],
    coverage: float = 0.9,
    *,
    segments: ArrayLike | None = None,
) -> list[JointRule]:
    """Return thresholds for sets of joint answers, one rule for each connected part of the tasks.

    A set holds answers to all tasks of the part together, and only those that the tables allow, so
    it is smaller than the product of separate sets. The coverage is that of the whole answer. Where
    too few rows carry labels of all tasks (`least_labels`), each task gets a threshold from its own
    labels (Bonferroni), and the tables cut the product down: these must be right then. With labels
    of all tasks, an answer that an exact table excludes counts as a miss; where there are too many
    of these, nothing is excluded any more, only unlikely. Wrong tables then make sets larger.

    Args:
        rows: labelled rows that the model was not trained on; rows of one of their `groups` count
            together as one.
        relations: tables, noisy-ORs, or what `model_relations` gives.
        coverage: between 0 and 1.
        segments: (n,) a named part of every row: each with enough labels has its own threshold.

    Raises:
        LabelweaveError: relations of other tasks than the rows have, none at all, or a coverage
            outside (0, 1).
    """
    wanted = check_coverage(coverage)
    names = {task.name for task in rows.tasks}
    for relation in relations:
        for task in (relation.source, relation.target):
            if task.name not in names:
                raise LabelweaveError(
                    f"relation {relation.name}: found no probabilities of '{task.name}'"
                )
    if not relations:
        raise LabelweaveError("relations: found none, expected at least one; see fit_sets")
    links = links_of(relations, shares_of(rows))
    return [_rule(tree, rows, wanted, segments) for tree in relation_trees(links)]


def _rule(
    tree: RelationTree, rows: Predictions, coverage: float, segments: ArrayLike | None
) -> JointRule:
    truth = tree.states_of(rows.annotations.labels)
    whole = (truth >= 0).all(axis=1)
    parts: dict[str | None, NDArray[np.bool_]] = {None: np.ones(len(rows), np.bool_)}
    if segments is not None:
        given = np.array(segment_names(segments, len(rows)), dtype=object)
        parts |= {name: given == name for name in dict.fromkeys(given.tolist()) if name is not None}
    groups, needed = rows.group_codes, least_labels(coverage)
    question = "+".join(tree.names)
    count = len(np.unique(groups[whole]))
    floors: dict[str | None, Floats] = {}
    if count >= needed:
        log_p = np.full(len(rows), -math.inf)
        kept = {name: rows.probabilities[name][whole] for name in tree.names}
        log_p[whole] = tree.log_probability(kept, truth[whole])
        promises = []
        for name, inside in parts.items():
            mine = whole & inside
            promises.append(Promise(question, _part(name), len(np.unique(groups[mine])), needed))
            if promises[-1].kept:
                cut = conformal_threshold(-log_p[mine], coverage, groups[mine])
                if tree.exact and math.isinf(cut):
                    # too many labels are impossible by the tables
                    return _rule(RelationTree(tree.links, exact=False), rows, coverage, segments)
                floors[name] = np.array([-cut])
        return JointRule(tree, coverage, "joint", tuple(promises), floors)
    each = 1 - (1 - coverage) / len(tree.variables)
    needed, promises = least_labels(each), []
    own = [variable.log_p(rows.probabilities) for variable in tree.variables]
    for name, inside in parts.items():
        found = np.full(len(tree.variables), -math.inf)
        for v, variable in enumerate(tree.variables):
            seen = np.flatnonzero((truth[:, v] >= 0) & inside)
            labels = len(np.unique(groups[seen]))
            promises.append(Promise(variable.name, _part(name), labels, needed))
            if promises[-1].kept:
                scores = -own[v][seen, truth[seen, v]]
                found[v] = -conformal_threshold(scores, each, groups[seen])
            elif name is not None:
                found[v] = floors[None][v]
        floors[name] = found
    return JointRule(tree, coverage, "separate", tuple(promises), floors)


def _part(segment: str | None) -> str:
    return "all" if segment is None else f"segment={segment}"


@dataclass(frozen=True)
class JointFigures:
    """How good joint sets are on labelled rows.

    Attributes:
        coverage: share of rows with labels of all tasks whose set holds them; None without rows.
        size: mean number of answers in a set; None without rows.
        n: rows with labels of all tasks.
    """

    coverage: float | None
    size: float | None
    n: int


def evaluate_joint_sets(rows: Predictions, sets: JointSets) -> JointFigures:
    """Return coverage and size of joint sets.

    Args:
        rows: labelled rows, new to model and rule.
        sets: what `JointRule.predict` gives for them.
    """
    held = sets.holds(rows.annotations.labels)
    seen = ~np.isnan(held)
    return JointFigures(mean_of(held[seen]), mean_of(sets.sizes), int(seen.sum()))
