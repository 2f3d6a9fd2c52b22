"""Sampling strategies by name: what share of the batches each source has."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from labelweave.annotations import Annotations
from labelweave.balancing.choices import Choice, Options, chosen
from labelweave.balancing.label_shares import label_shares
from labelweave.balancing.sampling import Mixture, Proportional, RoundRobin, Rows, Shares
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.spaces import Space, Uniform
from labelweave.tasks import Binary, Multiclass


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


def sampling(choice: Choice) -> tuple[str, Options]:
    """Return the name and all the options of a sampling strategy.

    Raises:
        LabelweaveError: an unknown name or option, or a value that an option cannot have.
    """
    return chosen("sampling", choice, SAMPLERS)


def sampler(
    choice: Choice,
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
