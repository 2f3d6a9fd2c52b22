"""Counts that may leave a site: small cells hidden, the others rounded; or all of them noised."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave._arguments import a_number
from labelweave.annotations import Annotations
from labelweave.tasks import Multiclass, Task

Counts = NDArray[np.int64]  # -1 = hidden
HIDDEN = -1
LEAST = 10  # smaller cells are hidden


@dataclass(frozen=True)
class Protection:
    """How counts are protected before they leave a site.

    Args:
        least: smaller counts, zeros among them, are hidden, and the others rounded down to a
            multiple of it, so that no difference of totals gives a hidden one away. Without
            `epsilon` only.
        epsilon: noise instead: discrete Laplace noise on every cell, with which all counts of one
            file together are epsilon-differentially private for a row.

    Raises:
        LabelweaveError: a `least` below 2 or above 1,000,000, an `epsilon` outside 0.001 to 100.
    """

    least: int = LEAST
    epsilon: float | None = None

    def __post_init__(self) -> None:
        a_number("least", self.least, low=2, high=1_000_000)
        if self.epsilon is not None:
            a_number("epsilon", self.epsilon, low=0.001, high=100)

    def __str__(self) -> str:
        if self.epsilon is None:
            return f"counts below {self.least} hidden, others rounded down to multiples of it"
        return f"counts with Laplace noise, epsilon {self.epsilon:g} for a row"

    def noise(self, cells_a_row: int) -> float:
        """Return the scale of the noise; 0 = none."""
        return 0.0 if self.epsilon is None else max(cells_a_row, 1) / self.epsilon

    def apply(
        self, counts: Sequence[Counts], cells_a_row: int, rng: np.random.Generator
    ) -> list[Counts]:
        """Return protected counts.

        Args:
            counts: all that leave the site, of any shape.
            cells_a_row: in how many cells of all of them one row counts, at most.
            rng: for the noise.
        """
        if self.epsilon is None:
            return [
                np.where(each < self.least, HIDDEN, each - each % self.least) for each in counts
            ]
        # the difference of two geometric numbers: no rounding of floats can be seen in it
        stop = 1 - math.exp(-1 / self.noise(cells_a_row))
        return [
            np.maximum(each + rng.geometric(stop, each.shape) - rng.geometric(stop, each.shape), 0)
            for each in counts
        ]


def class_counts(labels: Annotations, task: Task) -> Counts:
    """Return how many rows carry each class, (K,), or each label off and on, (L, 2)."""
    codes = labels.labels[task.name]
    if isinstance(task, Multiclass):
        return np.bincount(codes[codes >= 0], minlength=task.width).astype(np.int64)
    return np.stack([(codes == value).sum(axis=0) for value in (0, 1)], axis=1).astype(np.int64)


def joint_counts(labels: Annotations, source: Task, target: Task) -> Counts:
    """Return counts of the rows with labels of both tasks, (K, C), or (K, L, 2) off and on."""
    rows, codes = labels.labels[source.name], labels.labels[target.name]
    if isinstance(target, Multiclass):
        both = (rows >= 0) & (codes >= 0)
        found = np.zeros((source.width, target.width), np.int64)
        np.add.at(found, (rows[both], codes[both]), 1)
        return found
    found = np.zeros((source.width, target.width, 2), np.int64)
    for value in (0, 1):
        each, label = np.nonzero((codes == value) & (rows >= 0)[:, None])
        np.add.at(found[..., value], (rows[each], label), 1)
    return found


def cells_of(task: Task) -> int:
    """Return in how many cells of its counts one row is."""
    return 1 if isinstance(task, Multiclass) else task.width
