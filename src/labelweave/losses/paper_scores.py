"""The soft co-annotation of the paper: classes scored by the share of their labels that are on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from labelweave.errors import LabelweaveError
from labelweave.losses.backward import BackwardCoupling
from labelweave.losses.columns import Columns
from labelweave.losses.stack import RelationStack
from labelweave.relations import Relation


class PaperScores(BackwardCoupling):
    """Target labelled, source missing: cross-entropy against a softmax of the classes' scores.

    I(s|x) = sum_j w_sj y_j / sum_j w_sj over the observed labels j, w the table as given; target
    softmax_s(I / temperature). A class of a multiclass target counts as a label that is on, of the
    whole row's weight. Scores lie in [0, 1], so that at the paper's temperature of 1 the targets
    are nearly uniform (Kollias et al., AAAI 2024, soft co-annotation).

    Args:
        relations: the relations to couple by; the strength is a factor of a relation's weights, and
            the mean strength of a row's labels one of the row's loss.
        temperature: above 0.
        columns: see `Coupling`.

    Raises:
        LabelweaveError: a temperature that is not above 0.
    """

    form = "paper"

    def __init__(
        self,
        relations: Sequence[Relation],
        temperature: float = 1.0,
        columns: Columns | None = None,
    ) -> None:
        super().__init__(relations, 0.0, columns)
        if not temperature > 0:
            raise LabelweaveError(f"temperature {temperature}, expected a number above 0")
        self.temperature = temperature

    def row_loss(self, stack: RelationStack, log_p: Tensor, observed: Tensor) -> Tensor:
        """Return the cross-entropy of each row."""
        weights = stack.strength * torch.where(stack.off, 0.0, stack.table)
        # what the observed element would add if it were on: w_sj of a label, 1 of a row of classes
        whole = torch.where(stack.on, stack.table, stack.known)
        whole = stack.strength * torch.where(stack.off, stack.known - stack.table, whole)
        scores = (observed @ weights.T) / (observed @ whole.T).clamp(min=1e-6)
        target = torch.softmax(scores / self.temperature, dim=1)
        trust = (observed @ stack.strength) / (observed @ stack.speaks).clamp(min=1.0)
        return -trust * (target * log_p).sum(dim=1)
