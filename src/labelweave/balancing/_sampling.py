"""Sampling strategies by name: what share of the batches each source has."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from labelweave._options import Named, Options, resolve
from labelweave._search_space import Space, Uniform
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tasks import Binary, Multiclass

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

    An epoch covers every row exactly once. Within it the sources are spread evenly: of S sources
    one with the share p of all rows has p times the batch size of rows in a batch, give or take
    less than 1 + p (S - 2), which for two sources is one row.

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


TIE = 1e-2  # how strongly shares are drawn to those of the rows where the tasks leave a choice


def elements_per_row(sources: Sequence[Rows], annotations: Annotations) -> NDArray[np.float64]:
    """Return the mean number of labelled elements of a source's row, (tasks, sources)."""
    columns = []
    for task in annotations.tasks:
        seen = annotations.observed(task.name)
        per_row = seen if seen.ndim == 1 else seen.sum(axis=1)
        columns.append([float(per_row[rows].mean()) for rows in sources])
    return np.array(columns)


def label_shares(sources: Sequence[Rows], annotations: Annotations) -> NDArray[np.float64]:
    """Return the shares of the sources, (S,), by which the tasks come nearest to equal counts.

    With A[t, d] labelled elements of task t in a row of source d, min |A x - 1|^2 over x >= 0 and
    shares x / sum x: relative differences count, whatever the batch size. Sources that label the
    same share it by their rows. A source without any label keeps the share of its rows, for the
    couplings. A source may get nothing, where all that it labels is plentiful elsewhere.

    Args:
        sources: the row indices of each source, none empty.
        annotations: the labels of the rows; tasks without any label do not count.
    """
    sizes = np.array([len(rows) for rows in sources], dtype=np.float64)
    rows: NDArray[np.float64] = sizes / sizes.sum()
    A = elements_per_row(sources, annotations)
    A = A[A.sum(axis=1) > 0]
    labelled = A.sum(axis=0) > 0
    if not labelled.any():
        return rows
    A, own = A[:, labelled], rows[labelled]
    per_batch = A @ own
    # the row shares, as near to it as can be
    start = own * per_batch.sum() / (per_batch @ per_batch)
    # per unit of x, so that sources with many labels a row are not held back less
    tie = TIE * np.diag(np.linalg.norm(A, axis=0))
    from scipy.optimize import nnls  # takes a second to load

    x, _ = nnls(np.vstack([A, tie]), np.concatenate([np.ones(len(A)), tie @ start]))
    shares = rows.copy()
    shares[labelled] = own.sum() * x / x.sum()
    return shares


class SamplingOptions(Options):
    """balance: a multiclass or binary task; its classes are then drawn equally often."""

    balance: str | None = None


class TemperatureOptions(SamplingOptions):
    """alpha: 1 = proportional, 0 = equal; balance: as in the others."""

    short = "alpha"
    space: ClassVar[Space] = {"alpha": Uniform(0.0, 1.0)}
    alpha: float = Field(default=0.5, ge=0, le=1)


SAMPLERS: dict[str, type[Options]] = {
    "proportional": SamplingOptions,
    "equal": SamplingOptions,
    "temperature": TemperatureOptions,
    "round_robin": SamplingOptions,
    "labels": SamplingOptions,
}
TITLES = {
    "proportional": "as the source has of all rows; an epoch covers every row once",
    "equal": "the same for every source",
    "temperature": "proportional to rows ^ alpha; a bare number is alpha: `{temperature: 0.3}`",
    "round_robin": "batches of one source, in turn",
    "labels": "so that all tasks have equally many labelled elements, as far as possible",
}


def sampling(choice: Named) -> tuple[str, Options]:
    """Return the name and all the options of a sampling strategy.

    Raises:
        LabelweaveError: an unknown name or option, or a value that an option cannot have.
    """
    return resolve("sampling", choice, SAMPLERS)


