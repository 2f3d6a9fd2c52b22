"""Co-annotation forwards, by soft labels, in closed form."""

import torch
from torch import Tensor
from torch.linalg import vecdot

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import RelationPart, Rows, Sums
from labelweave.losses.soft_labels import SoftLabels


class SoftLabelsPart(RelationPart):
    """-sum_t T[y, t] log p_t where the target has no label: the gradient of log p_t is -T[y, t].

    For a label it is -T[y] of its score and -1 of log p(off), where the table speaks. So labels
    need no columns of their being off; N columns are left.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    def __init__(self, loss: SoftLabels, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        stacks = loss.stacks
        off = stacks.off
        targets, elements = stacks.targets, layout.elements[stacks.targets]
        self.targets = Rows(torch.cat([targets[~off], targets[off]]))
        self.missing = Rows(elements[~off])
        self.hold_tables("table", [stack.table[:, ~stack.off] for stack in stacks])
        # what is taught is counted once a label, and once for all classes of a task
        relations = stacks.members.argmax(dim=1)
        first = relations.diff(prepend=torch.tensor([-1])) != 0
        counted = off | (first & ~stacks.on)
        self.counted = Rows(elements[counted])
        self.labels = Rows(torch.nonzero(off[counted]).flatten())
        self.only_labels = bool(off[counted].all())
        self.columns = int((~off).sum())
        widths = [stack.width for stack in stacks]
        own = torch.split_with_sizes(counted, widths)
        self.complete = stacks.complete
        known = [stack.known[:, part] for stack, part in zip(stacks, own, strict=True)]
        self.hold_tables("known", known)
        speakers = torch.tensor([int(layout.elements[source.start]) for source in self.sources])
        if len(speakers) > 1:  # a single one stands for all
            speakers = speakers.repeat_interleave(torch.tensor(self.sizes["known"]))
        self.speakers = Rows(speakers)
        weights = -stacks.weights
        self.factors = torch.cat([weights[~off], weights[off]])
        self.members = stacks.members[counted]

    def sums(self, batch: Batch) -> Sums:
        """Return a row for each of the N columns, then for the log p(off) of the labels."""
        samples = batch.p.shape[1]
        taught = batch.p.new_empty(self.targets.number, samples)
        columns, off = taught[: self.columns], taught[self.columns :]
        self.pushed(batch.observed, "table", columns).mul_(self.missing.of(batch.missing))
        there = off if self.only_labels else off.new_empty(self.counted.number, samples)
        missing = self.counted.of(batch.missing)
        if self.complete:
            torch.mul(missing, self.speakers.of(batch.labelled), out=there)
        else:
            self.pushed(batch.observed, "known", there).mul_(missing)
        if not self.only_labels:
            off.copy_(self.labels.of(there))
        sums = vecdot(taught, self.targets.of(batch.scores))
        return Sums(sums, there.sum(dim=1), (taught,))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the scores."""
        self.targets.add(into, saved[0], grad)
