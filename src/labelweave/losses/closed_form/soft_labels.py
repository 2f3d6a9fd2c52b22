"""Co-annotation forwards, by soft labels, in closed form."""

import torch
from torch import Tensor
from torch.linalg import vecdot

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import RelationPart, Rows, Sums
from labelweave.losses.soft_labels import SoftLabels


class SoftLabelsPart(RelationPart):
    """-sum_t T[y, t] log p_t where the target has no label: the gradient of log p_t is -T[y, t].

    For a label it is -T[y] of its score and -1 of log p(off), where the table speaks.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    weights: Tensor
    members: Tensor
    label_weights: Tensor
    label_members: Tensor

    def __init__(self, loss: SoftLabels, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        kept, stacks = self.kept, loss.stacks
        # a class's soft labels sum to 1 over its task; those of a label count by `spoken`
        members = stacks.members[kept].index_fill(0, self.labels.index, 0.0)
        speakers = layout.elements[[source.start for source in self.sources]]
        if len(speakers) > 1:  # else one row for all of them
            speakers = speakers.repeat_interleave(torch.tensor(self.sizes))[self.labels.index]
        self.hold(
            weights=-stacks.weights[kept],
            members=members,
            label_weights=-stacks.weights[kept][self.labels.index],
            label_members=stacks.members[kept][self.labels.index],
        )
        self.elements = Rows(layout.elements[self.targets.index])
        self.speakers = Rows(speakers)
        self.hold_tables("table", [stack.table[:, ~stack.off] for stack in stacks])
        self.hold_tables("known", [stack.known[:, ~stack.off] for stack in stacks])

    def sums(self, batch: Batch) -> Sums:
        """Return one term a relation."""
        missing = self.elements.of(batch.missing)
        taught = self.pushed(batch.observed, "table").mul_(missing)
        sums = vecdot(taught, self.targets.of(batch.scores)) @ self.weights
        counts = taught.sum(dim=1) @ self.members
        if not len(self.labels):
            return Sums(sums, counts, (taught,))
        missing = self.labels.of(missing)
        if self.complete:
            unlabelled = self.speakers.of(batch.missing)
            spoken = torch.addcmul(missing, missing, unlabelled, value=-1.0)
        else:
            spoken = self.labels.of(self.pushed(batch.observed, "known")) * missing
        sums = sums + vecdot(spoken, self.off.of(batch.scores)) @ self.label_weights
        return Sums(sums, counts + spoken.sum(dim=1) @ self.label_members, (taught, spoken))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the scores."""
        taught, *spoken = saved
        self.targets.add(into, taught, (self.weights @ grad)[:, None])
        for each in spoken:
            self.off.add(into, each, (self.label_weights @ grad)[:, None])
