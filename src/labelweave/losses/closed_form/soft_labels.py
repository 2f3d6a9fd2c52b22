"""Co-annotation forwards, by soft labels, in closed form."""

from torch import Tensor
from torch.linalg import vecdot

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import RelationPart, Sums
from labelweave.losses.soft_labels import SoftLabels


class SoftLabelsPart(RelationPart):
    """-sum_t T[y, t] log p_t where the target has no label: the gradient of log p_t is -T[y, t].

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    weights: Tensor
    members: Tensor
    elements: Tensor

    def __init__(self, loss: SoftLabels, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        self.hold(
            weights=-loss.stacks.weights,
            members=loss.stacks.members,
            elements=layout.elements[self.rows],
        )
        self.hold_tables("table", [stack.table for stack in loss.stacks])

    def sums(self, batch: Batch) -> Sums:
        """Return one term a relation."""
        missing = batch.missing.index_select(0, self.elements)
        taught = self.pushed(batch.one_hot, "table").mul_(missing)
        sums = vecdot(taught, self.targets_of(batch.log_p)) @ self.weights
        # an element's soft label sums to 1 where the table speaks about it, else to 0
        return Sums(sums, taught.sum(dim=1) @ self.members, (taught,))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the log-probabilities."""
        self.add_to_targets(into, saved[0], (self.weights @ grad)[:, None])
