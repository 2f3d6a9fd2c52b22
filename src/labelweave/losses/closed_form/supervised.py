"""The supervised cross-entropies in closed form."""

from torch import Tensor
from torch.linalg import vecdot

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import Part, Sums
from labelweave.losses.supervised import Supervised


class SupervisedPart(Part):
    """-log p of the labelled columns: the gradient of log p is -1 there.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    segments: Tensor

    def __init__(self, loss: Supervised, layout: Layout) -> None:
        super().__init__()
        self.names = loss.names
        self.hold(segments=loss.segments)

    def sums(self, batch: Batch) -> Sums:
        """Return one term a task."""
        segments = self.segments.to(batch.p.dtype)
        found = vecdot(batch.one_hot, batch.log_p) @ segments
        return Sums(found.neg_(), batch.one_hot.sum(dim=1) @ segments, (batch.one_hot,))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the log-probabilities."""
        factors = self.segments.to(p.dtype) @ grad
        into.addcmul_(saved[0], factors[:, None], value=-1.0)
