"""Samplers: which rows make up the batch of a training step.

A sampler is a function of the step alone: the rows of any step can be asked for again, which makes
an interrupted training exactly resumable, and every batch has the same size. Of the global batch
each process of a data-parallel run takes its part, so that no row is drawn twice for another.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rows = NDArray[np.int64]
Sampler = Callable[[int], Rows]


class Mixture(Protocol):
    """A sampler that says what it mixes.

    Attributes:
        groups: the row indices of each group, such as a source; every row of one is as likely.
        shares: the share of each group in the batches, (S,).
        batch_size: rows a batch.
    """

    groups: list[Rows]
    shares: NDArray[np.float64]
    batch_size: int

    def __call__(self, step: int) -> Rows:
        """Return the rows of one step, (batch_size,)."""
        ...


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
        groups: the sources.
        shares: the share of each source in the batches, (S,).
    """

    def __init__(self, sources: Sequence[Rows], batch_size: int, seed: int) -> None:
        self.groups, self.batch_size, self.seed = list(sources), batch_size, seed
        self.total = sum(len(rows) for rows in self.groups)
        self.shares = np.array([len(rows) / self.total for rows in self.groups])
        self.cached: tuple[int, Rows] = (-1, self.groups[0])

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
            rows = [rng.permutation(source) for source in self.groups]
            # row i of n stands at (i + u) / n, so that any stretch holds every source's share
            places = [(np.arange(len(r)) + rng.random()) / len(r) for r in rows]
            order = np.argsort(np.concatenate(places), kind="stable")
            self.cached = (epoch, np.concatenate(rows)[order])
        return self.cached[1]


class Shares:
    """Every group of rows has a given share of every batch.

    Each group is walked through in random order, again and again. Counts per batch are whole
    numbers whose running sums stay within one row of the exact shares.

    Args:
        groups: the row indices of each group, none empty.
        shares: the share of each group, (S,), none 0.
        batch_size: rows a batch.
        seed: decides the order.
    """

    def __init__(
        self, groups: Sequence[Rows], shares: ArrayLike, batch_size: int, seed: int
    ) -> None:
        self.groups, self.batch_size = list(groups), batch_size
        found = np.asarray(shares, dtype=np.float64)
        self.shares = found / found.sum()
        self.streams = [_Shuffled(rows, (seed, i)) for i, rows in enumerate(groups)]
        self.starts = [[0] * len(groups)]

    def _counts(self, step: int) -> list[int]:
        """Return how many rows each group has given before a step."""
        # few groups a step, many steps: plain numbers take a tenth of the time of arrays
        shares: list[float] = self.shares.tolist()
        while len(self.starts) <= step + 1:
            done, now = self.starts[-1], len(self.starts)
            due = [s * self.batch_size * now - d for s, d in zip(shares, done, strict=True)]
            counts = [max(math.floor(each + 1e-9), 0) for each in due]
            # the rest of the batch: the groups whose next row is due first, none ahead of time
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


class Temperature(Shares):
    """A source of n rows gets a share of every batch proportional to n^alpha.

    Args:
        sources: the row indices of each source, none empty.
        batch_size: rows a batch.
        seed: decides the order.
        alpha: 1 = proportional shares, 0 = equal shares.
    """

    def __init__(
        self, sources: Sequence[Rows], batch_size: int, seed: int, alpha: float = 0.5
    ) -> None:
        sizes = np.array([len(rows) for rows in sources], dtype=np.float64)
        super().__init__(sources, sizes**alpha / (sizes**alpha).sum(), batch_size, seed)


class Equal(Temperature):
    """Every source has the same share of every batch, whatever its size."""

    def __init__(self, sources: Sequence[Rows], batch_size: int, seed: int) -> None:
        super().__init__(sources, batch_size, seed, alpha=0.0)


class RoundRobin:
    """Sources take turns: a batch comes from one source, the next one from the next.

    Every source has the same share of the steps. A batch lacks the tasks that its source does not
    label, so a step learns these only through couplings: for comparison with published methods.

    Args:
        mixtures: of each source, what mixes its rows (`Shares`).
    """

    def __init__(self, mixtures: Sequence[Shares]) -> None:
        self.mixtures = list(mixtures)
        self.batch_size = self.mixtures[0].batch_size
        self.groups = [rows for mixture in self.mixtures for rows in mixture.groups]
        shares = np.concatenate([mixture.shares for mixture in self.mixtures])
        self.shares = shares / len(self.mixtures)

    def __call__(self, step: int) -> Rows:
        """Return the rows of one step, (batch_size,)."""
        turn, source = divmod(step, len(self.mixtures))
        return self.mixtures[source](turn)
