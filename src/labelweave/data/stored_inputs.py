"""Inputs that stay in memory-mapped arrays, or files, until a batch of them is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Block:
    """n rows of an array that many folds share.

    Attributes:
        array: all rows, (N, ...), mostly memory-mapped.
        index: where the n rows are in it, int64 (n,).
        keys: what tells their contents apart, (n,), or the rows themselves.
        mean: what is taken off floats, (d,); None = they are taken as they are.
        scale: what they are divided by after that, (d,).
    """

    array: NDArray[Any]
    index: NDArray[np.int64]
    keys: NDArray[Any]
    mean: Statistic = None
    scale: Statistic = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a row."""
        return self.array.shape[1:]

    @property
    def row_bytes(self) -> int:
        """The bytes of a row where it is stored."""
        return int(np.prod(self.shape)) * self.array.dtype.itemsize

    def rows(self, chosen: Any) -> "Block":
        """Return the block of some of the rows."""
        return replace(self, index=self.index[chosen], keys=self.keys[chosen])

    def read(self) -> NDArray[Any]:
        """Return the rows in memory, (n, ...); floats of any kind as float32, standardised."""
        return _standardised(self.array[self.index], self.mean, self.scale)


class Reader(Protocol):
    """What can read values, such as the paths of images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what a value becomes."""
        ...

    def read(self, values: Sequence[str]) -> NDArray[Any]:
        """Return what n values become, (n, *shape)."""
        ...


@dataclass(frozen=True, eq=False)
class Unread:
    """n rows that are read from files, or computed, each time they are wanted.

    Attributes:
        reader: reads them.
        values: what it reads, (n,).
        mean: what is taken off floats, (d,); None = they are taken as they are.
        scale: what they are divided by after that, (d,).
    """

    reader: Reader
    values: NDArray[np.object_]
    mean: Statistic = None
    scale: Statistic = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a row."""
        return self.reader.shape

    @property
    def row_bytes(self) -> int:
        """About the bytes of a row."""
        return int(np.prod(self.shape))

    def rows(self, chosen: Any) -> "Unread":
        """Return the block of some of the rows."""
        return replace(self, values=self.values[chosen])

    def read(self) -> NDArray[Any]:
        """Read the rows, (n, ...); floats of any kind as float32, standardised."""
        return _standardised(self.reader.read(list(self.values)), self.mean, self.scale)


class StoredInputs:
    """n rows of inputs, gathered when asked for: one block, or floats of several side by side.

    ``inputs[rows]`` picks rows and reads nothing; ``np.asarray(inputs)`` reads.

    Args:
        blocks: of the same n rows; several hold floats of shape (n, d).
    """

    def __init__(self, blocks: Sequence[Block | Unread]) -> None:
        self.blocks = tuple(blocks)

    def __len__(self) -> int:
        return len(self.blocks[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the rows together."""
        if len(self.blocks) == 1:
            return (len(self), *self.blocks[0].shape)
        return len(self), sum(block.shape[0] for block in self.blocks)

    @property
    def row_bytes(self) -> int:
        """The bytes of a row where it is stored."""
        return sum(block.row_bytes for block in self.blocks)

    def __getitem__(self, chosen: Any) -> "StoredInputs":
        return StoredInputs([block.rows(chosen) for block in self.blocks])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        parts = [block.read() for block in self.blocks]
        found = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return found if dtype is None else found.astype(dtype, copy=False)

    def content(self) -> list[NDArray[Any]]:
        """Return what tells these rows from others, to be hashed; nothing stored is read."""
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        parts = [part for block in blocks for part in (block.keys, block.mean, block.scale)]
        return [part for part in parts if part is not None]


Inputs = NDArray[np.float32] | StoredInputs


def as_keys(keys: ArrayLike) -> NDArray[Any]:
    """Return content keys in the form of `Block.keys`, 32 bytes each."""
    return np.asarray(keys, dtype="S32")


def _standardised(found: NDArray[Any], mean: Statistic, scale: Statistic) -> NDArray[Any]:
    if not np.issubdtype(found.dtype, np.floating):
        return found
    values: NDArray[np.float32] = found.astype(np.float32)
    return values if mean is None or scale is None else (values - mean) / scale
