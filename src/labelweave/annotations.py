"""Annotations: the labels of all tasks for n samples, each element known or missing (-1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labelweave._arguments import a_list, a_mapping, kind_of, labels_of_rows
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tasks import Multiclass, Multilabel, Task, check_distinct, factorize, key

__all__ = ["Annotations"]

Codes = NDArray[np.int64] | NDArray[np.int8]


@dataclass(frozen=True)
class Annotations:
    """Labels of several tasks for the same n samples.

    >>> tasks = (Multiclass("kind", ("ball", "box")), Multiclass("size", ("big", "small")))
    >>> given = Annotations.from_columns(tasks, {"kind": ["box", None], "size": [None, "big"]})
    >>> {name: codes.tolist() for name, codes in given.labels.items()}
    {'kind': [1, -1], 'size': [-1, 0]}

    Args:
        tasks: the tasks, with their classes known.
        labels: per task name the codes: int64 (n,) for a multiclass task, int8 (n, L) for a
            multilabel one; -1 = missing. A task left out is missing everywhere.
        rows: n, needed only when `labels` is empty.

    Raises:
        LabelweaveError: a wrong shape, length or code, or labels of no task.
    """

    tasks: tuple[Task, ...]
    labels: Mapping[str, Codes]
    rows: int | None = None

    def __post_init__(self) -> None:
        check_distinct(a_list("tasks", self.tasks, "a list of tasks"))
        a_mapping("labels", self.labels, "a dictionary by task")
        names = [task.name for task in self.tasks]
        for name in self.labels:
            if name not in names:
                raise LabelweaveError(
                    f"labels of '{name}': no such task, expected {listing(names)}"
                    f"{nearest(name, names)}"
                )
        lengths = {n: len(labels_of_rows(f"labels of '{n}'", c)) for n, c in self.labels.items()}
        if self.rows is not None:
            lengths["rows"] = self.rows
        if len(set(lengths.values())) > 1:
            raise LabelweaveError(f"labels of different lengths: {lengths}")
        n = next(iter(lengths.values()), 0)
        labels = {task.name: _codes(task, self.labels.get(task.name), n) for task in self.tasks}
        object.__setattr__(self, "tasks", tuple(self.tasks))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "rows", n)

    @classmethod
    def from_columns(
        cls,
        tasks: Sequence[Task],
        columns: Mapping[str, Any] | pd.DataFrame,
        *,
        missing: Sequence[object] = (),
    ) -> "Annotations":
        """Build annotations from columns of label values.

        A multiclass or binary task reads the column with its name, a multilabel task one column
        a label (or, under its own name, one block of shape (n, L)). Tasks and labels without a
        column are missing. ``None``, NaN and ``""`` are missing, and so is every value in
        `missing`. Multiclass tasks without classes take them from their column, sorted.

        Raises:
            LabelweaveError: an unknown label, with row (from 1), column, value and nearest name.
        """
        if not isinstance(columns, pd.DataFrame):
            a_mapping("labels", columns, "a dictionary by task, or a data frame")
            columns = {
                name: labels_of_rows(f"column '{name}'", value) for name, value in columns.items()
            }
        n = len(columns) if isinstance(columns, pd.DataFrame) else _length(columns)
        read = _Columns(columns, missing)
        fitted: list[Task] = []
        labels: dict[str, Codes] = {}
        for task in tasks:
            known = task
            if isinstance(task, Multiclass):
                values = read(task.name)
                if getattr(values, "ndim", 1) != 1:
                    raise LabelweaveError(
                        f"task '{task.name}': found labels of several columns, expected one a row"
                    )
                if task.classes is None:
                    if values is None:
                        raise LabelweaveError(
                            f"task '{task.name}': no column '{task.name}' to take its classes from"
                            f"{nearest(task.name, columns.keys())}"
                        )
                    known = task.inferred(values)
                if values is not None:
                    labels[task.name] = known.encode(values)
            else:
                block = _multilabel_codes(task, read, n)
                if block is not None:
                    labels[task.name] = block
            fitted.append(known)
        return cls(tuple(fitted), labels, n)

    def __len__(self) -> int:
        return self.rows or 0

    def __getitem__(self, rows: Any) -> "Annotations":
        """Return the annotations of some rows: indices, a slice or a boolean mask."""
        try:
            labels = {name: np.asarray(codes[rows]) for name, codes in self.labels.items()}
            return Annotations(self.tasks, labels)
        except (IndexError, TypeError, OverflowError):
            raise LabelweaveError(
                f"rows: found {kind_of(rows)}, expected a slice, a mask or numbers below "
                f"{len(self)}"
            ) from None

    def task(self, name: str) -> Task:
        """Return the task of that name, or raise `LabelweaveError` naming the nearest one."""
        for task in self.tasks:
            if task.name == name:
                return task
        names = [task.name for task in self.tasks]
        raise LabelweaveError(f"no task '{name}', expected {listing(names)}{nearest(name, names)}")

    def observed(self, name: str) -> NDArray[np.bool_]:
        """Return which elements of a task are known, in the shape of its labels."""
        return np.asarray(self.labels[self.task(name).name] >= 0)

    def labelled(self, name: str) -> NDArray[np.bool_]:
        """Return which rows carry at least one label of a task, shape (n,)."""
        seen = self.observed(name)
        return seen if seen.ndim == 1 else np.asarray(seen.any(axis=1))

    def keep(self, names: Sequence[str]) -> "Annotations":
        """Return a copy in which only the named tasks keep their labels; the rest is missing."""
        for name in names:
            self.task(name)
        kept = {name: codes for name, codes in self.labels.items() if name in names}
        return Annotations(self.tasks, kept, len(self))

    def only(self, names: Sequence[str]) -> "Annotations":
        """Return a copy that knows the named tasks only, in their own order."""
        for name in names:
            self.task(name)
        tasks = tuple(task for task in self.tasks if task.name in names)
        return Annotations(tasks, {task.name: self.labels[task.name] for task in tasks}, len(self))

    @staticmethod
    def concatenate(parts: Sequence["Annotations"]) -> "Annotations":
        """Return the rows of all parts, in order; the parts must have the same tasks.

        Raises:
            LabelweaveError: the tasks or their classes differ.
        """
        if not parts:
            raise LabelweaveError("found no annotations to join, expected at least one")
        first = parts[0]
        for number, part in enumerate(parts[1:], start=2):
            if part.tasks != first.tasks:
                raise LabelweaveError(
                    f"annotations {number} of {len(parts)} have other tasks or classes than the "
                    f"first, expected the same: {listing(task.name for task in first.tasks)}"
                )
        labels = {
            task.name: np.concatenate([part.labels[task.name] for part in parts])
            for task in first.tasks
        }
        return Annotations(first.tasks, labels)

    def counts(self, name: str) -> NDArray[np.int64]:
        """Return how often each class is labelled (K,), or each label is off and on (L, 2)."""
        task = self.task(name)
        codes = self.labels[name]
        if isinstance(task, Multiclass):
            return np.bincount(codes[codes >= 0], minlength=task.width)
        return np.stack([(codes == 0).sum(axis=0), (codes == 1).sum(axis=0)], axis=1)

    def co_labelled(self) -> pd.DataFrame:
        """Return how many rows carry labels of both tasks, for every pair (tasks x tasks)."""
        names = [task.name for task in self.tasks]
        seen = np.stack([self.labelled(name) for name in names], axis=1).astype(np.float32)
        # float32 sums are exact up to 2**24 rows a block
        blocks = [
            (part.T @ part).astype(np.int64)
            for part in np.array_split(seen, max(1, len(seen) // 10_000_000 + 1))
        ]
        return pd.DataFrame(np.sum(blocks, axis=0), index=names, columns=names)


def _codes(task: Task, given: ArrayLike | None, n: int) -> Codes:
    shape = (n,) if isinstance(task, Multiclass) else (n, task.width)
    codes = np.full(shape, -1) if given is None else np.asarray(given)
    if codes.shape != shape:
        raise LabelweaveError(
            f"labels of '{task.name}': found shape {codes.shape}, expected {shape}"
        )
    if codes.dtype.kind not in "iub":
        raise LabelweaveError(
            f"labels of '{task.name}': found type {codes.dtype}, expected integers (-1 = missing)"
        )
    top = task.width - 1 if isinstance(task, Multiclass) else 1
    if n and codes.size and (codes.min() < -1 or codes.max() > top):
        raise LabelweaveError(
            f"labels of '{task.name}': found codes from {codes.min()} to {codes.max()}, "
            f"expected -1 (missing) to {top}"
        )
    if isinstance(task, Multiclass):
        return codes.astype(np.int64, copy=False)
    return codes.astype(np.int8, copy=False)


class _Columns:
    """Reads a column by name, with the values that stand for missing set to None."""

    def __init__(
        self, columns: Mapping[str, Any] | pd.DataFrame, missing: Sequence[object]
    ) -> None:
        self.columns, self.missing = columns, {key(value) for value in missing}

    def __call__(self, name: str) -> Any | None:
        if name not in self.columns:
            return None
        values = self.columns[name]
        if not self.missing:
            return values
        block = np.array(values, dtype=object)
        codes, uniques = factorize(block.ravel())
        # by key, so that a missing "-9" is also -9 and -9.0
        gone = [code for code, value in enumerate(uniques) if key(value) in self.missing]
        block[np.isin(codes, gone).reshape(block.shape)] = None
        return block


def _multilabel_codes(task: Multilabel, read: _Columns, n: int) -> NDArray[np.int8] | None:
    whole = read(task.name)
    if whole is not None and np.ndim(whole) == 2:
        return task.encode(whole)
    block: NDArray[np.int8] | None = None
    for j, label in enumerate(task.labels):
        values = read(label)
        if values is not None:
            block = np.full((n, task.width), -1, np.int8) if block is None else block
            block[:, j] = task.encode_label(label, values)
    return block


def _length(columns: Mapping[str, Any]) -> int:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise LabelweaveError(f"columns of different lengths: {lengths}")
    return next(iter(lengths.values()), 0)
