"""The joint posterior of related tasks: exact sum-product on a forest of relations.

p(s, o | x) is proportional to p(s|x) p(o|x) (T[s, o] / pi_o)^lambda for every relation s -> o
(docs/explanation/coupling.md, step 2): the exponent is the pointwise mutual information of
both labels, so priors count once. On a forest, messages (Pearl, 1988, chapter 4) give
the exact marginals.

Every task is one variable. A multiclass task has its classes as states. A multilabel task with one
relation, as its target, is split into its labels, each a leaf. Any other multilabel task
(several relations, or the causes of a noisy-OR) has all combinations of its labels as states.

The strength lambda and the base rates pi may differ by direction: a message to a task uses those
towards it, and so does that task's marginal. With equal ones, all marginals are those of one joint
distribution.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations import AnyRelation, NoisyOr
from labelweave.tasks import Multiclass, Task, one_hot

Floats = NDArray[np.float64]
Probabilities = Mapping[str, NDArray[np.floating]]

TINY = 1e-12
HUB = 16  # relations of a task from which its belief is summed once, not for each of them
MOST_LABELS = 10  # of a task whose label combinations are states
MANY_STATES = 256  # from so many on, labels are taken in groups
GROUP, FEW_ROWS = 3, 16  # labels of a group; for fewer rows its tables would cost too much
TOGETHER = 5  # groups whose factors are multiplied before a logarithm; a label's is .02 to 1e6
CELLS = 1 << 18  # of a matrix of rows and states that is worked on at a time: stays in a cache
TABLE_CELLS = 1 << 23  # of the tables of all groups that are held at a time
SMOOTHING = 0.02  # share of the base rate in every table: nothing is impossible


@dataclass(frozen=True, eq=False)
class Link:
    """A relation as the posterior uses it.

    Attributes:
        source: the source task.
        target: the target task.
        table: (S, C) or (S, L): P(target class, or label on | source state), smoothed.
        known: (S, C) or (S, L): unknown entries say nothing.
        to_source: lambda of the message to the source.
        to_target: lambda of the message to the target.
        target_rate: (C,) or (L,), base rate in messages to the source: of the target's labels.
        spoken_rate: the same in messages to the target: what the table gives at the source's rate.
    """

    source: Task
    target: Task
    table: Floats
    known: NDArray[np.bool_]
    to_source: float
    to_target: float
    target_rate: Floats
    spoken_rate: Floats

    @property
    def name(self) -> str:
        """The relation's name, ``source->target``."""
        return f"{self.source.name}->{self.target.name}"

    def with_strengths(self, to_source: float, to_target: float) -> "Link":
        """Return the link with other strengths."""
        return replace(self, to_source=float(to_source), to_target=float(to_target))

    def ends(self) -> tuple[str, str]:
        """Return the names of both tasks."""
        return self.source.name, self.target.name

    def log_ratio(self, towards: str) -> tuple[Floats, Floats | None]:
        """Return log(T / pi), and for a multilabel target log((1 - T) / (1 - pi)) as well."""
        rate = self.target_rate if towards == self.source.name else self.spoken_rate
        on = np.where(self.known, np.log(self.table) - np.log(rate), 0.0)
        if isinstance(self.target, Multiclass):
            return on, None
        return on, np.where(self.known, np.log1p(-self.table) - np.log1p(-rate), 0.0)

    @cached_property
    def source_ratios(self) -> tuple[Floats, Floats]:
        """Of a multilabel target T / pi and (1 - T) / (1 - pi) to the power `to_source`, (L, S)."""
        return self._ratios(self.source.name, self.to_source)

    @cached_property
    def target_ratios(self) -> tuple[Floats, Floats]:
        """The same by the rates towards the target and to the power `to_target`, (L, S)."""
        return self._ratios(self.target.name, self.to_target)

    def _ratios(self, towards: str, strength: float) -> tuple[Floats, Floats]:
        on, off = self.log_ratio(towards)
        assert off is not None
        return np.exp(strength * on.T), np.exp(strength * off.T)


