"""Co-annotation backwards: labels of targets teach a source that has no label on this row."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.constant import constant
from labelweave.losses.coupling import RelationCoupling
from labelweave.losses.label_noise import by_data_source
from labelweave.losses.need import Needs
from labelweave.losses.stack import RelationStack
from labelweave.losses.terms import Terms
from labelweave.relations import Noise, Relation


class BackwardCoupling(RelationCoupling):
    """A loss of the source tasks without a label, by the labels of all targets together.

    One term a source task: a mean over the rows without a source label that the form can teach.

    Args:
        relations: the relations to couple by.
        smoothing: see `RelationStacks`.
        columns: see `Coupling`.
        noise: see `RelationStacks`.
        needs: factor of what a task learns, see `labelweave.losses.need`; None = 1.

    Attributes:
        summed: whether a row's loss sums the evidence of all relations.
    """

    form: str
    summed: ClassVar[bool] = False
    need: Tensor

    def __init__(
        self,
        relations: Sequence[Relation],
        smoothing: float = 0.01,
        columns: Columns | None = None,
        noise: Sequence[Noise] = (),
        needs: Needs | None = None,
    ) -> None:
        super().__init__(relations, smoothing, columns, noise)
        need = [1.0 if needs is None else needs[stack.source].mean() for stack in self.stacks]
        self.register_buffer("need", constant(need), persistent=False)
        self.names = tuple(f"{self.form}/{stack.source}" for stack in self.stacks)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a source task."""
        stacks = self.stacks
        observed = stacks.columns_of(batch.one_hot)
        parts = stacks.by_source(observed)
        losses = [
            self.row_loss(
                stack,
                batch.log_classes[stack.source],
                by_data_source(batch, part, stacks.sources),
            )
            for stack, part in parts
        ]
        missing = torch.stack([batch.labels[stack.source] < 0 for stack in stacks], dim=1)
        use = self.taught(observed) & missing
        sums = torch.where(use, torch.stack(losses, dim=1), 0.0).sum(dim=0)
        return Terms(self.names, sums * self.need, use.sum(dim=0, dtype=sums.dtype))

    @property
    def multiples(self) -> tuple[float, ...]:
        """The number of relations of each source task where their evidence is one sum, else 1."""
        return tuple(float(stack.number) if self.summed else 1.0 for stack in self.stacks)

    @abstractmethod
    def row_loss(self, stack: RelationStack, log_p: Tensor, observed: Tensor) -> Tensor:
        """Return each row's loss for one source task, (n,).

        Args:
            stack: the relations from one source task of K classes, W columns.
            log_p: (n, K) log p(s|x).
            observed: (n, D * W) 1 at the labelled columns of the targets, at the place of the row's
                data source.
        """

    def taught(self, observed: Tensor) -> Tensor:
        """Return which rows' labels teach which source task, (n, S) bool: any label does.

        Args:
            observed: (n, M) as above, of all source tasks.
        """
        parts = self.stacks.by_source(observed)
        return torch.stack([part @ stack.speaks for stack, part in parts], dim=1) > 0
