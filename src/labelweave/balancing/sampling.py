"""Sampling strategies: which rows of which source make up the batch of a training step.

A sampler is a function of the step alone: the rows of any step can be asked for again, which makes
an interrupted training exactly resumable, and every batch has the same size.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError, listing, nearest

Rows = NDArray[np.int64]


class _Shuffled:
    """An endless stream over some rows: one random permutation after the other."""

    def __init__(self, rows: Rows, seed: Sequence[int]) -> None:
        self.rows, self.seed = rows, tuple(seed)
        self.cached: tuple[int, Rows] = (-1, rows)

    def _epoch(self, epoch: int) -> Rows:
        if self.cached[0] != epoch:
            order = np.random.default_rng((*self.seed, epoch)).permutation(len(self.rows))
            self.cached = (epoch, self.rows[order])
        return self.cached[1]

    def slice(self, start: int, stop: int) -> Rows:
        parts: list[Rows] = []
        n = len(self.rows)
        while start < stop:
            epoch, offset = divmod(start, n)
            part = self._epoch(epoch)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return np.concatenate(parts) if parts else self.rows[:0]


class Proportional:
    """Every source has the share of a batch that it has of the data (Kollias et al., AAAI 2024).

    An epoch covers every row exactly once. Within it the sources are dealt evenly: of S sources one
    with the share p of all rows has p times the batch size of rows in a batch, give or take less
    than 1 + p (S - 2), which for two sources is one row.

    Args:
        sources: the row indices of each source, none empty.
        batch_size: rows a batch.
        seed: decides the order.

    Attributes:
        shares: the share of each source in the batches, (S,).
    """

    def __init__(self, sources: Sequence[Rows], batch_size: int, seed: int) -> None:
        self.sources, self.batch_size, self.seed = list(sources), batch_size, seed
        self.total = sum(len(rows) for rows in self.sources)
        self.shares = np.array([len(rows) / self.total for rows in self.sources])
        self.cached: tuple[int, Rows] = (-1, self.sources[0])

    def __call__(self, step: int) -> Rows:
        """Return the rows of one step, (batch_size,)."""
        parts: list[Rows] = []
        start, stop = step * self.batch_size, (step + 1) * self.batch_size
        while start < stop:
            epoch, offset = divmod(start, self.total)
            part = self._epoch(epoch)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return np.concatenate(parts)

    def _epoch(self, epoch: int) -> Rows:
        if self.cached[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            rows = [rng.permutation(source) for source in self.sources]
            # row i of n stands at (i + u) / n, so that any stretch holds every source's share
            places = [(np.arange(len(r)) + rng.random()) / len(r) for r in rows]
            order = np.argsort(np.concatenate(places), kind="stable")
            self.cached = (epoch, np.concatenate(rows)[order])
        return self.cached[1]


class Temperature:
    """A source of n rows gets a share of every batch proportional to n^alpha.

    Every source is walked through in random order, again and again. Counts per batch are whole
    numbers whose running sums stay within one row of the exact shares.

    Args:
        sources: the row indices of each source, none empty.
        batch_size: rows a batch.
        seed: decides the order.
        alpha: 1 = proportional shares, 0 = equal shares.

    Attributes:
        shares: the share of each source in the batches, (S,).
    """

    def __init__(
        self, sources: Sequence[Rows], batch_size: int, seed: int, alpha: float = 0.5
    ) -> None:
        self.batch_size = batch_size
        sizes = np.array([len(rows) for rows in sources], dtype=np.float64)
        self.shares = sizes**alpha / (sizes**alpha).sum()
        self.streams = [_Shuffled(rows, (seed, i)) for i, rows in enumerate(sources)]
        self.starts = [[0] * len(sources)]

    def _counts(self, step: int) -> list[int]:
        """Return how many rows each source has given before a step."""
        # few sources a step, many steps: plain numbers take a tenth of the time of arrays
        shares: list[float] = self.shares.tolist()
        while len(self.starts) <= step + 1:
            done, now = self.starts[-1], len(self.starts)
            due = [s * self.batch_size * now - d for s, d in zip(shares, done, strict=True)]
            counts = [max(math.floor(each + 1e-9), 0) for each in due]
            # the rest of the batch: the sources whose next row is due first, none ahead of time
            deadlines = [
                math.inf if owed - count < 1e-9 else (d + count + 1) / share
                for owed, count, d, share in zip(due, counts, done, shares, strict=True)
            ]
            rest = self.batch_size - sum(counts)
            for i in sorted(range(len(shares)), key=deadlines.__getitem__)[:rest]:
                counts[i] += 1
            self.starts.append([d + count for d, count in zip(done, counts, strict=True)])
        return self.starts[step]

    def __call__(self, step: int) -> Rows:
        """Return the rows of one step, (batch_size,)."""
        stops, starts = self._counts(step + 1), self._counts(step)
        return np.concatenate(
            [
                stream.slice(start, stop)
                for stream, start, stop in zip(self.streams, starts, stops, strict=True)
            ]
        )


class Equal(Temperature):
    """Every source has the same share of every batch, whatever its size."""

    def __init__(self, sources: Sequence[Rows], batch_size: int, seed: int) -> None:
        super().__init__(sources, batch_size, seed, alpha=0.0)


Sampler = Callable[[int], Rows]
SAMPLERS: dict[str, Callable[[Sequence[Rows], int, int], Proportional | Temperature]] = {
    "proportional": Proportional,
    "equal": Equal,
    "temperature": Temperature,
}


def sampler(
    name: str, sources: Sequence[Rows], batch_size: int, seed: int
) -> Proportional | Temperature:
    """Return the sampling strategy of that name over the row indices of each source.

    Sources without rows are left out.

    Raises:
        LabelweaveError: an unknown name, a batch size below 1, or no row at all.
    """
    if name not in SAMPLERS:
        raise LabelweaveError(
            f"unknown sampling '{name}', expected {listing(SAMPLERS)}{nearest(name, SAMPLERS)}"
        )
    filled = [np.asarray(rows, dtype=np.int64) for rows in sources if len(rows)]
    if not filled or batch_size < 1:
        raise LabelweaveError(
            f"sampling: found {len(filled)} sources with rows and a batch size of {batch_size}, "
            "expected at least one of each"
        )
    return SAMPLERS[name](filled, batch_size, seed)
