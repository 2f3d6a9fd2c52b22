"""Co-annotation forwards: a labelled source teaches the targets that have no label."""

from collections.abc import Sequence

import torch
from torch import Tensor

from labelweave.losses.columns import ColumnBatch, Columns, joined
from labelweave.losses.coupling import RelationCoupling
from labelweave.losses.need import Needs, target_needs
from labelweave.losses.stack import RelationStack
from labelweave.losses.terms import Terms
from labelweave.relations import Relation


class SoftLabels(RelationCoupling):
    """Source labelled, target missing: the target head learns the soft label T[y_source].

    One term a relation: the cross-entropy against the table's row, a mean over the rows (for a
    multilabel target: elements) whose source is labelled and whose target is not. Each relation
    counts by its strength.

    Args:
        relations: the relations to couple by.
        smoothing: see `RelationStacks`.
        columns: see `Coupling`.
        needs: factor of what a task learns, see `labelweave.losses.need`; None = 1.
    """

    form = "soft_labels"

    def __init__(
        self,
        relations: Sequence[Relation],
        smoothing: float = 0.01,
        columns: Columns | None = None,
        needs: Needs | None = None,
    ) -> None:
        super().__init__(relations, smoothing, columns)
        if needs is not None:
            self.stacks.weights.mul_(target_needs(self.stacks, needs)[:, None])
        self.names = tuple(f"{self.form}/{name}" for name in self.stacks.names)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a relation."""
        stacks = self.stacks
        given = [(stack, batch.one_hot_classes[stack.source]) for stack in stacks]
        missing = stacks.columns_of(self.columns.missing(batch.labels, batch.log_p.dtype))
        # rows of the tables, 0 where the source has no label or the target has one
        taught = missing * joined([one_hot @ stack.table for stack, one_hot in given])
        loss = (taught * stacks.columns_of(batch.log_p)).sum(dim=0)
        parts = zip(given, stacks.by_source(missing), strict=True)
        count = torch.cat([_count(stack, one_hot, gaps) for (stack, one_hot), (_, gaps) in parts])
        return Terms(self.names, -loss @ stacks.weights, count @ stacks.elements)


def _count(stack: RelationStack, one_hot: Tensor, missing: Tensor) -> Tensor:
    """Return on how many rows the table speaks about a column without a label, (W,)."""
    if stack.complete:
        return one_hot.sum(dim=1) @ missing
    return ((one_hot @ stack.known) * missing).sum(dim=0)
