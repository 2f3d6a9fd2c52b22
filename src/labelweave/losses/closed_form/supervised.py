"""The supervised cross-entropies in closed form."""

import torch
from torch import Tensor
from torch.linalg import vecdot

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import Part, Sums
from labelweave.losses.supervised import Supervised


class SupervisedPart(Part):
    """-log p of what is labelled: the gradient of `Batch.scores` is minus `Batch.observed`.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    def __init__(self, loss: Supervised, layout: Layout) -> None:
        super().__init__()
        self.names = loss.names
        # a label that is on counts in its row of scores, and as there in that of log p(off)
        members = loss.segments.clone()
        members[layout.classes : layout.classes + layout.labels] = 0.0
        self.factors, self.members = -loss.segments, members

    def sums(self, batch: Batch) -> Sums:
        """Return one row for every row of the batch."""
        observed = batch.observed
        return Sums(vecdot(observed, batch.scores), observed.sum(dim=1), (observed,))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Set the gradient of the scores: this is the first part, which has nothing to add to."""
        torch.mul(saved[0], grad, out=into)
