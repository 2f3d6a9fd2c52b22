"""The joint distribution of related tasks over a forest of relations: best, total, all above.

``p(y | x)`` is proportional to the product of every task's probability and, for each relation
s -> o, of ``(T[s, o] / pi_o)^lambda`` (docs/explanation/coupling.md, step 2). Max-product gives the
jointly most likely answer, sum-product the total, and bounds from max-product let a search list all
answers above a probability without a detour. An answer that an exact table excludes has
probability 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from labelweave.coupling._posterior import (
    SMOOTHING,
    TINY,
    Link,
    as_states,
    combinations,
    log_states,
    make_link,
    too_wide,
)
from labelweave.errors import LabelweaveError, listing
from labelweave.evaluation._questions import Floats
from labelweave.fitting._stack import StackModel
from labelweave.model import EncodedPredictor
from labelweave.relations import AnyRelation
from labelweave.relations._graph import acyclic
from labelweave.tasks import Binary, Multiclass, Task
from labelweave.trust._predictions import AnyModel, Predictions, classifier_of, predictor_of

States = NDArray[np.int64]

CHUNK = 2**22  # numbers held at a time
MOST_LISTED = 1_000  # answers of one row
LEAST_RATE = 1e-6
LOWEST = -1e6  # log-probability of any answer that no table excludes


@dataclass(frozen=True, eq=False)
class Variable:
    """A task as one variable, or one label of a multilabel task.

    Attributes:
        task: the task.
        label: the place of the label; None = the whole task.
        joint: whether the states are combinations of the task's labels.
    """

    task: Task
    label: int | None = None
    joint: bool = False

    @property
    def name(self) -> str:
        """The task's name, or ``task=label``."""
        if self.label is None or isinstance(self.task, Binary):
            return self.task.name
        return f"{self.task.name}={self.task.names[self.label]}"

    @property
    def size(self) -> int:
        """The number of states."""
        if self.label is not None:
            return 2
        return 2**self.task.width if self.joint else self.task.width

    def log_p(self, probabilities: Mapping[str, NDArray[Any]]) -> Floats:
        """Return the log-probabilities of the states, (n, S)."""
        p = np.asarray(probabilities[self.task.name], np.float64)
        if self.label is not None:
            on = p[:, self.label]
            return np.log(np.maximum(np.stack([1 - on, on], axis=1), TINY))
        return log_states(self.task, p, self.joint)

    def states_of(self, codes: NDArray[Any]) -> States:
        """Return the state of every row from the task's codes; -1 where a part is missing."""
        if self.label is not None:
            return np.asarray(codes[:, self.label], np.int64)
        if not self.joint:
            return np.asarray(codes, np.int64)
        whole = (codes >= 0).all(axis=1)
        return np.where(whole, np.maximum(codes, 0) @ (2 ** np.arange(self.task.width)), -1)


@dataclass(frozen=True, eq=False)
class _Edge:
    """A relation between two variables: log factors (parent states, child states)."""

    parent: int
    child: int
    log_table: Floats


