"""Relations as a graph over tasks, thinned so that no evidence is counted twice.

A table couples both of its tasks: through it the source informs the target, and a label of the
target informs the source. The reversed relation holds the same joint distribution once more, and
round a cycle of tasks a prediction comes back to where it started, or reaches a task on two ways;
either way it counts twice and the network grows surer than the data are. In a forest there is one
way between two tasks. Of all forests, the one of the greatest total information is the best
approximation of the joint distribution (Chow and Liu, "Approximating discrete probability
distributions with dependence trees", 1968), and adding relations by descending weight finds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from labelweave._messages import Message, Text
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations._evidence import Evidence
from labelweave.tasks import Task


class TaskLink(Protocol):
    """What the forest looks at: two tasks and a name."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> Task: ...
    @property
    def target(self) -> Task: ...


R = TypeVar("R", bound=TaskLink)


def acyclic(
    relations: Sequence[R], weights: Mapping[str, float]
) -> tuple[list[R], dict[str, Text]]:
    """Keep the relations that form the forest of the greatest total weight.

    Args:
        relations: at most one of a name.
        weights: by the relation's name, how informative it is: `Evidence.information` times its
            trust.
            Of equal weights the first relation wins; a weight of 0 or below is left out.

    Returns:
        The kept relations in their order, and by name the reason for every one left out.

    Raises:
        LabelweaveError: a relation without a weight, or two of one name.
    """
    names = [relation.name for relation in relations]
    for name in names:
        if name not in weights:
            raise LabelweaveError(
                f"relation {name}: found no weight for it, expected one next to "
                f"{listing(weights)}{nearest(name, weights)}"
            )
        if names.count(name) > 1:
            raise LabelweaveError(
                f"relation {name}: given {names.count(name)} times, expected once"
            )
    links: dict[str, list[str]] = {}
    left_out: dict[str, Text] = {}
    for relation in sorted(relations, key=lambda r: -weights[r.name]):
        source, target = relation.source.name, relation.target.name
        way = _way(links, source, target)
        if not weights[relation.name] > 0:
            left_out[relation.name] = Message("message.no_weight")
        elif way:
            left_out[relation.name] = Message(
                "message.counts_twice", {"source": source, "target": target, "way": " - ".join(way)}
            )
        else:
            links.setdefault(source, []).append(target)
            links.setdefault(target, []).append(source)
    return [relation for relation in relations if relation.name not in left_out], left_out


def _way(links: Mapping[str, Sequence[str]], start: str, end: str) -> list[str]:
    """Return the tasks on the way from one to another, or an empty list."""
    open_ways = [[start]]
    reached = {start}
    while open_ways:
        way = open_ways.pop()
        if way[-1] == end:
            return way
        for task in links.get(way[-1], ()):
            if task not in reached:
                reached.add(task)
                open_ways.append([*way, task])
    return []


WORTHWHILE = 0.1  # a third task must promise this share of the best pair's gain


@dataclass(frozen=True)
class TaskPair:
    """What one task of a related pair may gain from the other.

    Args:
        receiver: the task that gains.
        giver: the task whose labels help.
        gain: expected fall of the error's scale, 0 to 1; 0 = do not join for it.
        share: of the receiver's uncertainty that the giver removes, 0 to 1.
        labelled: rows with labels of the receiver.
        given: rows with labels of the giver alone.
        relation: the name of the relation with the best evidence, source->target.
        reason: in words.
    """

    receiver: str
    giver: str
    gain: float
    share: float
    labelled: int
    given: int
    relation: str
    reason: Text


@dataclass(frozen=True)
class Proposal:
    """With which tasks to start.

    Args:
        tasks: two or three names, those that gain first; empty when no pair gains.
        reason: in words.
        apart: by pair of tasks, why they should not be joined.
    """

    tasks: tuple[str, ...]
    reason: Text
    apart: Mapping[tuple[str, str], Text]


def rank_pairs(annotations: Annotations, evidence: Sequence[Evidence]) -> list[TaskPair]:
    """Rank ordered pairs of tasks by expected gain, the greatest first.

    Args:
        annotations: the training rows' labels.
        evidence: one or more per pair of tasks; of several the one of the greatest information
            counts. Only those that hold promise a gain; that of a noisy-OR counts what it adds to
            the receiver's own predictions.

    Returns:
        Two entries for every pair that has evidence, one for each receiver.

    Raises:
        LabelweaveError: evidence about a task that the annotations do not have.
    """
    best: dict[frozenset[str], Evidence] = {}
    for each in evidence:
        pair = frozenset(annotations.task(name).name for name in _tasks(each))
        if pair not in best or each.information > best[pair].information:
            best[pair] = each
    pairs = [
        _pair(annotations, receiver, giver, each)
        for each in best.values()
        for giver, receiver in (_tasks(each), _tasks(each)[::-1])
    ]
    return sorted(pairs, key=lambda pair: -pair.gain)


