"""Batches of a table that stays on disk: row groups in random order, shuffled in a buffer."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data._batches import Batch, Batches, label_tensors, tensor

Rows = NDArray[np.int64]


class BlockShuffled:
    """Batches whose rows lie in few row groups, so that a table need not be in memory.

    An epoch covers every row exactly once: the row groups are put in random order and joined to
    blocks of at least `buffer` rows, and the rows of a block are shuffled. So two rows that are far
    apart in the file may meet in a batch, if their groups are in one block. All is decided by seed
    and epoch.

    Args:
        group_rows: rows of each row group, (G,).
        batch_size: rows a batch; all rows where there are fewer.
        seed: decides the order.
        buffer: least rows of a block.
    """

    def __init__(
        self, group_rows: NDArray[np.int64], batch_size: int, seed: int, buffer: int
    ) -> None:
        self.group_rows, self.seed, self.buffer = group_rows, seed, buffer
        self.total = int(group_rows.sum())
        self.batch_size = min(batch_size, self.total)
        self.starts = np.cumsum(group_rows) - group_rows
        self.cached: tuple[int, list[Rows], Rows] = (-1, [], group_rows[:0])
        self.shuffled: tuple[tuple[int, int], Rows] = ((-1, -1), group_rows[:0])

    def blocks(self, epoch: int) -> tuple[list[Rows], Rows]:
        """Return the row groups of every block of an epoch, and where each block ends, (B,)."""
        if self.cached[0] != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.group_rows))
            order = order[self.group_rows[order] > 0]
            filled = np.cumsum(self.group_rows[order])
            number = (filled - self.group_rows[order]) // self.buffer
            blocks = [np.sort(order[number == each]) for each in np.unique(number)]
            ends = np.cumsum([self.group_rows[block].sum() for block in blocks])
            self.cached = (epoch, blocks, ends)
        return self.cached[1:]

    def pieces(self, step: int) -> Iterator[tuple[int, int, Rows]]:
        """Give the parts of a batch: epoch, block, and the rows' places in the block."""
        start, stop = step * self.batch_size, (step + 1) * self.batch_size
        while start < stop:
            epoch, offset = divmod(start, self.total)
            _, ends = self.blocks(epoch)
            block = int(np.searchsorted(ends, offset, side="right"))
            before = int(ends[block - 1]) if block else 0
            most = min(stop - start, int(ends[block]) - offset)
            order = self._order(epoch, block, int(ends[block]) - before)
            yield epoch, block, order[offset - before : offset - before + most]
            start += most

    def _order(self, epoch: int, block: int, rows: int) -> Rows:
        if self.shuffled[0] != (epoch, block):
            order = np.random.default_rng((self.seed, epoch, block)).permutation(rows)
            self.shuffled = ((epoch, block), order)
        return self.shuffled[1]

    def rows(self, epoch: int, block: int) -> Rows:
        """Return the numbers of a block's rows in the file."""
        groups = self.blocks(epoch)[0][block]
        return np.concatenate(
            [self.starts[g] + np.arange(self.group_rows[g], dtype=np.int64) for g in groups]
        )

    def __call__(self, step: int) -> Rows:
        """Return the rows of one step, (batch_size,)."""
        parts = [self.rows(epoch, block)[at] for epoch, block, at in self.pieces(step)]
        return np.concatenate(parts)


class StreamedBatches(Batches):
    """The training batches of a table on disk, one block of which is in memory.

    Args:
        read: from numbers of row groups to their encoded rows, float32 (m, d).
        annotations: the labels of all n rows.
        sampler: which rows, step by step.
        device: where to make the batches.
        shard: (index, number) of this process in a data-parallel run.
    """

    def __init__(
        self,
        read: Callable[[Sequence[int]], NDArray[np.float32]],
        annotations: Annotations,
        sampler: BlockShuffled,
        device: torch.device | str = "cpu",
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        self.device, self.shard = torch.device(device), shard
        self.labels = label_tensors(annotations, "cpu")
        self.source, self.teachers = None, {}
        self.blocks, self.sampler, self._read = sampler, sampler, read
        self.held: tuple[tuple[int, int], torch.Tensor, Rows] | None = None

    def __getitem__(self, step: int) -> Batch:
        index, number = self.shard
        inputs, rows = [], []
        for epoch, block, places in self.blocks.pieces(step):
            features, numbers = self._block(epoch, block)
            inputs.append(features.index_select(0, torch.from_numpy(places)))
            rows.append(numbers[places])
        chosen = torch.from_numpy(np.concatenate(rows)[index::number])
        return Batch(
            torch.cat(inputs)[index::number].to(self.device),
            {n: codes.index_select(0, chosen).to(self.device) for n, codes in self.labels.items()},
            None,
            {},
        )

    def _block(self, epoch: int, block: int) -> tuple[torch.Tensor, Rows]:
        if self.held is None or self.held[0] != (epoch, block):
            self.held = None  # the former block is freed before the next one is read
            groups = self.blocks.blocks(epoch)[0][block]
            features = tensor(self._read(groups.tolist()), "cpu")
            self.held = ((epoch, block), features, self.blocks.rows(epoch, block))
        return self.held[1:]
