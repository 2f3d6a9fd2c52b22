"""The hard co-annotation of the paper's predecessors, in both directions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from labelweave.losses.backward import BackwardCoupling
from labelweave.losses.columns import Columns
from labelweave.losses.soft_labels import SoftLabels
from labelweave.losses.stack import RelationStack
from labelweave.relations import Relation

REQUIRED = 0.7  # a prototypical label is used by more than this share (Du, Tao, Martinez, 2014)


class HardLabels(SoftLabels):
    """Source labelled, target missing: the class's labels are positives, weighted by the table.

    Per relation -sum_j T[y_source, j] log p_j / count, over the labels j of the class (entry above
    0) that are missing on the row; no label is taught to be off. A multiclass target learns the
    table's row. The table is taken as given, without smoothing (Kollias et al., arXiv 1910.11111
    and 2105.03790).

    Args:
        relations: the relations to couple by; each counts by its strength.
        columns: see `Coupling`.
    """

    form = "hard_labels"

    def __init__(self, relations: Sequence[Relation], columns: Columns | None = None) -> None:
        super().__init__(relations, 0.0, columns)
        for stack in self.stacks:
            positive = (stack.table > 0) & ~stack.off
            stack.known *= torch.where(stack.on | stack.off, positive, True)
            stack.table *= stack.known
            stack.complete = False


class HardClasses(BackwardCoupling):
    """Target labelled, source missing: the class whose required labels are all on.

    The required labels of a class are those with an entry above 0.7 (for a multiclass target, the
    one class above it); all must be observed and on. Of several fitting classes the one with the
    most required labels wins; a row without one, or with a tie, teaches nothing. Cross-entropy
    against that class (Kollias et al., arXiv 1910.11111 and 2105.03790).

    Args:
        relations: the relations to couple by; the mean strength of the required labels is a factor
            of the row's loss.
        columns: see `Coupling`.
    """

    form = "hard_classes"

    def __init__(self, relations: Sequence[Relation], columns: Columns | None = None) -> None:
        super().__init__(relations, 0.0, columns)

    def row_loss(self, stack: RelationStack, log_p: Tensor, observed: Tensor) -> Tensor:
        """Return the cross-entropy of each row, 0 without a winner."""
        required, sizes = _required(stack)
        winner, found = _winner(required, sizes, observed)
        trust = (required @ stack.strength) / sizes.clamp(min=1.0)
        loss = -trust[winner] * log_p.gather(1, winner[:, None]).squeeze(1)
        return torch.where(found, loss, 0.0)

    def taught(self, observed: Tensor) -> Tensor:
        """Return which rows have a winner for which source task, (n, S) bool."""
        parts = self.stacks.by_source(observed)
        return torch.stack([_winner(*_required(stack), part)[1] for stack, part in parts], dim=1)


def _required(stack: RelationStack) -> tuple[Tensor, Tensor]:
    """Return the required columns of every class, (K, W) of 0 and 1, and their number, (K,)."""
    speaks = (stack.strength > 0) & ~stack.off
    required = ((stack.table > REQUIRED) & speaks).to(stack.table.dtype)
    return required, required.sum(dim=1)


def _winner(required: Tensor, sizes: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the fitting class with the most required labels, (n,), and whether there is one."""
    sets = torch.where(observed @ required.T == sizes, sizes, 0.0)
    largest, winner = sets.max(dim=1)
    return winner, (largest > 0) & ((sets == largest[:, None]).sum(dim=1) == 1)
