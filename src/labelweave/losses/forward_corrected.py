"""The supervised loss of labels that are wrong at times."""

from collections.abc import Sequence

from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.label_noise import LabelNoise
from labelweave.losses.supervised import Supervised
from labelweave.losses.terms import Terms
from labelweave.relations import Noise
from labelweave.tasks import Task

LEAST = 1e-30  # a label that neither the head nor the noise allows


class ForwardCorrected(Supervised):
    """-log sum_c p(c|x) N[c, label found]: cross-entropy of the label found, not of the clean one.

    Its expected value is smallest where p(c|x) is the distribution of the clean labels, whatever
    the (invertible) confusion N. Tasks without noise have the loss of `Supervised`. Source: Patrini
    et al., "Making deep neural networks robust to label noise", CVPR 2017, theorem 2.

    Args:
        tasks: the tasks to be trained.
        noise: the confusions of some of them, for all rows or by data source.
        columns: the layout of the batches that `terms` gets; None = that of `tasks`.

    Raises:
        LabelweaveError: see `LabelNoise`; at the call, confusions by data source for a batch that
            does not say where its rows come from.
    """

    def __init__(
        self, tasks: Sequence[Task], noise: Sequence[Noise], columns: Columns | None = None
    ) -> None:
        super().__init__(tasks, columns)
        self.noise = LabelNoise(noise, self.columns)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a task."""
        found = self.noise.found(batch).clamp(min=LEAST).log()
        log_p = batch.log_p.index_copy(1, self.noise.places, found)
        loss = -(batch.one_hot * log_p).sum(dim=0)
        segments = self.segments.to(loss.dtype)
        return Terms(self.names, loss @ segments, batch.one_hot.sum(dim=0) @ segments)
