"""All relations of one source task side by side, so that one matrix product serves them all.

A target is laid out as columns of probabilities that sum to one: a multiclass task gives its C
classes, a multilabel task a pair (on, off) for every label, first all "on", then all "off". In
this form every coupling loss is one elementwise expression over (batch, columns), whatever the mix
of targets.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from labelweave.errors import LabelweaveError
from labelweave.relations import Relation
from labelweave.tasks import Multiclass, Task

Logits = Mapping[str, Tensor]
Labels = Mapping[str, Tensor]


class RelationStack(nn.Module):
    """The tables of all relations from one source task, as buffers.

    Args:
        relations: relations that share their source task (K classes), R of them.
        smoothing: every row (multiclass) or entry (multilabel) is mixed with the uniform
            distribution by this much, so that no label is impossible; in [0, 1).

    Attributes:
        table: (K, W) smoothed probabilities, 0 where unknown; W columns as described above.
        known: (K, W) 1 where the table is known, else 0.
        log_evidence: (K, W) logarithm of the table with unknown entries made neutral, times the
            relation's strength.
        strength: (W,) the relation's strength, 0 for labels or tasks that no class speaks about.
        column_weight: (W,) the strength of a multiclass column; that of a multilabel column divided
            by the number of labels that some class speaks about.
        segments: (W, R) 1 where a column belongs to a relation.
        elements: (W, R) what one column counts as a labelled element: 1/C a class, 1 an "on".
    """

    table: Tensor
    known: Tensor
    log_evidence: Tensor
    strength: Tensor
    column_weight: Tensor
    segments: Tensor
    elements: Tensor

    def __init__(self, relations: Sequence[Relation], smoothing: float = 0.01) -> None:
        super().__init__()
        self.source = relations[0].source.name
        self.targets: tuple[Task, ...] = tuple(relation.target for relation in relations)
        self.names = tuple(relation.name for relation in relations)
        self.complete = all(bool(relation.mask.all()) for relation in relations)
        columns = [_columns(relation, smoothing) for relation in relations]
        widths = [block["table"].shape[1] for block in columns]
        for name in ("table", "known", "log_evidence"):
            self._buffer(name, np.concatenate([block[name] for block in columns], axis=1))
        self._buffer("strength", np.concatenate([block["strength"][0] for block in columns]))
        self._buffer("column_weight", np.concatenate([block["weight"][0] for block in columns]))
        owner = np.repeat(np.arange(len(relations)), widths)
        segments = owner[:, None] == np.arange(len(relations))
        self._buffer("segments", segments)
        share = np.concatenate([block["element"][0] for block in columns])
        self._buffer("elements", segments * share[:, None])

    def _buffer(self, name: str, values: NDArray[Any]) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def log_probabilities(self, logits: Logits) -> Tensor:
        """Return log p(t | x) of all targets, (n, W)."""
        parts: list[Tensor] = []
        for task in self.targets:
            scores = logits[task.name]
            if isinstance(task, Multiclass):
                parts.append(F.log_softmax(scores, dim=1))
            else:
                parts += [F.logsigmoid(scores), F.logsigmoid(-scores)]
        return torch.cat(parts, dim=1)

    def one_hot(self, labels: Labels) -> Tensor:
        """Return 1 at the labelled column of every target, (n, W); all 0 where it is missing."""
        parts: list[Tensor] = []
        for task in self.targets:
            codes = labels[task.name]
            if isinstance(task, Multiclass):
                classes = torch.arange(task.width, device=codes.device)
                parts.append(codes[:, None] == classes)
            else:
                parts += [codes == 1, codes == 0]
        return torch.cat(parts, dim=1).to(self.table.dtype)

    def missing(self, labels: Labels) -> Tensor:
        """Return 1 where the element that a column belongs to has no label, (n, W)."""
        parts: list[Tensor] = []
        for task in self.targets:
            gap = labels[task.name] < 0
            if isinstance(task, Multiclass):
                parts.append(gap[:, None].expand(-1, task.width))
            else:
                parts += [gap, gap]
        return torch.cat(parts, dim=1).to(self.table.dtype)


def _columns(relation: Relation, smoothing: float) -> dict[str, NDArray[np.float64]]:
    known, table, filled = relation.mask, relation.table, relation.filled()
    if isinstance(relation.target, Multiclass):
        strength = np.full((1, relation.target.width), relation.strength * known.any())
        weight = strength
        element = np.full((1, relation.target.width), 1.0 / relation.target.width)
        uniform = 1.0 / relation.target.width
    else:
        spoken = known.any(axis=0)
        strength = np.tile(np.where(spoken, relation.strength, 0.0), 2)[None]
        weight = strength / max(1, spoken.sum())
        element = np.repeat([[1.0, 0.0]], relation.target.width, axis=1)
        table = np.concatenate([table, 1 - table], axis=1)
        filled = np.concatenate([filled, 1 - filled], axis=1)
        known = np.concatenate([known, known], axis=1)
        uniform = 0.5
    smooth = (1 - smoothing) * table + smoothing * uniform
    evidence = np.log(np.maximum((1 - smoothing) * filled + smoothing * uniform, 1e-30))
    return {
        "table": np.where(known, smooth, 0.0),
        "known": known.astype(np.float64),
        "log_evidence": relation.strength * evidence,
        "strength": strength,
        "weight": weight,
        "element": element,
    }


class RelationStacks(nn.Module):
    """One `RelationStack` per source task, in the order in which the sources first appear."""

    def __init__(self, relations: Sequence[Relation], smoothing: float = 0.01) -> None:
        super().__init__()
        if not relations:
            raise LabelweaveError("found no relation to couple tasks by, expected at least one")
        if not 0 <= smoothing < 1:
            raise LabelweaveError(f"smoothing {smoothing}, expected from 0 to below 1")
        sources = dict.fromkeys(relation.source.name for relation in relations)
        self.parts = nn.ModuleList(
            RelationStack([r for r in relations if r.source.name == source], smoothing)
            for source in sources
        )

    def __iter__(self) -> Iterator[RelationStack]:
        return iter(self.parts)  # type: ignore[arg-type]

    @property
    def names(self) -> tuple[str, ...]:
        """The relations' names, in the order of the stacks' terms."""
        return tuple(name for stack in self for name in stack.names)