def make_link(relation: AnyRelation, rates: Mapping[str, Floats]) -> Link:
    """Return a relation as a link with both strengths 1.

    Args:
        relation: a table or a noisy-OR.
        rates: per task the class shares (K,), or the label-on shares (L,), that its predictions
            are for; none 0 or 1.
    """
    source, target = relation.source, relation.target
    rate = np.asarray(rates[target.name], np.float64)
    if isinstance(relation, NoisyOr):
        states = combinations(source.width)
        table = relation.predict(states)
        # where a cause of unknown weight is on, the relation says nothing
        known = (states @ (~relation.mask) == 0) & relation.spoken
        prior = state_shares(source, rates[source.name], joint=True)
    else:
        known, prior = relation.mask, np.asarray(rates[source.name], np.float64)
        table = relation.table if known.all() else relation.filled()
    table = (1 - SMOOTHING) * table + SMOOTHING * rate
    spoken = prior @ np.where(known, table, rate)
    return Link(source, target, table, known, 1.0, 1.0, rate, spoken)


def mixed(links: Sequence[Link], shares: Sequence[float]) -> Link:
    """Return one link between the same tasks whose table is the weighted mean of several.

    An entry that only some of them know is the mean of these.

    Args:
        links: the links.
        shares: their weights, which sum to 1; those of next to no weight are left out.
    """
    used = [(link, share) for link, share in zip(links, shares, strict=True) if share > 1e-3]
    if len(used) == 1:
        return used[0][0]
    weight = np.array([share * link.known for link, share in used])
    known = np.any([link.known for link, _ in used], axis=0)
    mass = np.maximum(weight.sum(axis=0), TINY)
    table = (weight * np.array([link.table for link, _ in used])).sum(axis=0) / mass
    first = used[0][0]
    total = sum(share for _, share in used)
    spoken = np.sum([share / total * link.spoken_rate for link, share in used], axis=0)
    return replace(
        first, table=np.where(known, table, first.table), known=known, spoken_rate=spoken
    )


def combinations(labels: int) -> Floats:
    """Return all combinations of binary labels, (2^L, L) of 0 and 1."""
    return ((np.arange(2**labels)[:, None] >> np.arange(labels)) & 1).astype(np.float64)


def state_shares(task: Task, rate: Floats, *, joint: bool) -> Floats:
    """Return the shares of a task's states, its labels being independent of each other."""
    if not joint or isinstance(task, Multiclass):
        return np.asarray(rate, np.float64)
    states = combinations(task.width)
    return np.asarray(np.prod(np.where(states == 1, rate, 1 - rate), axis=1))


def as_states(tasks: Sequence[Task], links: Sequence[Link]) -> frozenset[str]:
    """Return the multilabel tasks whose label combinations are states.

    Raises:
        LabelweaveError: one of them has too many labels; `too_wide` says so beforehand.
    """
    return frozenset(_wide([(link.source, link.target) for link in links]))


def too_wide(relations: Sequence[AnyRelation | Link]) -> list[str]:
    """Return the tasks that have more relations than an exact posterior can hold.

    They have over 10 labels, and several relations or a noisy-OR of which they are the causes.
    """
    joint = _wide([(r.source, r.target) for r in relations])
    tasks = {t.name: t for r in relations for t in (r.source, r.target)}
    return sorted(name for name in joint if tasks[name].width > MOST_LABELS)


def _wide(pairs: Sequence[tuple[Task, Task]]) -> set[str]:
    count: dict[str, int] = {}
    for pair in pairs:
        for task in pair:
            count[task.name] = count.get(task.name, 0) + 1
    sources = {source.name for source, _ in pairs if not isinstance(source, Multiclass)}
    targets = {target.name for _, target in pairs if not isinstance(target, Multiclass)}
    return sources | {name for name in targets if count[name] > 1}


def joint_posterior(
    probabilities: Probabilities,
    links: Sequence[Link],
    evidence: Annotations | None = None,
    *,
    only: str | None = None,
) -> dict[str, Floats]:
    """Return every task's marginals under the joint distribution of all tasks.

    Args:
        probabilities: per task (n, K) class or (n, L) label-on probabilities of each task alone.
        links: the relations; a forest over the tasks.
        evidence: labels that are known for certain, of the same n rows.
        only: the task whose marginals are asked for: those of others are not computed, nor the
            messages that go away from it; None = all.

    Returns:
        The marginals, in the same shapes; tasks without a relation are unchanged. A known label
        has probability 1, and informs the others.

    Raises:
        LabelweaveError: the links go round a cycle, or a task is too wide (see `too_wide`).
    """
    used = [link for link in links if set(link.ends()) <= probabilities.keys()]
    return _Forest(probabilities, used, evidence).marginals(only)


