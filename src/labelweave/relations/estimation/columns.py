"""The targets of one source task side by side, as columns of probabilities.

A multiclass target is one block of C columns, every label of a multilabel target a block of two,
(on, off). All computation is per block, so that every kind of target is treated alike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.floating]
Matrix = NDArray[np.float64]
TINY = 1e-30


class Columns:
    """The layout of several targets in W columns and B blocks.

    Args:
        targets: the target tasks, in order.

    Attributes:
        width: W, the number of columns.
        spans: the columns of every target.
        sizes: (B,) the number of columns of every block.
        block: (W,) the block of every column.
        target: (B,) the target of every block.
    """

    def __init__(self, targets: Sequence[Task]) -> None:
        self.targets = tuple(targets)
        sizes = [[t.width] if isinstance(t, Multiclass) else [2] * t.width for t in self.targets]
        self.sizes = np.array([size for blocks in sizes for size in blocks])
        ends = np.cumsum([sum(blocks) for blocks in sizes])
        self.spans = [slice(end - sum(b), end) for end, b in zip(ends, sizes, strict=True)]
        self.block = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self.target = np.repeat(np.arange(len(sizes)), [len(blocks) for blocks in sizes])
        self.width = int(self.sizes.sum())

    def sums(self, values: Floats) -> Floats:
        """Return the sum over every block, (n, W) -> (n, B)."""
        parts = [
            values[:, part].sum(axis=1, keepdims=True)
            if isinstance(target, Multiclass)
            else values[:, part][:, ::2] + values[:, part][:, 1::2]
            for target, part in zip(self.targets, self.spans, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def spread(self, values: Floats) -> Floats:
        """Return every block's value at each of its columns, (n, B) -> (n, W)."""
        return np.asarray(np.take(values, self.block, axis=-1))

    def normalised(self, values: Floats) -> Floats:
        """Return the values (n, W) divided by their block's sum."""
        return values / self.spread(np.maximum(self.sums(values), TINY))

    def one_hot(self, annotations: Annotations, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return 1 at the labelled columns of some rows, (n, W); all 0 in a block without label."""
        parts: list[NDArray[np.float32]] = []
        for target in self.targets:
            codes = annotations.labels[target.name][rows]
            if isinstance(target, Multiclass):
                # one row more, all zeros, that the missing label -1 picks
                parts.append(np.eye(target.width + 1, target.width, dtype=np.float32)[codes])
            else:
                parts.append(_pairs(codes == 1, codes == 0).astype(np.float32))
        return np.concatenate(parts, axis=1)

    def probabilities(
        self, predictions: Mapping[str, Floats], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the predicted probabilities of some rows as columns, (n, W)."""
        parts: list[NDArray[np.float32]] = []
        for target in self.targets:
            given = predictions[target.name][rows].astype(np.float32)
            parts.append(given if isinstance(target, Multiclass) else _pairs(given, 1 - given))
        return np.concatenate(parts, axis=1)

    def join(self, tables: Sequence[Matrix]) -> Matrix:
        """Return one (K, W) array from a table (K, C) or (K, L) of "on" for every target."""
        return np.concatenate(
            [
                table if isinstance(target, Multiclass) else _pairs(table, 1 - table)
                for target, table in zip(self.targets, tables, strict=True)
            ],
            axis=1,
        )

    def part(self, values: Floats, number: int) -> Matrix:
        """Return a target's columns, (K, C) or the "on" columns (K, L), of a (K, W) array."""
        chosen = values[:, self.spans[number]].astype(np.float64)
        multiclass = isinstance(self.targets[number], Multiclass)
        return np.asarray(chosen if multiclass else chosen[:, ::2])


def _pairs(on: NDArray[np.generic], off: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.stack([on, off], axis=2).reshape(len(on), -1)