def sampler(
    choice: Named,
    sources: Sequence[Rows],
    batch_size: int,
    seed: int,
    annotations: Annotations | None = None,
    tasks: Sequence[str] | None = None,
) -> Mixture:
    """Return a sampling strategy over the row indices of each source.

    Sources without rows are left out.

    Args:
        choice: a name of `SAMPLERS`, or one with its options.
        sources: the row indices of each source.
        batch_size: rows a batch; all of them where there are fewer, so that none is in it twice
            for want of rows.
        seed: decides the order.
        annotations: the labels of the rows; only `labels` and the option `balance` ask for them.
        tasks: the tasks that are trained, for `labels`; None = all.

    Raises:
        LabelweaveError: an unknown name or option, a task that cannot be balanced, a batch size
            below 1, or no row at all.
    """
    name, options = sampling(choice)
    filled = [np.asarray(rows, dtype=np.int64) for rows in sources if len(rows)]
    if not filled or batch_size < 1:
        raise LabelweaveError(
            f"sampling: found {len(filled)} sources with rows and a batch size of {batch_size}, "
            "expected at least one of each"
        )
    batch_size = min(batch_size, sum(map(len, filled)))
    balance: str | None = options.balance  # type: ignore[attr-defined]
    if name == "proportional" and balance is None:
        return Proportional(filled, batch_size, seed)
    parts = [([rows], np.ones(1)) for rows in filled]
    if balance is not None:
        codes = _class_codes(balance, _needed(name, annotations))
        parts = [class_groups(rows, codes) for rows in filled]
    if name == "round_robin":
        return RoundRobin(
            [
                Shares(groups, shares, batch_size, seed + i)
                for i, (groups, shares) in enumerate(parts)
            ]
        )
    of_source = _shares(name, options, filled, annotations, tasks)
    # a source that gets nothing, as one without rows
    kept = [i for i in range(len(filled)) if of_source[i] > 0]
    groups = [group for i in kept for group in parts[i][0]]
    return Shares(
        groups, np.concatenate([of_source[i] * parts[i][1] for i in kept]), batch_size, seed
    )


def class_groups(rows: Rows, codes: NDArray[np.int64]) -> tuple[list[Rows], NDArray[np.float64]]:
    """Return a source's rows by class, those without a label last, and the share of each group.

    The labelled rows keep their share of the source, of which every class that is there gets the
    same part.

    Args:
        rows: the row indices of the source.
        codes: the class of every row of the data, -1 = missing.
    """
    own = codes[rows]
    groups = [rows[own == c] for c in np.unique(own[own >= 0])]
    labelled = (own >= 0).mean()
    shares = [labelled / max(len(groups), 1)] * len(groups)
    if labelled < 1:
        groups, shares = [*groups, rows[own < 0]], [*shares, 1 - labelled]
    return groups, np.array(shares)


def _shares(
    name: str,
    options: Any,
    sources: Sequence[Rows],
    annotations: Annotations | None,
    tasks: Sequence[str] | None,
) -> NDArray[np.float64]:
    def by_labels() -> NDArray[np.float64]:
        labels = _needed(name, annotations)
        return label_shares(sources, labels if tasks is None else labels.only(tasks))

    sizes = np.array([len(rows) for rows in sources], dtype=np.float64)
    by_name: dict[str, Callable[[], NDArray[np.float64]]] = {
        "proportional": lambda: sizes,
        "equal": lambda: np.ones(len(sizes)),
        "temperature": lambda: sizes**options.alpha,
        "labels": by_labels,
    }
    found = by_name[name]()
    return np.asarray(found / found.sum())


def _needed(name: str, annotations: Annotations | None) -> Annotations:
    if annotations is None:
        raise LabelweaveError(f"sampling '{name}': found no annotations, expected the rows' labels")
    return annotations


def _class_codes(name: str, annotations: Annotations) -> NDArray[np.int64]:
    known = {task.name: task for task in annotations.tasks}
    place = "sampling: option 'balance'"
    fitting = [n for n, task in known.items() if isinstance(task, Multiclass | Binary)]
    if name not in fitting:
        what = f"'{name}' has several labels" if name in known else f"no task '{name}'"
        raise LabelweaveError(
            f"{place}: {what}, expected a multiclass or binary task: {listing(fitting) or 'none'}"
            f"{nearest(name, fitting)}"
        )
    codes = annotations.labels[name]
    return np.asarray(codes if codes.ndim == 1 else codes[:, 0], dtype=np.int64)
