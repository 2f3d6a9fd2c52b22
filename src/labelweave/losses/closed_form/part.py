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
    """A loss of one batch, whose gradient its own kind tells.

    Attributes:
        names: the names of its terms.
    """

    names: tuple[str, ...]

    @abstractmethod
    def sums(self, batch: Batch) -> Sums:
        """Return the sums of its terms."""

    def hold(self, **buffers: Tensor) -> None:
        """Keep constants as buffers."""
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer.clone(), persistent=False)


class Rows(nn.Module):
    """Some rows of a matrix (W, n); neighbouring ones are a view and need no copy.

    Args:
        index: the rows, (M,).
    """

    index: Tensor

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index.clone(), persistent=False)
        self.adjoining = bool((index.diff() == 1).all())
        self.first = int(index.min()) if len(index) else 0

    def __len__(self) -> int:
        return len(self.index)

    def of(self, values: Tensor) -> Tensor:
        """Return the rows, (M, n), of values (W, n)."""
        if self.adjoining:
            return values.narrow(0, self.first, len(self.index))
        return values.index_select(0, self.index)

    def add(self, into: Tensor, values: Tensor, factors: Tensor) -> None:
        """Add values (M, n), each row times its factor (M, 1), to the rows of `into`."""
        if self.adjoining:
            self.of(into).addcmul_(values, factors)
        else:
            into.index_add_(0, self.index, values * factors)

    def add_constants(self, into: Tensor, values: Tensor) -> None:
        """Add values (M, 1) to the rows of `into`, the same in all columns."""
        if self.adjoining:
            self.of(into).add_(values)
        else:
            summed = into.new_zeros(len(into), 1).index_add_(0, self.index, values)
            into[self.first :].add_(summed[self.first :])


class RelationPart(Part, ABC):
    """A loss between tasks by the tables of relations; see `RelationStacks` for M and the stacks.

    Args:
        stacks: the relations.
        layout: the layout of the batches.

    Attributes:
        sources: the rows of every source task.
        rows: the rows of all M columns, relation by relation.
        sizes: how many columns of the tables are each source task's.
    """

    def __init__(self, stacks: RelationStacks, layout: Layout) -> None:
        super().__init__()
        self.sources = [layout.rows[stack.source] for stack in stacks]
        self.rows = Rows(stacks.targets)
        self.sizes = [stack.width for stack in stacks]

    @abstractmethod
    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of `Batch.scores`, those of a label and its log p(off) apart.

        Args:
            into: (W, n), added to.
            grad: (T,) gradient of the part's sums.
            p: (C + L, n) of the batch.
            saved: what `sums` saved.
        """

    def hold_tables(self, name: str, tables: list[Tensor]) -> None:
        """Keep the table of every source, (K, width), by a name for `tables`."""
        self.hold(**{f"{name}_{i}": table for i, table in enumerate(tables)})

    def tables(self, name: str) -> list[Tensor]:
        """Return the tables of that name."""
        return [getattr(self, f"{name}_{i}") for i in range(len(self.sources))]

    def pushed(self, values: Tensor, name: str) -> Tensor:
        """Return sum_s values[s] T[s, t], (M, n), of values (W, n) and the tables of that name."""
        if len(self.sources) == 1:
            return self.tables(name)[0].t() @ values[self.sources[0]]
        found = values.new_empty(sum(self.sizes), values.shape[1])
        parts = zip(
            self.tables(name), self.sources, torch.split_with_sizes(found, self.sizes), strict=True
        )
        for table, source, part in parts:
            torch.mm(table.t(), values[source], out=part)
        return found
