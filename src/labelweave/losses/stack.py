"""All relations side by side: the columns of all their targets, and one table a source task."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.losses.columns import Columns
from labelweave.losses.constant import constant
from labelweave.relations import Noise, Relation
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
        strength: (W,) the relation's strength, 0 for labels or tasks that no class speaks about.
        speaks: (W,) 1 where `strength` is above 0, else 0.
        on: (W,) bool, true at the "on" columns of multilabel targets.
        off: (W,) bool, true at the "off" columns of multilabel targets.
    """

    table: Tensor
    known: Tensor
    log_evidence: Tensor
    strength: Tensor
    speaks: Tensor
    on: Tensor
    off: Tensor

    def __init__(self, relations: Sequence[Relation], blocks: Sequence[Block]) -> None:
        super().__init__()
        self.source = relations[0].source.name
        self.number = len(relations)
        self.complete = all(bool(relation.mask.all()) for relation in relations)
        for name in ("table", "known", "strength", "on", "off"):
            _register(self, name, _joined(blocks, name))
        self.register_buffer("speaks", (self.strength > 0).to(self.strength), persistent=False)
        self.width = self.table.shape[1]
        # all relations of the first data source, then those of the second, ...
        by_source = _joined(blocks, "log_evidence").swapaxes(0, 1)
        _register(self, "log_evidence", by_source.reshape(len(self.table), -1))


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
            that no class speaks about.
        shares: (M, R) `weights` divided, for a multilabel target, by the number of labels that
            some class speaks about.
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
