"""What the losses in closed form have in common."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.stack import RelationStacks


class Sums(NamedTuple):
    """A part's sums and counts, (T,), and the tensors that its gradient needs."""

    sums: Tensor
    counts: Tensor
    saved: tuple[Tensor, ...]


class Part(nn.Module, ABC):
    """A loss of one batch, and its gradient.

    Attributes:
        names: the names of its terms.
    """

    names: tuple[str, ...]

    @abstractmethod
    def sums(self, batch: Batch) -> Sums:
        """Return the sums of its terms."""

    @abstractmethod
    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the log-probabilities.

        Args:
            into: (W, n), added to.
            grad: (T,) gradient of the part's sums.
            p: (W, n) of the batch.
            saved: what `sums` saved.
        """

    def hold(self, **buffers: Tensor) -> None:
        """Keep constants as buffers."""
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer.clone(), persistent=False)


class RelationPart(Part):
    """A loss between tasks by the tables of relations; see `RelationStacks` for M and the stacks.

    Args:
        stacks: the relations.
        layout: the layout of the batches.

    Attributes:
        rows: (M,) the rows of all targets, relation by relation.
        complete: whether every entry of the tables is known.
        sources: the rows of every source task.
        sizes: how many of the M rows are each source task's.
    """

    rows: Tensor

    def __init__(self, stacks: RelationStacks, layout: Layout) -> None:
        super().__init__()
        self.hold(rows=stacks.targets)
        self.complete = all(stack.complete for stack in stacks)
        self.adjoining, self.first = stacks.adjoining, stacks.first
        self.sources = [layout.rows[stack.source] for stack in stacks]
        self.sizes = [stack.width for stack in stacks]

    def hold_tables(self, name: str, tables: list[Tensor]) -> None:
        """Keep the table of every source, (K, width), by a name for `tables`."""
        self.hold(**{f"{name}_{i}": table for i, table in enumerate(tables)})

    def tables(self, name: str) -> list[Tensor]:
        """Return the tables of that name."""
        return [getattr(self, f"{name}_{i}") for i in range(len(self.sources))]

    def targets_of(self, values: Tensor) -> Tensor:
        """Return the rows of all targets, (M, n), of values (W, n)."""
        if self.adjoining:
            return values.narrow(0, self.first, len(self.rows))
        return values.index_select(0, self.rows)

    def add_to_targets(self, into: Tensor, values: Tensor, factors: Tensor) -> None:
        """Add values (M, n), each row times its factor (M, 1), to the rows of the targets."""
        if self.adjoining:
            self.targets_of(into).addcmul_(values, factors)
        else:
            into.index_add_(0, self.rows, values * factors)

    def pushed(self, values: Tensor, name: str) -> Tensor:
        """Return sum_s values[s] T[s, t], (M, n), of values (W, n) and the tables of that name."""
        if len(self.sources) == 1:
            return self.tables(name)[0].t() @ values[self.sources[0]]
        found = values.new_empty(len(self.rows), values.shape[1])
        parts = zip(
            self.tables(name), self.sources, torch.split_with_sizes(found, self.sizes), strict=True
        )
        for table, source, part in parts:
            torch.mm(table.t(), values[source], out=part)
        return found
