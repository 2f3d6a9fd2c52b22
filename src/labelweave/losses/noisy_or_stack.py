"""All noisy-OR relations side by side: what their causes say about every target label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.constant import constant
from labelweave.relations import NoisyOr

HIGHEST = 1 - 1e-6  # a certain cause has no finite logarithm


class NoisyOrStack(nn.Module):
    """q(t_j) = 1 - (1 - leak_j) prod_i (1 - w_ij p(s_i)) of all relations, in one expression.

    Works on the L labels of all multilabel tasks, in the order of `Columns`. The M target labels
    are those that some relation speaks about; R is the number of relations. The product is a sum of
    logarithms over the causes of all relations, taken apart by one matrix product.

    Args:
        relations: at least one noisy-OR.
        smoothing: q is mixed with one half by this much, so that no label is impossible; in [0, 1).
        columns: the layout of the batches.

    Attributes:
        names: the relations' names.
        target: (M,) index of each target label among the L.
        weights: (M, R) a relation's strength at its target labels, else 0.
        shares: (M, R) `weights` divided by the number of the relation's target labels.
        elements: (M, R) 1 at a relation's target labels, else 0.
        known: (L, M) 1 where a label's weight is known.
        causes: (L, M) 1 where it is known and above 0.
        complete: whether every weight is known.

    Raises:
        LabelweaveError: no relation, or a smoothing outside [0, 1).
    """

    target: Tensor
    weights: Tensor
    shares: Tensor
    elements: Tensor
    known: Tensor
    causes: Tensor
    cause: Tensor
    weight: Tensor
    owner: Tensor
    log_stay: Tensor
    unknown: Tensor

    def __init__(self, relations: Sequence[NoisyOr], smoothing: float, columns: Columns) -> None:
        super().__init__()
        if not relations:
            raise LabelweaveError("found no noisy-OR to couple tasks by, expected at least one")
        if not 0 <= smoothing < 1:
            raise LabelweaveError(f"smoothing {smoothing}, expected from 0 to below 1")
        self.names = tuple(relation.name for relation in relations)
        self.smoothing, self.labels = smoothing, columns.labels
        self.first = columns.width - 2 * columns.labels
        spoken = [np.flatnonzero(relation.spoken) for relation in relations]
        owner = np.repeat(np.arange(len(relations)), [len(labels) for labels in spoken])
        weights, known = np.zeros((2, columns.labels, len(owner)))
        target, leak = np.zeros(len(owner), np.int64), np.zeros(len(owner))
        for i, (relation, labels) in enumerate(zip(relations, spoken, strict=True)):
            start = columns.start[relation.source.name] - self.first
            causes = np.arange(start, start + relation.source.width)
            rows = np.ix_(causes, np.flatnonzero(owner == i))
            weights[rows] = relation.weights[:, labels]
            known[rows] = 2.0 * relation.mask[:, labels] - 1
            target[owner == i] = columns.start[relation.target.name] - self.first + labels
            leak[owner == i] = relation.leak[labels]
        elements = np.eye(len(relations))[owner]
        strength = np.array([relation.strength for relation in relations])
        cause, effect = np.nonzero(weights)
        self.complete = not (known < 0).any()
        self._hold("target", target)
        self._hold("elements", elements)
        self._hold("weights", elements * strength)
        self._hold("shares", elements * strength / np.maximum(elements.sum(axis=0), 1))
        self._hold("known", 1.0 * (known > 0))
        self._hold("unknown", 1.0 * (known < 0))
        self._hold("causes", 1.0 * (weights > 0))
        self._hold("cause", cause)
        self._hold("weight", np.minimum(weights[cause, effect], HIGHEST))
        self._hold("owner", np.eye(len(owner))[effect])
        self._hold("log_stay", np.log1p(-np.minimum(leak, HIGHEST)))

    def sides(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the "on" and the "off" columns of all labels, (n, L) each, of (n, W)."""
        on = values.narrow(1, self.first, self.labels)
        return on, values.narrow(1, self.first + self.labels, self.labels)

    def causes_of(self, batch: ColumnBatch, p: Tensor) -> tuple[Tensor, Tensor]:
        """Return labels where they are known and `p` elsewhere, (n, L); and 1 where known."""
        on, off = self.sides(batch.one_hot)
        labelled = on + off
        return on + (1 - labelled) * p, labelled

    def probability(self, values: Tensor) -> Tensor:
        """Return q of every target label, (n, M), smoothed, from P(on) of all labels, (n, L)."""
        off = torch.log1p(-self.weight * values.index_select(1, self.cause)) @ self.owner
        q = -torch.expm1(off + self.log_stay)
        return (1 - self.smoothing) * q + 0.5 * self.smoothing

    def mass(self, values: Tensor) -> Tensor:
        """Return the probability that no cause of unknown weight is on, (n, M), no gradient."""
        mass = (torch.log1p(-values.detach().clamp(max=HIGHEST)) @ self.unknown).exp()
        # one that is labelled on leaves nothing, so that a mean over elements leaves them out
        return torch.where(mass > 2 * (1 - HIGHEST), mass, 0.0)

    def _hold(self, name: str, values: NDArray[Any]) -> None:
        self.register_buffer(name, constant(values), persistent=False)


def logarithms(q: Tensor) -> tuple[Tensor, Tensor]:
    """Return log q and log(1 - q), both from -13.8 up."""
    return q.clamp(min=1e-6).log(), (1 - q).clamp(min=1e-6).log()
