"""All relations side by side: the columns of all their targets, and one table a source task."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.losses._layout import WIDE, ColumnBatch, Columns, constant
from labelweave.relations import Noise, NoisyOr, Relation
from labelweave.tasks import Multiclass

Block = dict[str, NDArray[Any]]


class RelationStack(nn.Module):
    """The tables of all relations from one source task of K classes, side by side, as buffers.

    Attributes:
        source: name of the source task.
        number: the number of its relations.
        width: number of columns W of its relations' targets, laid out as in `Columns`.
        complete: whether every entry is known.
        table: (K, W) smoothed probabilities, 0 where unknown.
        known: (K, W) 1 where the table is known, else 0.
        log_evidence: (K, D * W) logarithm of the table with unknown entries made neutral, times
            `strength`; with label noise that of the labels found, for each of D data sources.
        strength: (W,) the relation's strength, 0 for labels or tasks that no class informs about.
        informs: (W,) 1 where `strength` is above 0, else 0.
        on: (W,) bool, true at the "on" columns of multilabel targets.
        off: (W,) bool, true at the "off" columns of multilabel targets.
    """

    table: Tensor
    known: Tensor
    log_evidence: Tensor
    strength: Tensor
    informs: Tensor
    on: Tensor
    off: Tensor
    on_table: Tensor | None
    order: Tensor

    def __init__(self, relations: Sequence[Relation], blocks: Sequence[Block]) -> None:
        super().__init__()
        self.source = relations[0].source.name
        self.number = len(relations)
        self.complete = all(bool(relation.mask.all()) for relation in relations)
        for name in ("table", "known", "strength", "on", "off"):
            _register(self, name, _joined(blocks, name))
        self.register_buffer("informs", (self.strength > 0).to(self.strength), persistent=False)
        self.width = self.table.shape[1]
        on, off = _joined(blocks, "on"), _joined(blocks, "off")  # not the buffers: they stay unread
        self.halved = bool(self.complete and len(self.table) > WIDE and (on | off).all())
        self.register_buffer("on_table", self.table[:, self.on] if self.halved else None, False)
        self.register_buffer(
            "order", torch.tensor(np.argsort([*np.flatnonzero(on), *np.flatnonzero(off)])), False
        )
        # all relations of the first data source, then those of the second, ...
        by_source = _joined(blocks, "log_evidence").swapaxes(0, 1)
        _register(self, "log_evidence", by_source.reshape(len(self.table), -1))

    def through(self, log_p: Tensor) -> Tensor:
        """Return what the source's log-probabilities (n, K) say about the targets, (n, W).

        Of very many classes only the "on" columns are a matrix product, where all is known: the
        others are the rest to 1.
        """
        if not self.halved or self.on_table is None:
            return log_p.exp() @ self.table
        on: Tensor = _Pushed.apply(log_p, self.on_table)  # type: ignore[no-untyped-call]
        return torch.cat([on, 1 - on], dim=1).index_select(1, self.order)


class _Pushed(torch.autograd.Function):
    """exp(log_p) @ table: the same as written out, with one matrix less to fill on the way back."""

    @staticmethod
    def forward(ctx: Any, log_p: Tensor, table: Tensor) -> Tensor:
        p = log_p.exp()
        ctx.save_for_backward(p, table)
        return p @ table

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, None]:
        p, table = ctx.saved_tensors
        return (gradient[0] @ table.T).mul_(p), None


class RelationStacks(nn.Module):
    """All relations, grouped by source task in the order in which the sources first appear.

    Iterating gives the `RelationStack`s. Their columns, one after the other, are the M columns of
    the buffers here; R is the number of relations.

    Args:
        relations: at least one relation.
        smoothing: every row (multiclass) or entry (multilabel) is mixed with the uniform
            distribution by this much, so that no label is impossible; in [0, 1).
        columns: the layout of the batches.
        noise: how the labels of targets err; the tables are of clean labels.

    Attributes:
        complete: whether every entry is known.
        sources: D, the number of data sources whose labels err in their own ways; 1 = all alike.
        names: the relations' names, in the order of the columns.
        targets: (M,) index of each column in the layout.
        on, off: (M,) bool, true at the "on" and "off" columns of multilabel targets.
        members: (M, R) 1 at a relation's columns, else 0.
        weights: (M, R) a relation's strength at its columns, else 0; also 0 for labels or tasks
            that no class informs about.
        shares: (M, R) `weights` divided, for a multilabel target, by the number of labels that
            some class informs about.
        elements: (M, R) what one column counts as a labelled element: 1/C a class, 1 an "on".

    Raises:
        LabelweaveError: no relation, or a smoothing outside [0, 1).
    """

    targets: Tensor
    on: Tensor
    off: Tensor
    members: Tensor
    weights: Tensor
    shares: Tensor
    elements: Tensor

    def __init__(
        self,
        relations: Sequence[Relation],
        smoothing: float,
        columns: Columns,
        noise: Sequence[Noise] = (),
    ) -> None:
        super().__init__()
        if not relations:
            raise LabelweaveError("found no relation to couple tasks by, expected at least one")
        if not 0 <= smoothing < 1:
            raise LabelweaveError(f"smoothing {smoothing}, expected from 0 to below 1")
        sources = dict.fromkeys(relation.source.name for relation in relations)
        groups = [[r for r in relations if r.source.name == source] for source in sources]
        self.relations = tuple(relation for group in groups for relation in group)
        self.names = tuple(relation.name for relation in self.relations)
        errors = {each.task.name: each for each in noise}
        self.sources = max((len(each.confusion) for each in noise), default=1)
        blocks = [
            _block(relation, smoothing, errors.get(relation.target.name), self.sources)
            for relation in self.relations
        ]
        rest = iter(blocks)
        self.stacks = nn.ModuleList(
            RelationStack(group, [next(rest) for _ in group]) for group in groups
        )
        self.complete = all(stack.complete for stack in self)
        for name in ("on", "off"):
            _register(self, name, _joined(blocks, name))
        places = [columns.indices(relation.target) for relation in self.relations]
        targets = np.concatenate(places)
        _register(self, "targets", targets)
        # neighbouring columns, as those of a single relation, are a view and need no copy
        self.adjoining = bool((np.diff(targets) == 1).all())
        self.first = int(targets[0])
        owner = np.repeat(np.arange(len(places)), [len(place) for place in places])
        segments = np.eye(len(places))[owner]
        strength = _joined(blocks, "strength")[:, None]
        _register(self, "members", segments)
        _register(self, "weights", segments * strength)
        _register(self, "shares", segments * _joined(blocks, "share")[:, None])
        _register(self, "elements", segments * _joined(blocks, "element")[:, None])

    def __iter__(self) -> Iterator[RelationStack]:
        return iter(self.stacks)  # type: ignore[arg-type]

    def columns_of(self, values: Tensor) -> Tensor:
        """Return the columns of all targets, (n, M), of values laid out as `Columns`, (n, W)."""
        if self.adjoining:
            return values.narrow(1, self.first, len(self.targets))
        return values.index_select(1, self.targets)

    def by_source(self, values: Tensor) -> Iterator[tuple[RelationStack, Tensor]]:
        """Return each stack with its part of values in the columns of all targets, (n, M)."""
        parts = torch.split_with_sizes(values, [stack.width for stack in self], dim=1)
        return zip(self, parts, strict=True)


def _joined(blocks: Sequence[Block], name: str) -> NDArray[Any]:
    return np.concatenate([block[name] for block in blocks], axis=-1)


def _register(module: nn.Module, name: str, values: NDArray[Any]) -> None:
    module.register_buffer(name, constant(values), persistent=False)


def _block(relation: Relation, smoothing: float, noise: Noise | None, sources: int) -> Block:
    known, table, filled = relation.mask, relation.table, relation.filled()
    width = relation.target.width
    if isinstance(relation.target, Multiclass):
        strength = np.full(width, relation.strength * known.any())
        share, element, uniform = strength, np.full(width, 1.0 / width), 1.0 / width
        on = off = np.zeros(width, np.bool_)
    else:
        spoken = known.any(axis=0)
        strength = np.tile(np.where(spoken, relation.strength, 0.0), 2)
        share, element, uniform = strength / max(1, spoken.sum()), np.repeat([1, 0], width), 0.5
        on = np.repeat([True, False], width)
        off = ~on
        table = np.concatenate([table, 1 - table], axis=1)
        known = np.concatenate([known, known], axis=1)
    smooth = (1 - smoothing) * table + smoothing * uniform
    filled = (1 - smoothing) * filled + smoothing * uniform
    found = [filled if noise is None else noise.observed(filled, i) for i in range(sources)]
    if not isinstance(relation.target, Multiclass):
        found = [np.concatenate([on, 1 - on], axis=1) for on in found]
    evidence = np.log(np.maximum(found, 1e-30))  # (D, K, W)
    return {
        "table": np.where(known, smooth, 0.0),
        "known": known.astype(np.float64),
        "log_evidence": strength * evidence,
        "strength": strength,
        "share": share,
        "element": element,
        "on": on,
        "off": off,
    }


HIGHEST = 1 - 1e-6  # a certain cause has no finite logarithm


class NoisyOrStack(nn.Module):
    """q(t_j) = 1 - (1 - leak_j) prod_i (1 - w_ij p(s_i)) of all relations, in one expression.

    Works on the L labels of all multilabel tasks, in the order of `Columns`. The M target labels
    are those that some relation informs about; R is the number of relations. The product is a sum
    of logarithms over the causes of all relations, separated by one matrix product.

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