class _Forest:
    def __init__(
        self, probabilities: Probabilities, links: Sequence[Link], evidence: Annotations | None
    ) -> None:
        self.links = links
        self.given = {name: np.asarray(p, np.float64) for name, p in probabilities.items()}
        self.tasks = {t.name: t for link in links for t in (link.source, link.target)}
        self.around: dict[str, dict[str, Link]] = {name: {} for name in self.tasks}
        for link in links:
            self.around[link.source.name][link.target.name] = link
            self.around[link.target.name][link.source.name] = link
        self.joint = as_states(list(self.tasks.values()), links)
        self._check()
        if evidence is not None:
            for name in self.given:
                self.given[name] = _clamped(self.given[name], evidence.labels.get(name))
        self.log_p = {
            name: log_states(task, self.given[name], name in self.joint)
            for name, task in self.tasks.items()
            if not self._falls_apart(name)
        }
        self.sent: dict[tuple[str, str], Floats] = {}
        self.totals: dict[str, Floats] = {}

    def _falls_apart(self, name: str) -> bool:
        return not isinstance(self.tasks[name], Multiclass) and name not in self.joint

    def _check(self) -> None:
        wide = [name for name in sorted(self.joint) if self.tasks[name].width > MOST_LABELS]
        if wide:
            raise LabelweaveError(
                f"coupling: task '{wide[0]}' has {self.tasks[wide[0]].width} labels and several "
                f"relations, expected at most {MOST_LABELS} labels"
            )
        root = {name: name for name in self.tasks}

        def top(name: str) -> str:
            while root[name] != name:
                name = root[name]
            return name

        for link in self.links:
            source, target = map(top, link.ends())
            if source == target:
                raise LabelweaveError(
                    f"coupling: relation {link.name} closes a cycle, expected a forest"
                )
            root[source] = target

    def marginals(self, only: str | None) -> dict[str, Floats]:
        result = dict(self.given) if only is None else {only: self.given[only]}
        for sender, receiver in self._order(only):
            if not self._falls_apart(receiver):
                self._message(sender, receiver)
        for name, task in self.tasks.items():
            if only not in (None, name):
                continue
            if self._falls_apart(name):
                result[name] = self._labels(name)
            else:
                states = softmax(self._belief(name, None), axis=1)
                result[name] = states_to_labels(task, states, name in self.joint)
        return result

    def _belief(self, name: str, without: str | None) -> Floats:
        """Return the log belief of a task's states from all sides but one, (n, S)."""
        others = self.around[name]
        if without is not None and len(others) > HUB and (without, name) in self.sent:
            if name not in self.totals:
                self.totals[name] = self._belief(name, None)
            return np.asarray(self.totals[name] - self.sent[without, name])
        total = self.log_p[name]
        for other in others:
            if other != without:
                total = total + self._message(other, name)
        return total

    def _order(self, only: str | None) -> list[tuple[str, str]]:
        """Return (sender, receiver) so that each message comes after those it is made of.

        With `only`, these are the messages towards one task.
        """
        up: list[tuple[str, str]] = []
        seen: set[str] = set()
        for root in self.tasks if only is None else {only} & self.tasks.keys():
            waiting = [root] if root not in seen else []
            seen.add(root)
            while waiting:
                name = waiting.pop()
                new = [other for other in self.around[name] if other not in seen]
                seen.update(new)
                up += [(other, name) for other in new]
                waiting += new
        return up[::-1] + ([(b, a) for a, b in up] if only is None else [])

    def _message(self, sender: str, receiver: str) -> Floats:
        if (sender, receiver) not in self.sent:
            link = self.around[sender][receiver]
            if self._falls_apart(sender):
                self.sent[sender, receiver] = label_message(link, self.given[sender])
            else:
                belief = softmax(self._belief(sender, receiver), axis=1)
                self.sent[sender, receiver] = state_message(
                    link, belief, receiver, receiver in self.joint, sender in self.joint
                )
        return self.sent[sender, receiver]

    def _labels(self, name: str) -> Floats:
        """Return the marginals of a task split into labels: its labels inform each other."""
        link = next(link for link in self.links if name in link.ends())
        own = self.given[name]
        belief = self._belief(link.source.name, None)
        return np.asarray(expit(_log_odds(own) + others_odds(link, own, belief)))


