"""The joint posterior of related tasks as tensor operations, for graphs that are exported.

The same messages as `labelweave.coupling.joint_posterior`, without labels that are known; a test
compares the two. The tasks of a tree send to its root first, then the root sends back.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from labelweave.coupling._posterior import TINY, Link, as_states, combinations
from labelweave.serving._onnx_nodes import at_least, between
from labelweave.tasks import Multiclass

Messages = Mapping[str, Tensor]


class MessageGraph(nn.Module):
    """Marginals of every task from the probabilities of each task alone.

    Args:
        links: the relations with their strengths; a forest over the tasks, as `joint_posterior`
            takes them.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        super().__init__()
        self.tasks = {task.name: task for link in links for task in (link.source, link.target)}
        self.joint = as_states(list(self.tasks.values()), links)
        self.split = {
            name
            for name, task in self.tasks.items()
            if not isinstance(task, Multiclass) and name not in self.joint
        }
        self.steps = self._outwards(links)

    def _outwards(self, links: Sequence[Link]) -> list[tuple[str, str, Link]]:
        """Return (task, the next one towards the root, their relation), roots' neighbours first."""
        around: dict[str, dict[str, Link]] = {name: {} for name in self.tasks}
        for link in links:
            source, target = link.ends()
            around[source][target] = around[target][source] = link
        steps: list[tuple[str, str, Link]] = []
        seen: set[str] = set()
        for root in (name for name in self.tasks if name not in self.split):
            waiting = [root] if root not in seen else []
            seen.add(root)
            while waiting:
                parent = waiting.pop(0)
                new = [name for name in around[parent] if name not in seen]
                seen.update(new)
                steps += [(name, parent, around[parent][name]) for name in new]
                waiting += new
        return steps

    def forward(self, given: Messages) -> dict[str, Tensor]:
        """Return the marginals, in the shapes given; tasks without a relation are unchanged.

        Args:
            given: per task (n, K) class or (n, L) label-on probabilities, float64.
        """
        belief = {n: self._log_states(n, given[n]) for n in self.tasks if n not in self.split}
        sent: dict[str, Tensor] = {}
        for child, parent, link in reversed(self.steps):
            if child in self.split:
                sent[child] = _from_labels(link, given[child])
            else:
                sent[child] = self._from_states(link, belief[child], parent)
            belief[parent] = belief[parent] + sent[child]
        result = dict(given)
        for child, parent, link in self.steps:
            if child in self.split:
                result[child] = _to_labels(link, given[child], belief[parent])
            else:
                others = belief[parent] - sent[child]
                belief[child] = belief[child] + self._from_states(link, others, child)
        for name, log_states in belief.items():
            states = log_states.softmax(dim=1)
            if name in self.joint:
                labels = torch.from_numpy(combinations(self.tasks[name].width))
                states = (states @ labels).clamp(0.0, 1.0)
            result[name] = states
        return result

    def _log_states(self, name: str, p: Tensor) -> Tensor:
        if name not in self.joint:
            return at_least(p, TINY).log()
        states = torch.from_numpy(combinations(self.tasks[name].width).T.copy())
        log_on, log_off = at_least(p, TINY).log(), at_least(1 - p, TINY).log()
        return log_on @ states + log_off @ (1 - states)

    def _from_states(self, link: Link, belief: Tensor, receiver: str) -> Tensor:
        to_source = receiver == link.source.name
        log_table, off = link.log_ratio(receiver)
        if off is not None:
            states = combinations(link.target.width)
            log_table = log_table @ states.T + off @ (1 - states).T
        strength = link.to_source if to_source else link.to_target
        table = torch.from_numpy(np.exp(strength * log_table))
        p = belief.softmax(dim=1) @ (table.T if to_source else table)
        return at_least(p, TINY).log()


def _factor(link: Link, p: Tensor, label: int) -> Tensor:
    """Return what a label sends to the source, (n, S), not as its logarithm."""
    on, off = (torch.from_numpy(each[label]) for each in link.source_ratios)
    column = p[:, label : label + 1]
    return at_least(column * on + (1 - column) * off, TINY)


def _from_labels(link: Link, p: Tensor) -> Tensor:
    first, *others = (_factor(link, p, label).log() for label in range(link.target.width))
    for other in others:
        first = first + other
    return first


def _to_labels(link: Link, p: Tensor, belief: Tensor) -> Tensor:
    """Return the marginals of labels, each without its own message to the source."""
    columns = []
    for label in range(link.target.width):
        others = (belief - _factor(link, p, label).log()).softmax(dim=1)
        on, off = (torch.from_numpy(each[label]) for each in link.target_ratios)
        own = between(p[:, label], TINY, 1 - TINY)
        odds = own.log() - (-own).log1p()
        odds = odds + at_least(others @ on, TINY).log() - at_least(others @ off, TINY).log()
        columns.append(odds.sigmoid())
    return torch.stack(columns, dim=1)
