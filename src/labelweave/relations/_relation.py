"""A relation: what one task's class says about another's labels, T = P(target | source)."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave._arguments import a_number
from labelweave._messages import Message, Text
from labelweave.errors import LabelweaveError
from labelweave.relations._arrays import flags, real_numbers
from labelweave.tasks import Multiclass, Task

TOLERANCE = 1e-3  # a row of written probabilities may miss one by this much


@dataclass(frozen=True, eq=False)
class Relation:
    """Directed relatedness of two tasks.

    >>> kind, shape = Multiclass("kind", ("ball", "box")), Multiclass("shape", ("round", "square"))
    >>> relation = Relation(kind, shape, [[1, 0], [0.1, 0.9]])
    >>> relation.name, relation.mask.all().item()
    ('kind->shape', True)

    Args:
        source: the multiclass source task, K classes.
        target: the target task: multiclass with C classes or multilabel with L labels.
        table: (K, C), each known row summing to one, or (K, L) of P(label on | class).
        known: which entries of the table are known, same shape; None = all. For a multiclass target
            a row is known or unknown as a whole. Unknown entries say nothing and get no gradient.
        strength: factor on every coupling term of this relation, at least 0.
        origin: where the table comes from, in words.

    Raises:
        LabelweaveError: a relation from a task to itself, a wrong shape, an entry outside [0, 1],
            or a row of a multiclass target that does not sum to one.
    """

    source: Multiclass
    target: Task
    table: NDArray[np.float64]
    known: NDArray[np.bool_] | None = None
    strength: float = 1.0
    origin: Text = "given"

    def __post_init__(self) -> None:
        if not isinstance(self.source, Multiclass):
            raise LabelweaveError(
                f"relation {self.name}: the source task is {self.source.kind}, expected multiclass"
            )
        if self.source.name == self.target.name:
            raise LabelweaveError(f"relation {self.name}: source and target are the same task")
        a_number(f"relation {self.name}: strength", self.strength, low=0)
        table, known = self._checked(
            real_numbers(self.table, f"relation {self.name}: table"), self.known
        )
        table.setflags(write=False)
        known.setflags(write=False)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "known", known)

    @property
    def name(self) -> str:
        """The relation's name, ``source->target``."""
        return f"{self.source.name}->{self.target.name}"

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which entries are known, (K, C) or (K, L)."""
        return np.ones(self.table.shape, np.bool_) if self.known is None else self.known

    def filled(self) -> NDArray[np.float64]:
        """Return the table with unknown entries set so that they favour no class of the source.

        An unknown entry becomes the mean of its column's known entries; a column that no class
        covers becomes constant (1/C, or 0.5 for a multilabel target).
        """
        known = self.mask
        support = known.sum(axis=0)
        neutral = 1.0 / self.target.width if isinstance(self.target, Multiclass) else 0.5
        sums = np.where(known, self.table, 0.0).sum(axis=0)
        means = np.where(support > 0, sums / np.maximum(support, 1), neutral)
        return np.where(known, self.table, means)

    def permuted(self, seed: int) -> Self:
        """Return the relation with its rows shuffled: the control that must not help.

        The permutation is cyclic over a random order, so that every class gets another's row.
        """
        order = np.random.default_rng(seed).permutation(self.source.width)
        rows = np.empty_like(order)
        rows[order] = np.roll(order, 1)
        return replace(
            self,
            table=self.table[rows],
            known=self.mask[rows],
            origin=Message("message.shuffled", {"origin": self.origin}),
        )

    def _checked(
        self, table: NDArray[np.float64], known: ArrayLike | None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        shape = (self.source.width, self.target.width)
        if table.shape != shape:
            raise LabelweaveError(
                f"relation {self.name}: found a table of shape {table.shape}, expected {shape}"
            )
        mask = (
            np.ones(shape, np.bool_)
            if known is None
            else flags(known, f"relation {self.name}: known")
        )
        if mask.shape != shape:
            raise LabelweaveError(
                f"relation {self.name}: found a mask of shape {mask.shape}, expected {shape}"
            )
        bad = mask & ~((table >= 0) & (table <= 1))
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise LabelweaveError(
                f"relation {self.name}: row '{self.source.names[row]}', "
                f"column '{self.target.names[column]}': found {table[row, column]:g}, "
                "expected a probability from 0 to 1"
            )
        if isinstance(self.target, Multiclass):
            self._check_rows(table, mask)
            sums = table.sum(axis=1, keepdims=True)
            table = np.where(mask, table / np.where(mask.any(1, keepdims=True), sums, 1.0), 0.0)
        return np.where(mask, table, 0.0), mask

    def _check_rows(self, table: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        for row, name in enumerate(self.source.names):
            if mask[row].any() and not mask[row].all():
                raise LabelweaveError(
                    f"relation {self.name}: row '{name}' is known in part, expected all of the "
                    "classes or none"
                )
            if mask[row].all() and abs(table[row].sum() - 1) > TOLERANCE:
                raise LabelweaveError(
                    f"relation {self.name}: row '{name}' sums to {table[row].sum():.4g}, expected 1"
                )