def state_message(
    link: Link, belief: Floats, receiver: str, receiver_joint: bool, sender_joint: bool
) -> Floats:
    """Return the log message between two variables, (n, S of the receiver).

    Args:
        link: the relation.
        belief: (n, S) normalised belief of the sender's states.
        receiver: the name of the receiving task.
        receiver_joint: whether its label combinations are states.
        sender_joint: the same of the sender.
    """
    to_source = receiver == link.source.name
    on, off = link.log_ratio(receiver)
    joint = sender_joint if to_source else receiver_joint
    if off is not None and joint:
        states = combinations(link.target.width)
        log_table = on @ states.T + off @ (1 - states).T
    elif off is None:
        log_table = on
    else:
        raise AssertionError("split labels send through label_message")
    strength = link.to_source if to_source else link.to_target
    table = np.exp(strength * log_table)
    return np.asarray(np.log(np.maximum(belief @ (table.T if to_source else table), TINY)))


def label_message(link: Link, p: Floats) -> Floats:
    """Return the log message of all labels of a multilabel target to the source, (n, S).

    The sum over labels of log(p T[s, on] + (1 - p) T[s, off]), each T by its base rate.

    Args:
        link: the relation.
        p: (n, L) label-on probabilities.
    """
    total = np.zeros((len(p), len(link.table)))
    if _one_by_one(link, p):
        for rows, factors in _factors(link, p):
            for factor in factors:
                total[rows] += np.log(factor)
        return total
    for groups in _groups(link, p):
        for rows in _row_chunks(link, p):
            product, factor = np.empty((2, *total[rows].shape))
            for first in range(0, len(groups), TOGETHER):
                product[:] = 1.0
                for group in groups[first : first + TOGETHER]:
                    product *= group.message(rows, factor)
                total[rows] += np.log(product, out=product)
    return total


def others_odds(link: Link, p: Floats, belief: Floats) -> Floats:
    """Return what the source and the other labels add to the log-odds of each label, (n, L).

    Args:
        link: a relation with a multilabel target.
        p: (n, L) label-on probabilities.
        belief: (n, S) log belief of the source's states, by the messages of all labels; each
            label's own is taken back.
    """
    found = np.empty(p.shape)
    if _one_by_one(link, p):
        up, down = link.target_ratios
        for rows, factors in _factors(link, p):
            for j, factor in enumerate(factors):
                others = softmax(belief[rows] - np.log(factor), axis=1)
                found[rows, j] = _log(others @ up[j]) - _log(others @ down[j])
        return found
    for groups in _groups(link, p):
        for rows in _row_chunks(link, p):
            whole = softmax(belief[rows], axis=1)
            rest = np.empty(whole.shape)
            for group in groups:
                np.divide(whole, group.message(rows, rest), out=rest)
                found[rows, group.labels] = group.odds(rows, rest)
    return found


def label_odds(link: Link, belief: Floats) -> Floats:
    """Return what the source's belief (n, S) adds to the log-odds of each label, (n, L)."""
    up, down = link.target_ratios
    odds = [_log(belief @ a) - _log(belief @ b) for a, b in zip(up, down, strict=True)]
    return np.stack(odds, axis=1)


def _one_by_one(link: Link, p: Floats) -> bool:
    """Return whether labels are taken one by one: the tables of groups would cost more."""
    return len(link.table) < MANY_STATES or len(p) < FEW_ROWS


