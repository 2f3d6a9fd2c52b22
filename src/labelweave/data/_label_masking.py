"""Scattering: hide labels that exist, to study what scattered labels would do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave._messages import Message, Text, some
from labelweave.annotations import Annotations, Codes
from labelweave.errors import LabelweaveError, listing
from labelweave.tasks import Multiclass

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """One of the sources that labels are scattered over.

    Args:
        name: the part's name.
        tasks: the tasks whose labels its rows keep.
        per_class: take this many rows of every class of the first task, which is multiclass.
        rows: take this many rows (int) or this share of all training rows (float). With neither,
            the part takes all rows left, and must be the last.

    Raises:
        LabelweaveError: no name or task, both sizes given, or one out of range.
    """

    name: str
    tasks: tuple[str, ...]
    per_class: int | None = None
    rows: int | float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        place = f"part '{self.name}'"
        if not self.name or not self.tasks:
            raise LabelweaveError(f"{place}: found tasks {self.tasks}, expected a name and a task")
        if self.per_class is not None and self.rows is not None:
            raise LabelweaveError(f"{place}: found both per_class and rows, expected one of them")
        if self.per_class is not None and self.per_class < 1:
            raise LabelweaveError(f"{place}: found per_class {self.per_class}, expected 1 or more")
        if self.rows is not None and not (
            0 < self.rows <= 1 if isinstance(self.rows, float) else self.rows >= 1
        ):
            raise LabelweaveError(
                f"{place}: found rows {self.rows}, expected a share up to 1.0 or a whole number"
            )


@dataclass(frozen=True, eq=False)
class Scattered:
    """Training rows spread over parts, n of them.

    Args:
        rows: the rows kept, indices into the full annotations, (n,); part after part, ascending.
        source: the index of each row's part in `names`, (n,).
        names: the parts' names.
        annotations: the annotations of exactly these rows, those of other tasks hidden.
        notes: classes with fewer rows than asked for, a line each part.
    """

    rows: Rows
    source: NDArray[np.int64]
    names: tuple[str, ...]
    annotations: Annotations
    notes: tuple[Text, ...] = ()


def scatter(
    annotations: Annotations, rows: Rows, parts: Sequence[Part], seed: int = 0
) -> Scattered:
    """Spread training rows over parts, each of which keeps only the labels of its tasks.

    The parts take their rows in turn and without overlap, always in the same random order of all
    rows. With the same seed a part that asks for more therefore gets its former rows and others,
    as long as the parts before it are the same: label curves are nested.

    Args:
        annotations: the annotations of all rows.
        rows: the training rows, indices into `annotations`.
        parts: the parts, in the order in which they take rows.
        seed: decides the order of the rows.

    Raises:
        LabelweaveError: an unknown task, `per_class` of a task that is not multiclass, more rows
            than are left, or a part without size that is not the last.
    """
    _check_parts(parts)
    rows = np.unique(np.asarray(rows, dtype=np.int64))
    left = np.random.default_rng(seed).permutation(rows)
    taken: list[Rows] = []
    notes: list[Text] = []
    for part in parts:
        chosen = _choose(annotations, part, left, len(rows), notes)
        taken.append(np.sort(left[chosen]))
        left = left[~chosen]
    kept = np.concatenate(taken)
    source = np.repeat(np.arange(len(parts)), [len(part) for part in taken])
    names = tuple(part.name for part in parts)
    hidden = _hidden(annotations[kept], source, parts)
    return Scattered(kept, source, names, hidden, tuple(notes))


def _check_parts(parts: Sequence[Part]) -> None:
    if not parts:
        raise LabelweaveError("found no part to scatter rows over, expected at least one")
    names = [part.name for part in parts]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise LabelweaveError(f"parts named twice: {listing(repeated)}")
    for part in parts[:-1]:
        if part.per_class is None and part.rows is None:
            raise LabelweaveError(
                f"part '{part.name}': found no per_class or rows, which only the last part may lack"
            )


def _choose(
    annotations: Annotations, part: Part, left: Rows, n: int, notes: list[Text]
) -> NDArray[np.bool_]:
    """Return which of the rows left a part takes, and note classes that are too small."""
    for name in part.tasks:
        annotations.task(name)
    if part.per_class is not None:
        return _choose_per_class(annotations, part, left, notes)
    size = len(left)
    if part.rows is not None:
        # a share of 0.29 of 100 rows is 29, though its product in floats is just below
        size = int(part.rows * n + 1e-6) if isinstance(part.rows, float) else part.rows
    if size > len(left):
        raise LabelweaveError(f"part '{part.name}': found {len(left)} rows left, expected {size}")
    return np.arange(len(left)) < size


def _choose_per_class(
    annotations: Annotations, part: Part, left: Rows, notes: list[Text]
) -> NDArray[np.bool_]:
    task, per_class = annotations.task(part.tasks[0]), part.per_class or 0
    if not isinstance(task, Multiclass):
        raise LabelweaveError(
            f"part '{part.name}': per_class needs a multiclass task first, found '{task.name}'"
        )
    codes = annotations.labels[task.name][left]
    chosen = np.zeros(len(left), dtype=np.bool_)
    few = []
    for code, name in enumerate(task.names):
        found = np.flatnonzero(codes == code)[:per_class]
        chosen[found] = True
        if len(found) < per_class:
            few.append(f"{name}: {len(found)}")
    if few:
        notes.append(
            Message("note.few_rows", {"part": part.name, "least": per_class, "classes": some(few)})
        )
    return chosen


def _hidden(
    annotations: Annotations, source: NDArray[np.int64], parts: Sequence[Part]
) -> Annotations:
    labels: dict[str, Codes] = {}
    for name, codes in annotations.labels.items():
        hidden = np.array([name not in part.tasks for part in parts])[source]
        labels[name] = codes.copy()
        labels[name][hidden] = -1
    return Annotations(annotations.tasks, labels, len(annotations))


def label_order(
    annotations: Annotations, name: str, rows: NDArray[np.int64], source: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int64]:  # fmt: skip
    """Return `rows` in an order of which every beginning has its share of classes and sources.

    The rows of a stratum (source and class; of a multilabel task the rarest label that is on) are
    shuffled and spread evenly over the order. With two rows in each of many strata the first tenth
    holds one row of a fifth of them.

    Args:
        annotations: the labels of n rows.
        name: the task.
        rows: rows that carry its labels.
        source: the source of each of the n rows, (n,).
        seed: decides the order.
    """
    if not len(rows):
        return rows
    codes = annotations.labels[name][rows]
    classes = codes
    if not isinstance(annotations.task(name), Multiclass):
        on = codes == 1
        rarity = np.where(on, on.sum(axis=0), len(rows) + 1)
        classes = np.where(on.any(axis=1), rarity.argmin(axis=1), codes.shape[1])
    pairs = np.stack([source[rows], classes], axis=1)
    _, stratum, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(rows))
    stratum = stratum.ravel()[shuffled]
    by_stratum = np.argsort(stratum, kind="stable")
    rank = np.empty(len(rows))
    rank[by_stratum] = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = (rank + generator.random(len(sizes))[stratum]) / sizes[stratum]
    return rows[shuffled[np.argsort(place, kind="stable")]]


def only_rows(codes: Codes, rows: NDArray[np.int64]) -> Codes:
    """Return the labels of some rows, those of all others missing."""
    kept = np.full_like(codes, -1)
    kept[rows] = codes[rows]
    return kept
