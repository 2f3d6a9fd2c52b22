"""The supervised cross-entropies in closed form."""

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

    segments: Tensor
    elements: Tensor

    def __init__(self, loss: Supervised, layout: Layout) -> None:
        super().__init__()
        self.names = loss.names
        # a label that is on counts in its row of scores, and as there in that of log p(off)
        elements = loss.segments.clone()
        elements[layout.classes : layout.classes + layout.labels] = 0.0
        self.hold(segments=loss.segments, elements=elements)

    def sums(self, batch: Batch) -> Sums:
        """Return one term a task."""
        found = vecdot(batch.observed, batch.scores) @ self.segments.to(batch.p.dtype)
        counts = batch.observed.sum(dim=1) @ self.elements.to(batch.p.dtype)
        return Sums(found.neg_(), counts, (batch.observed,))

    def gradient(self, grad: Tensor, observed: Tensor) -> Tensor:
        """Return the gradient of the scores, (W, n).

        Args:
            grad: (T,) gradient of the sums.
            observed: what `sums` saved.
        """
        return observed * (self.segments.to(grad.dtype) @ -grad)[:, None]
