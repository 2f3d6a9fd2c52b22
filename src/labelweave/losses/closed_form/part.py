"""What the losses in closed form have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.direct import Direct
from labelweave.losses.stack import RelationStacks


class Sums(NamedTuple):
    """A part's sums and counts by row, before they are added up, and what its gradient needs.

    Attributes:
        sums: (R,) what the rows of `Part.factors` speak of.
        counts: (Q,) what the rows of `Part.members` speak of.
        saved: tensors for `Part.add_gradient`.
    """

    sums: Tensor
    counts: Tensor
    saved: tuple[Tensor, ...]


class Part(Direct, ABC):
    """A loss of one batch, whose gradient its own kind tells.

    Attributes:
        names: the names of its T terms.
        factors: (R, T) how the rows' sums make the terms; `ClosedForm` reads it once.
        members: (Q, T) how the rows' counts make those of the terms; likewise.
    """

    names: tuple[str, ...]
    factors: Tensor
    members: Tensor

    @abstractmethod
    def sums(self, batch: Batch) -> Sums:
        """Return the sums and counts of its rows."""

    @abstractmethod
    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of `Batch.scores`, those of a label and its log p(off) apart.

        Args:
            into: (W, n), added to; the first part sets it.
            grad: (R, 1) gradient of the rows' sums.
            p: (C + L, n) of the batch.
            saved: what `sums` saved.
        """


class Rows(Direct):
    """Some rows of a matrix (W, n); neighbouring ones are a view and need no copy.

    Args:
        index: the rows, (M,).
    """

    index: Tensor

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.hold(index=index)
        self.adjoining = bool((index.diff() == 1).all())
        self.number = len(index)
        self.first = int(index.min()) if len(index) else 0
        self.slice = slice(self.first, self.first + self.number)

    def of(self, values: Tensor) -> Tensor:
        """Return the rows, (M, n), of values (W, n)."""
        if self.adjoining:
            return values[self.slice]
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


class RelationPart(Part):
    """A loss between tasks by the tables of relations; see `RelationStacks` for M and the stacks.

    Args:
        stacks: the relations.
        layout: the layout of the batches.

    Attributes:
        sources: the rows of every source task.
    """

    def __init__(self, stacks: RelationStacks, layout: Layout) -> None:
        super().__init__()
        self.sources = [layout.rows[stack.source] for stack in stacks]
        self.keys: dict[str, list[str]] = {}
        self.sizes: dict[str, list[int]] = {}

    def hold_tables(self, name: str, tables: list[Tensor]) -> None:
        """Keep the table of every source, (K, width), by a name for `tables`."""
        keys = [f"{name}_{i}" for i in range(len(tables))]
        self.keys[name], self.sizes[name] = keys, [table.shape[1] for table in tables]
        self.hold(**dict(zip(keys, tables, strict=True)))

    def tables(self, name: str) -> list[Tensor]:
        """Return the tables of that name."""
        own = self.__dict__
        return [own[key] for key in self.keys[name]]

    def pushed(self, values: Tensor, name: str, out: Tensor | None = None) -> Tensor:
        """Return sum_s values[s] T[s, t], (M, n), of values (W, n) and the tables of that name."""
        tables = self.tables(name)
        if len(tables) == 1:
            return torch.mm(tables[0].t(), values[self.sources[0]], out=out)
        if out is None:
            out = values.new_empty(sum(self.sizes[name]), values.shape[1])
        for table, source, part in zip(tables, self.sources, self.split(out, name), strict=True):
            torch.mm(table.t(), values[source], out=part)
        return out

    def split(self, values: Tensor, name: str) -> Sequence[Tensor]:
        """Return the rows of values (M, ...) that are those of each source's table."""
        one = len(self.sources) == 1
        return (values,) if one else values.split_with_sizes(self.sizes[name])
