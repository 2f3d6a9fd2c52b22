"""What the losses by noisy-OR relations have in common."""

from collections.abc import Sequence

from torch import Tensor

from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.coupling import Coupling
from labelweave.losses.noisy_or_stack import NoisyOrStack
from labelweave.losses.terms import Terms
from labelweave.relations import NoisyOr


class NoisyOrCoupling(Coupling):
    """A coupling by noisy-ORs, one term a relation, called ``form/source->target``.

    Args:
        relations: the noisy-ORs to couple by; each counts by its strength.
        form: first part of the terms' names.
        smoothing: see `NoisyOrStack`.
        columns: the layout of the batches that `terms` gets; None = that of the relations' tasks.
    """

    def __init__(
        self, relations: Sequence[NoisyOr], form: str, smoothing: float, columns: Columns | None
    ) -> None:
        super().__init__(columns or Columns.of(relations))
        self.stack = NoisyOrStack(relations, smoothing, self.columns)
        self.names = tuple(f"{form}/{name}" for name in self.stack.names)

    def target_sides(self, batch: ColumnBatch) -> tuple[Tensor, Tensor]:
        """Return log p of the target labels on and off, (n, M) each."""
        on, off = self.stack.sides(batch.log_p)
        return on.index_select(1, self.stack.target), off.index_select(1, self.stack.target)

    def mean(self, loss: Tensor, use: Tensor, values: Tensor) -> Terms:
        """Return the terms as means over elements.

        Args:
            loss: (n, M) of every element.
            use: (n, M) 1 where it counts, else 0.
            values: (n, L) what the causes were taken for; an element counts by the probability that
                none of unknown weight is on.
        """
        if not self.stack.complete:
            use = use * self.stack.mass(values)
        sums = (use * loss).sum(dim=0) @ self.stack.weights
        return Terms(self.names, sums, use.sum(dim=0) @ self.stack.elements)
