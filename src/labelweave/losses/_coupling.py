"""What the losses between tasks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from labelweave.losses._layout import (
    ColumnBatch,
    Columns,
    Labels,
    Logits,
    Terms,
    check_batch,
    constant,
)
from labelweave.losses._stack import NoisyOrStack, RelationStacks
from labelweave.relations import Noise, Relation, TransferWeights
from labelweave.tasks import Multiclass


class Coupling(nn.Module, ABC):
    """A loss between tasks; call it on the logits and labels of one batch.

    Args:
        columns: the layout of the batches that `terms` gets.

    Attributes:
        names: the names of its terms.
    """

    names: tuple[str, ...]

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.columns = columns
        self.checked = False

    def forward(
        self,
        logits: Logits,
        labels: Labels | None = None,
        teachers: Mapping[str, Tensor] | None = None,
        *,
        source: Tensor | None = None,
    ) -> Terms:
        """Return the terms of one batch.

        Args:
            logits: task name to (n, width) scores of the heads.
            labels: task name to the codes of `Annotations`, -1 = missing; only distribution
                matching can do without.
            teachers: task name to (n, width) scores of its teacher; only distillation asks for
                them.
            source: (n,) index of the data source of each row, for losses that ask for it.

        Raises:
            LabelweaveError: scores or labels of the first batch are lacking or of another shape or
                type than the tasks'.
        """
        if not (self.checked or torch.compiler.is_compiling()):
            check_batch(self.columns.tasks, logits, labels, self.tables())
            self.checked = True
        return self.terms(self.columns(logits, labels, source, teachers))

    def tables(self) -> Iterable[Tensor]:
        """Return the tables of its relations, whose precision scores must have."""
        stacks = (m for m in self.modules() if isinstance(m, RelationStacks | NoisyOrStack))
        return (table for stack in stacks for table in stack.buffers())

    @property
    def multiples(self) -> tuple[float, ...]:
        """How often each term counts its weight: once for each relation it covers."""
        return (1.0,) * len(self.names)

    @abstractmethod
    def terms(self, batch: ColumnBatch) -> Terms:
        """Return the terms of one batch in the layout of `columns`."""


class RelationCoupling(Coupling):
    """A coupling by the tables of relations.

    Args:
        relations: the relations to couple by.
        smoothing: see `RelationStacks`.
        columns: the layout of the batches that `terms` gets; None = that of the relations' tasks.
        noise: see `RelationStacks`.
    """

    def __init__(
        self,
        relations: Sequence[Relation],
        smoothing: float,
        columns: Columns | None,
        noise: Sequence[Noise] = (),
    ) -> None:
        super().__init__(columns or Columns.of(relations))
        self.stacks = RelationStacks(relations, smoothing, self.columns, noise)


def target_weights(stacks: RelationStacks, weights: TransferWeights) -> Tensor:
    """Return the transfer weight of the target at each of the stacks' M columns, (M,)."""
    targets = [relation.target for relation in stacks.relations]
    # of a multilabel target: every label on, then every label off
    parts = [np.tile(weights[t.name], 1 if isinstance(t, Multiclass) else 2) for t in targets]
    return constant(np.concatenate(parts))


def source_weights(stacks: RelationStacks, weights: TransferWeights) -> Tensor:
    """Return the transfer weight of the source task at each of the stacks' M columns, (M,)."""
    parts = [np.full(stack.width, weights[stack.source].mean()) for stack in stacks]
    return constant(np.concatenate(parts))
