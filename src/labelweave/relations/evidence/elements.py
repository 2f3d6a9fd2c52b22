"""The labelled elements that a relation is judged by, and how predictions are pushed through it.

A target has W columns: the C classes of a multiclass task, one of which is on in every labelled
row, or the L labels of a multilabel one, each on, off or missing by itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations.relation import Relation
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMOOTHING = 0.01  # as in the coupling losses: no label is impossible
SUM_TOLERANCE = 1e-2  # wide enough for a softmax computed in half precision


@dataclass(frozen=True)
class Elements:
    """The labels of a target on the rows that carry any.

    Args:
        target: the task.
        values: (n, W), 1 = on, 0 = off (or missing).
        seen: (n, W), which elements are labelled and spoken about.
        groups: (n,) number of the group that a row belongs to, 0 to G - 1.
    """

    target: Task
    values: Floats
    seen: Mask
    groups: NDArray[np.int64]

    @property
    def exclusive(self) -> bool:
        """Whether the columns are classes that exclude one another."""
        return isinstance(self.target, Multiclass)

    @property
    def rows(self) -> int:
        """The number of labelled rows."""
        return len(self.values)

    @property
    def count(self) -> int:
        """The number of labelled elements: rows of a multiclass, labels of a multilabel task."""
        return self.rows if self.exclusive else int(self.seen.sum())


def elements(
    name: str, target: Task, labels: ArrayLike, spoken: Mask, groups: ArrayLike | None
) -> tuple[Elements, NDArray[np.int64]]:
    """Return the labelled elements and the numbers of the rows that carry them.

    Args:
        name: the relation's name, for errors.
        target: the task.
        labels: codes (n,) or (n, L), -1 = missing.
        spoken: (W,), the columns that the relation speaks about; of a multilabel target the others
            count as missing.
        groups: (n,) rows with equal values belong together; None = every row by itself.

    Raises:
        LabelweaveError: labels that do not fit the task, or groups of another length.
    """
    codes = Annotations((target,), {target.name: np.atleast_1d(labels)}).labels[target.name]
    if isinstance(target, Multiclass):
        rows = np.flatnonzero((codes >= 0) & spoken.any())
        values = (codes[rows][:, None] == np.arange(target.width)).astype(np.float64)
        seen = np.ones(values.shape, dtype=np.bool_)
    else:
        known = (codes >= 0) & spoken
        rows = np.flatnonzero(known.any(axis=1))
        values, seen = ((codes[rows] == 1) & known[rows]).astype(np.float64), known[rows]
    given: NDArray[Any] = np.arange(len(codes)) if groups is None else np.asarray(groups)
    if given.shape != (len(codes),):
        raise LabelweaveError(
            f"relation {name}: found groups of shape {given.shape}, expected ({len(codes)},)"
        )
    numbers = np.unique(given[rows], return_inverse=True)[1].astype(np.int64)
    return Elements(target, values, seen, numbers), rows


def checked_probabilities(name: str, task: Task, values: ArrayLike, n: int) -> Floats:
    """Return a task's predictions as (n, width) floats.

    Raises:
        LabelweaveError: a wrong shape, a value outside [0, 1], or (multiclass) a row that does
            not sum to one.
    """
    found: NDArray[Any] = np.asarray(values)
    place = f"relation {name}, predictions of '{task.name}'"
    if found.shape != (n, task.width):
        raise LabelweaveError(f"{place}: found shape {found.shape}, expected {(n, task.width)}")
    p = found.astype(np.float64, copy=False)
    if n and not (p.min() >= 0 and p.max() <= 1):
        row = int(np.argmin(((p >= 0) & (p <= 1)).all(axis=1)))
        raise LabelweaveError(
            f"{place}, row {row + 1}: found {p[row].min():.4g} to {p[row].max():.4g}, "
            "expected probabilities from 0 to 1"
        )
    if isinstance(task, Multiclass):
        sums = p.sum(axis=1)
        wrong = np.abs(sums - 1) > SUM_TOLERANCE
        if wrong.any():
            row = int(np.argmax(wrong))
            raise LabelweaveError(
                f"{place}, row {row + 1}: found probabilities that sum to {sums[row]:.4g}, "
                "expected 1"
            )
    return p


def pushed(relation: Relation, source_probabilities: Floats) -> Floats:
    """Return q(t | x) = sum_s p(s | x) T[s, t], (n, W), the table smoothed by 1 %."""
    uniform = 1 / relation.target.width if isinstance(relation.target, Multiclass) else 0.5
    return source_probabilities @ ((1 - SMOOTHING) * relation.filled() + SMOOTHING * uniform)