class RelationTree:
    """Tasks that relations connect, without a cycle.

    Args:
        links: the relations of one connected part.
        exact: whether answers are impossible where a table says 0; otherwise they are unlikely.

    Raises:
        LabelweaveError: exact tables exclude every answer.
    """

    def __init__(self, links: Sequence[Link], *, exact: bool = True) -> None:
        self.links, self.exact = tuple(links), exact
        tasks = {t.name: t for link in links for t in (link.source, link.target)}
        self.tasks = tuple(tasks.values())
        joint = as_states(self.tasks, links)
        self.variables: list[Variable] = []
        place: dict[tuple[str, int | None], int] = {}
        for task in self.tasks:
            split = not isinstance(task, Multiclass) and task.name not in joint
            for label in range(task.width) if split else (None,):
                place[task.name, label] = len(self.variables)
                self.variables.append(Variable(task, label, task.name in joint))
        pairs: list[tuple[int, int, Floats]] = []
        for link in links:
            source = place[link.source.name, None]
            if (link.target.name, None) in place:
                target = place[link.target.name, None]
                pairs.append((source, target, _table(link, exact, link.target.name in joint)))
            else:
                pairs += [
                    (source, place[link.target.name, j], table)
                    for j, table in enumerate(_label_tables(link, exact))
                ]
        self.edges = _rooted(pairs, len(self.variables))
        alike = {t.name: np.full((1, t.width), 1 / t.width) for t in self.tasks}
        if not np.isfinite(self.log_total(alike)[0]):
            raise LabelweaveError(
                f"{listing(link.name for link in links)}: found exact tables that exclude "
                "every answer together, expected at least one that all of them allow"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the tasks."""
        return tuple(task.name for task in self.tasks)

    def states_of(self, labels: Mapping[str, NDArray[Any]]) -> States:
        """Return the states of all variables, (n, V), of label codes; -1 = missing."""
        found = [v.states_of(np.asarray(labels[v.task.name])) for v in self.variables]
        return np.stack(found, axis=1)

    def log_probability(self, probabilities: Mapping[str, NDArray[Any]], states: States) -> Floats:
        """Return the log joint probability of states (n, V), -inf where a table excludes them."""
        own = self._log_p(probabilities)
        rows = np.arange(len(states))
        total = np.sum([p[rows, states[:, v]] for v, p in enumerate(own)], axis=0)
        for edge in self.edges:
            total = total + edge.log_table[states[:, edge.parent], states[:, edge.child]]
        return np.asarray(total - self.log_total(probabilities))

    def log_total(self, probabilities: Mapping[str, NDArray[Any]]) -> Floats:
        """Return the log of the sum over all answers, (n,)."""
        up = self._upward(self._log_p(probabilities), best=False)
        return np.asarray(logsumexp(up[0], axis=1))

    def best(self, probabilities: Mapping[str, NDArray[Any]]) -> States:
        """Return the jointly most likely states, (n, V), by max-product."""
        up = self._upward(self._log_p(probabilities), best=True)
        n = len(up[0])
        found = np.zeros((n, len(self.variables)), np.int64)
        found[:, 0] = up[0].argmax(axis=1)
        for edge in self.edges:
            scores = edge.log_table[found[:, edge.parent]] + up[edge.child]
            found[:, edge.child] = scores.argmax(axis=1)
        return found

    def above(
        self,
        probabilities: Mapping[str, NDArray[Any]],
        floors: Floats,
        most: int = MOST_LISTED,
    ) -> list[tuple[States, Floats, bool]]:
        """Return for each row all states (m, V) of at least a log-probability, the likeliest first.

        Args:
            probabilities: per task (n, K) or (n, L).
            floors: (n,) log-probabilities.
            most: at most so many a row, of the many that there may be.

        Returns:
            Per row the states, their log-probabilities (m,), and whether these are all.
        """
        up = self._upward(self._log_p(probabilities), best=True)
        total = self.log_total(probabilities)
        return [
            self._search([u[i] for u in up], float(total[i]), float(floors[i]), most)
            for i in range(len(total))
        ]

    def among(
        self,
        probabilities: Mapping[str, NDArray[Any]],
        floors: Floats,
        always: States,
        most: int = MOST_LISTED,
    ) -> list[tuple[States, Floats, bool]]:
        """Return for each row the allowed states whose every part reaches its floor.

        Args:
            probabilities: per task (n, K) or (n, L).
            floors: (n, V) the least log-probability of each variable's state.
            always: (n, V) states that are let in whatever their probability.
            most: at most so many a row, the likeliest ones.
        """
        own = self._log_p(probabilities)
        rows = np.arange(len(always))
        cut = []
        for v, p in enumerate(own):
            kept = p >= floors[:, [v]]
            kept[rows, always[:, v]] = True
            cut.append(np.where(kept, p, -np.inf))
        up, total = self._upward(cut, best=True), self.log_total(probabilities)
        return [
            self._search([u[i] for u in up], float(total[i]), LOWEST, most)
            for i in range(len(total))
        ]

    def _search(
        self, up: Sequence[Floats], total: float, floor: float, most: int
    ) -> tuple[States, Floats, bool]:
        """Extend answers variable by variable, dropping those that cannot reach the floor.

        Each answer carries the log-probability of its best completion, which is exact.
        """
        floor = max(floor, LOWEST)
        root = up[0] - total
        kept = np.flatnonzero(root >= floor)
        whole = True
        answers, bound = kept[:, None], root[kept]
        for edge in self.edges:
            # children come in the order of the edges, so a parent's place is known
            place = self._places[edge.parent]
            reach = edge.log_table[answers[:, place]] + up[edge.child]
            best = reach.max(axis=1, keepdims=True)
            found = bound[:, None] + reach - best
            rows, states = np.nonzero(found >= floor)
            answers = np.concatenate([answers[rows], states[:, None]], axis=1)
            bound = found[rows, states]
            if len(bound) > most:
                first = np.argsort(-bound, kind="stable")[:most]
                answers, bound, whole = answers[first], bound[first], False
        order = np.argsort(-bound, kind="stable")
        back = [self._places[v] for v in range(len(self.variables))]
        return answers[order][:, back], bound[order], whole

    @cached_property
    def _places(self) -> dict[int, int]:
        return {0: 0} | {edge.child: i + 1 for i, edge in enumerate(self.edges)}

    def _log_p(self, probabilities: Mapping[str, NDArray[Any]]) -> list[Floats]:
        for name in self.names:
            if name not in probabilities:
                raise LabelweaveError(
                    f"probabilities: found {listing(probabilities)}, expected '{name}', too"
                )
        return [variable.log_p(probabilities) for variable in self.variables]

    def _upward(self, own: Sequence[Floats], *, best: bool) -> list[Floats]:
        """Return per variable the log belief of its states with all that lies below it."""
        up = list(own)
        for edge in reversed(self.edges):
            up[edge.parent] = up[edge.parent] + _passed(edge.log_table, up[edge.child], best)
        return up


def _passed(table: Floats, below: Floats, best: bool) -> Floats:
    """Return max or log-sum over child states of table + below, (n, parent states)."""
    if not best:
        peak = below.max(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.exp(below - peak) @ np.exp(table).T) + peak)
    step = max(1, CHUNK // table.size)
    parts = [
        (table[None] + below[i : i + step, None, :]).max(axis=2)
        for i in range(0, max(1, len(below)), step)
    ]
    return np.concatenate(parts)


def _strength(link: Link) -> float:
    return (link.to_source + link.to_target) / 2


def _table(link: Link, exact: bool, joint: bool) -> Floats:
    """Return the factors (source states, target states)."""
    on, off = link.log_ratio(link.target.name)
    never, always = _decided(link, exact)
    if off is None:
        return np.where(never, -np.inf, _strength(link) * on)
    assert joint
    states = combinations(link.target.width)
    log_table = _strength(link) * (on @ states.T + off @ (1 - states).T)
    gone = (never.astype(float) @ states.T + always.astype(float) @ (1 - states).T) > 0
    return np.where(gone, -np.inf, log_table)


def _label_tables(link: Link, exact: bool) -> list[Floats]:
    """Return the factors (source states, off and on) of every label of the target."""
    on, off = link.log_ratio(link.target.name)
    assert off is not None
    never, always = _decided(link, exact)
    up = np.where(never, -np.inf, _strength(link) * on)
    down = np.where(always, -np.inf, _strength(link) * off)
    return [np.stack([down[:, j], up[:, j]], axis=1) for j in range(on.shape[1])]


def _decided(link: Link, exact: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where a table says never, and where always: 0 and 1 before it was smoothed."""
    if not exact or not _strength(link) > 0:
        nowhere = np.zeros_like(link.known)
        return nowhere, nowhere
    lowest, highest = SMOOTHING * link.target_rate, 1 - SMOOTHING * (1 - link.target_rate)
    never = link.known & (link.table <= lowest * (1 + 1e-6))
    return never, link.known & (link.table >= highest - 1e-9)


def _rooted(pairs: Sequence[tuple[int, int, Floats]], count: int) -> list[_Edge]:
    """Return the edges from variable 0 down, parents before children."""
    seen, edges = {0}, []
    frontier = [0]
    while frontier:
        here = frontier.pop(0)
        for source, target, table in pairs:
            for parent, child, factors in ((source, target, table), (target, source, table.T)):
                if parent == here and child not in seen:
                    seen.add(child)
                    edges.append(_Edge(parent, child, factors))
                    frontier.append(child)
    assert len(seen) == count
    return edges


def relation_trees(links: Sequence[Link]) -> list[RelationTree]:
    """Return the connected parts of a forest of relations.

    Raises:
        LabelweaveError: a task has too many labels for several relations.
    """
    wide = too_wide(list(links))
    if wide:
        raise LabelweaveError(
            f"task '{wide[0]}' has too many labels for several relations, expected at most 10"
        )
    parts: list[list[Link]] = []
    for link in links:
        touching = [p for p in parts if any(set(link.ends()) & set(o.ends()) for o in p)]
        parts = [p for p in parts if p not in touching]
        parts.append([other for part in touching for other in part] + [link])
    return [RelationTree(part) for part in parts]


def links_of(relations: Sequence[AnyRelation | Link], rates: Mapping[str, Floats]) -> list[Link]:
    """Return relations as links of a forest; where they close a cycle, the weakest are left out.

    Args:
        relations: tables, noisy-ORs or links.
        rates: per task the shares of its classes (K,) or labels (L,).
    """
    given = [r for r in relations if isinstance(r, Link)]
    plain = [r for r in relations if not isinstance(r, Link)]
    kept, _ = acyclic(plain, {r.name: r.strength for r in plain})
    inside = {n: np.clip(r, LEAST_RATE, 1 - LEAST_RATE) for n, r in rates.items()}
    return [*given, *(make_link(r, inside) for r in kept)]


def shares_of(rows: Predictions) -> dict[str, Floats]:
    """Return per task the mean predicted share of every class or label."""
    return {task.name: rows.probabilities[task.name].mean(axis=0) for task in rows.tasks}


def model_relations(model: AnyModel) -> list[Link]:
    """Return the relations that a model couples its tasks by, as links; none of a model without.

    Args:
        model: a fitted classifier, or a saved model. A saved network keeps no relations.
    """
    found = predictor_of(model)
    if isinstance(found, StackModel):
        return [link for link in found.stack.links if link.to_source + link.to_target > 0]
    classifier = classifier_of(model)
    if classifier is not None and hasattr(classifier, "relations_"):
        return model_links(found, classifier.relations_)
    return []


def model_links(model: EncodedPredictor, relations: Sequence[AnyRelation]) -> list[Link]:
    """Return relations as links of a forest at a model's training prior, with their strengths.

    Args:
        model: what predicts.
        relations: tables and noisy-ORs of its tasks; one of strength 0 is left out.
    """
    priors = model.priors.get("training", {})
    rates = {t.name: priors.get(t.name, _flat(t)) for t in model.tasks}
    strengths = {each.name: each.strength for each in relations}
    links = links_of([each for each in relations if each.strength > 0], rates)
    return [each.with_strengths(*[strengths[each.name]] * 2) for each in links]


def _flat(task: Task) -> Floats:
    return np.full(task.width, 1 / task.width if isinstance(task, Multiclass) else 0.5)