def propose(ranking: Sequence[TaskPair]) -> Proposal:
    """Propose the two or three tasks to start with, and the pairs not to join.

    The start is the pair of the greatest gain, and the third task that adds most to it when that
    is at least a tenth.

    Args:
        ranking: of `rank_pairs`.
    """
    gaining = {_both(pair) for pair in ranking if pair.gain > 0}
    apart: dict[tuple[str, str], Text] = {}
    for pair in ranking:
        if _both(pair) not in gaining:
            apart.setdefault(_both(pair), pair.reason)
    if not ranking or ranking[0].gain <= 0:
        return Proposal((), Message("message.no_gain"), apart)
    first = ranking[0]
    tasks = [first.receiver, first.giver]
    reason = first.reason
    thirds: dict[str, float] = {}
    for pair in ranking:
        outside = {pair.receiver, pair.giver} - set(tasks)
        if len(outside) == 1:
            name = outside.pop()
            thirds[name] = thirds.get(name, 0.0) + pair.gain
    third = max(thirds, key=lambda name: thirds[name], default=None)
    if third is not None and thirds[third] >= WORTHWHILE * first.gain:
        tasks.append(third)
        reason = Message(
            "message.third_adds",
            {"first": reason, "task": third, "gain": thirds[third], "of": first.gain},
        )
    return Proposal(tuple(tasks), reason, apart)


@dataclass(frozen=True)
class NextTask:
    """A task to join next.

    Args:
        task: its name.
        gain: expected gains of the pairs that it makes with the tasks before it, summed.
        reason: in words, of the best of these pairs.
    """

    task: str
    gain: float
    reason: Text


def order_tasks(ranking: Sequence[TaskPair], start: Sequence[str]) -> list[NextTask]:
    """Return all other tasks of the ranking, each time the one that adds most to those before.

    Args:
        ranking: of `rank_pairs`.
        start: the tasks joined already.
    """
    joined = list(start)
    names = dict.fromkeys(name for pair in ranking for name in (pair.receiver, pair.giver))
    left = [name for name in names if name not in joined]
    order = []
    while left:
        pairs = {name: [p for p in ranking if _adds(p, name, joined)] for name in left}
        task = max(left, key=lambda name: sum(pair.gain for pair in pairs[name]))
        best = max(pairs[task], key=lambda pair: pair.gain, default=None)
        reason = best.reason if best else Message("message.no_evidence")
        order.append(NextTask(task, sum(pair.gain for pair in pairs[task]), reason))
        joined.append(task)
        left.remove(task)
    return order


def _adds(pair: TaskPair, name: str, joined: Sequence[str]) -> bool:
    others = {pair.receiver, pair.giver} - {name}
    return len(others) == 1 and others <= set(joined)


def _both(pair: TaskPair) -> tuple[str, str]:
    first, second = sorted((pair.receiver, pair.giver))
    return first, second


def _tasks(evidence: Evidence) -> tuple[str, str]:
    source, _, target = evidence.name.partition("->")
    return source, target


def _entropy(annotations: Annotations, name: str) -> float:
    """Return the entropy of a task's base rates in nats; of several labels, the sum."""
    counts = np.atleast_2d(annotations.counts(name)) + 0.5
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(-(shares * np.log(shares)).sum())


def _pair(annotations: Annotations, receiver: str, giver: str, evidence: Evidence) -> TaskPair:
    has, gives = annotations.labelled(receiver), annotations.labelled(giver)
    labelled, given = int(has.sum()), int((gives & ~has).sum())
    share = min(1.0, evidence.information / _entropy(annotations, receiver))
    width = annotations.task(receiver).width
    gain = 0.0
    if share > 0 and given:
        # a task without any label starts from one row a class
        before = max(labelled / width, 1.0)
        gain = before**-0.5 - (before + share * given / width) ** -0.5
    if not evidence.holds:
        verdict = Message(f"evidence_verdict.{evidence.verdict}")
        reason: Text = Message(
            "message.pair_verdict",
            {"relation": evidence.name, "verdict": verdict, "reason": evidence.reason},
        )
    elif not given:
        reason = Message("message.nothing_given", {"giver": giver, "receiver": receiver})
    else:
        reason = Message(
            "message.pair_gains",
            {
                "receiver": receiver, "labels": labelled / width, "rows": given, "giver": giver,
                "share": share,
            },
        )  # fmt: skip
    return TaskPair(receiver, giver, gain, share, labelled, given, evidence.name, reason)