def _row_chunks(link: Link, p: Floats) -> list[slice]:
    """Return some rows at a time, so that a matrix of rows and states stays in a cache."""
    step = max(1, CELLS // len(link.table))
    return [slice(first, first + step) for first in range(0, len(p), step)]


def _factors(link: Link, p: Floats) -> Iterator[tuple[slice, Iterator[Floats]]]:
    """Return some rows at a time, and for each label its message to the source, (rows, S)."""
    on, off = link.source_ratios

    def of(rows: slice) -> Iterator[Floats]:
        part = np.ascontiguousarray(p[rows].T)
        factor, rest = np.empty((2, part.shape[1], len(link.table)))
        for j, column in enumerate(part):
            np.multiply.outer(column, on[j], out=factor)
            factor += np.multiply.outer(1 - column, off[j], out=rest)
            yield np.maximum(factor, TINY, out=factor)

    for rows in _row_chunks(link, p):
        yield rows, of(rows)


class _Group:
    """A few labels as one variable: all combinations of them, as columns of matrix products.

    Their messages to the source multiply to sum_c P(c) prod_j T[s, c_j]: one product of (n, C) and
    (C, S), instead of a pass over rows x states for each label. All summands are positive, so that
    nothing is lost to rounding.
    """

    def __init__(self, labels: slice, p: Floats, link: Link) -> None:
        self.labels, self.link = labels, link
        self.mine = p[:, labels].T
        self.chances = np.ascontiguousarray(_products(self.mine, 1 - self.mine).T)
        self.on, self.off = (ratio[labels] for ratio in link.source_ratios)
        self.table = _products(self.on, self.off)
        self.rest = [np.arange(len(self.mine)) != j for j in range(len(self.mine))]

    @cached_property
    def others(self) -> Floats:
        """For each label the chances of the combinations of the others, (n, g, C / 2)."""
        parts = [_products(self.mine[k], 1 - self.mine[k]).T for k in self.rest]
        return np.stack(parts, axis=1)

    @cached_property
    def back(self) -> Floats:
        """The tables of these combinations with the label on, and with it off, (S, 2 g C / 2)."""
        tables = [_products(self.on[k], self.off[k]) for k in self.rest]
        sides = [
            ratio[self.labels][j] * table
            for ratio in self.link.target_ratios
            for j, table in enumerate(tables)
        ]
        return np.ascontiguousarray(np.concatenate(sides).T)

    def message(self, rows: slice, out: Floats) -> Floats:
        """Return the product of the labels' messages to the source, (rows, S), in `out`."""
        return np.matmul(self.chances[rows], self.table, out=out)

    def odds(self, rows: slice, rest: Floats) -> Floats:
        """Return what the source and all other labels add to each label's log-odds, (rows, g).

        Args:
            rows: whose.
            rest: (rows, S) belief of the source's states, without the messages of these labels.
        """
        others = self.others[rows]
        sums = (rest @ self.back).reshape(len(rest), 2, *others.shape[1:])
        on, off = _log((sums * others[:, None]).sum(axis=3)).swapaxes(0, 1)
        return np.asarray(on - off)


def _groups(link: Link, p: Floats) -> Iterator[list[_Group]]:
    """Return the labels in groups, as many at a time as their tables may take."""
    columns = 2**GROUP * (1 + GROUP)
    step = GROUP * max(1, TABLE_CELLS // (columns * len(link.table)))
    for start in range(0, p.shape[1], step):
        firsts = range(start, min(start + step, p.shape[1]), GROUP)
        yield [_Group(slice(j, j + GROUP), p, link) for j in firsts]


def _products(on: Floats, off: Floats) -> Floats:
    """Return the products of one of two values of each label, (2^g, m), of (g, m) each."""
    found = np.ones((1, on.shape[1]))
    for one, other in zip(on, off, strict=True):
        found = np.concatenate([found * other, found * one])
    return found


def _log(values: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(values, TINY)))


def log_states(task: Task, p: Floats, joint: bool) -> Floats:
    """Return the log-probabilities of a task's states, (n, S)."""
    if isinstance(task, Multiclass):
        return np.log(np.maximum(p, TINY))
    assert joint
    states = combinations(task.width)
    log_on, log_off = np.log(np.maximum(p, TINY)), np.log(np.maximum(1 - p, TINY))
    return np.asarray(log_on @ states.T + log_off @ (1 - states).T)


def states_to_labels(task: Task, states: Floats, joint: bool) -> Floats:
    """Return class or label-on probabilities from those of the states."""
    if not joint or isinstance(task, Multiclass):
        return states
    return np.asarray(np.clip(states @ combinations(task.width), 0.0, 1.0))


def _clamped(p: Floats, codes: NDArray[np.integer] | None) -> Floats:
    if codes is None:
        return p
    if codes.ndim == 1:
        return np.where((codes >= 0)[:, None], one_hot(codes, p.shape[1]), p)
    return np.where(codes >= 0, codes.astype(np.float64), p)


def _log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, TINY, 1 - TINY)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
