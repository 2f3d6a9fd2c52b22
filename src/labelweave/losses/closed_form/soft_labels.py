"""Co-annotation forwards, by soft labels, in closed form."""

import torch
from torch import Tensor
from torch.linalg import vecdot

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import RelationPart, Rows, Sums
from labelweave.losses.soft_labels import SoftLabels
from labelweave.losses.stack import RelationStack


class SoftLabelsPart(RelationPart):
    """-sum_t T[y, t] log p_t where the target has no label: the gradient of log p_t is -T[y, t].

    For a label it is -T[y] of its score and -1 of log p(off), where the table speaks.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    weights: Tensor
    members: Tensor

    def __init__(self, loss: SoftLabels, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        self.elements = Rows(layout.elements[loss.stacks.targets])
        # a class's soft labels sum to 1 over its task; a label's counts in the row of log p(off)
        on = torch.cat([stack.on for stack in loss.stacks])
        self.hold(weights=-loss.stacks.weights, members=loss.stacks.members * ~on[:, None])
        self.hold_tables("table", [_by_presence(stack) for stack in loss.stacks])

    def sums(self, batch: Batch) -> Sums:
        """Return one term a relation."""
        taught = self.pushed(batch.observed, "table").mul_(self.elements.of(batch.missing))
        sums = vecdot(taught, self.rows.of(batch.scores)) @ self.weights
        return Sums(sums, taught.sum(dim=1) @ self.members, (taught,))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the scores."""
        self.rows.add(into, saved[0], (self.weights @ grad)[:, None])


def _by_presence(stack: RelationStack) -> Tensor:
    """Return the table with 1 in place of a label's chance of being off, where it is known."""
    return torch.where(stack.off, stack.known, stack.table)
