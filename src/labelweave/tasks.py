"""Tasks: what is to be predicted, under which names, and how a label becomes an integer.

A label is compared by its *key*: the text a person would write for it, so that ``1``, ``1.0`` and
``"1"`` are one label whichever file they came from. ``None``, NaN and ``""`` are missing labels and
are encoded as -1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError, listing, nearest

Label = str | int | bool

ON = frozenset({"1", "true", "yes"})
OFF = frozenset({"0", "false", "no"})


def key(value: object) -> str:
    """Return the text under which a label value is compared: ``1.0`` and ``1`` give ``"1"``."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def factorize(values: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """Return a code for every value (-1 = missing) and the distinct values in order of appearance.

    `values` is anything of one dimension: a list, array, pandas series or categorical. ``None``,
    NaN and ``""`` are missing. Linear in the number of values.
    """
    codes, distinct = pd.factorize(values if hasattr(values, "dtype") else _column(values))
    uniques = [value.item() if isinstance(value, np.generic) else value for value in list(distinct)]
    codes = codes.astype(np.int64, copy=False)
    if "" in uniques:
        empty = uniques.index("")
        codes[codes == empty] = -1
        codes[codes > empty] -= 1
        del uniques[empty]
    return codes, uniques


def _column(values: Sequence[object]) -> NDArray[Any]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _unknown(task: "Task", value: object, codes: NDArray[np.int64], code: int) -> LabelweaveError:
    row = int(np.argmax(codes == code)) + 1
    return LabelweaveError(
        f"row {row}, column '{task.name}': unknown label '{value}'; "
        f"expected {listing(task.names)}{nearest(value, task.names)}"
    )


def _check_names(name: str, kind: str, names: Sequence[object]) -> None:
    if not name:
        raise LabelweaveError("a task needs a name, found an empty one")
    keys = [key(value) for value in names]
    if len(keys) < (2 if kind == "classes" else 1):
        raise LabelweaveError(f"task '{name}': found {len(keys)} {kind}, expected at least two")
    repeated = sorted({k for k in keys if keys.count(k) > 1})
    if repeated:
        raise LabelweaveError(f"task '{name}': {kind} named twice: {listing(repeated)}")


@dataclass(frozen=True)
class Multiclass:
    """A task of mutually exclusive classes (softmax).

    Args:
        name: the task's name, also the column that holds its labels.
        classes: the classes in the order of the network's outputs; None = take them from the data,
            sorted (see `inferred`).

    Raises:
        LabelweaveError: fewer than two classes, or a class named twice.
    """

    name: str
    classes: tuple[Label, ...] | None = None
    kind: Literal["multiclass"] = "multiclass"

    def __post_init__(self) -> None:
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(self.classes))
            _check_names(self.name, "classes", self.classes or ())

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as text, in the order of the network's outputs."""
        return tuple(key(value) for value in self._classes)

    @property
    def width(self) -> int:
        """The number of classes, which is the number of the head's outputs."""
        return len(self._classes)

    @property
    def _classes(self) -> tuple[Label, ...]:
        if self.classes is None:
            raise LabelweaveError(f"task '{self.name}': its classes are not known yet")
        return self.classes

    def inferred(self, values: Any) -> Self:
        """Return this task with the classes found in `values`, sorted (numbers by value)."""
        _, uniques = factorize(values)
        by_key = {key(value): value for value in uniques}
        if len(by_key) < 2:
            found = listing(by_key) or "no label at all"
            raise LabelweaveError(
                f"column '{self.name}': found {found}, expected at least two classes"
            )
        texts = any(isinstance(value, str) for value in by_key.values())
        order = sorted(by_key) if texts else sorted(by_key, key=lambda k: float(by_key[k]))
        whole = [
            int(v) if isinstance(v, float) and v.is_integer() else v
            for v in (by_key[k] for k in order)
        ]
        return type(self)(self.name, tuple(key(v) if isinstance(v, float) else v for v in whole))

    def encode(self, values: Any) -> NDArray[np.int64]:
        """Return the class index of every value, shape (n,), -1 = missing.

        Raises:
            LabelweaveError: a value is no class of the task; names row (from 1), column and value.
        """
        codes, uniques = factorize(values)
        index = {name: i for i, name in enumerate(self.names)}
        lookup = np.full(len(uniques) + 1, -1, dtype=np.int64)
        for code, value in enumerate(uniques):
            if key(value) not in index:
                raise _unknown(self, value, codes, code)
            lookup[code] = index[key(value)]
        return lookup[codes]

    def decode(self, indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the classes of indices, shape (n,); -1 becomes None."""
        classes = np.empty(self.width + 1, dtype=object)
        classes[: self.width] = self._classes
        classes[self.width] = None
        decoded = classes[indices]
        return decoded if (np.asarray(indices) < 0).any() else np.array(decoded.tolist())


@dataclass(frozen=True)
class Multilabel:
    """A task of L binary labels (a sigmoid each); any element may be missing on its own.

    Args:
        name: the task's name.
        labels: the labels' names, each also the name of the column that holds it.

    Raises:
        LabelweaveError: no label, or a label named twice.
    """

    name: str
    labels: tuple[str, ...]
    kind: Literal["multilabel"] = "multilabel"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        _check_names(self.name, "labels", self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names, in the order of the network's outputs."""
        return self.labels

    @property
    def width(self) -> int:
        """The number of labels, which is the number of the head's outputs."""
        return len(self.labels)

    def encode_label(self, label: str, values: Any) -> NDArray[np.int8]:
        """Return 1 (on), 0 (off) or -1 (missing) for every value of one label's column.

        Accepts 1/0, true/false and yes/no in any case.

        Raises:
            LabelweaveError: any other value; names row (from 1), column and value.
        """
        return _encode_switch(label, values, ON, OFF)

    def encode(self, values: Any) -> NDArray[np.int8]:
        """Return the codes of an (n, L) block of values, one column a label."""
        block = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
        if block.ndim != 2 or block.shape[1] != self.width:
            raise LabelweaveError(
                f"task '{self.name}': found labels of shape {block.shape}, "
                f"expected (rows, {self.width})"
            )
        columns = [self.encode_label(name, block[:, j]) for j, name in enumerate(self.labels)]
        return np.stack(columns, axis=1) if columns else np.empty((len(block), 0), np.int8)


@dataclass(frozen=True)
class Binary(Multilabel):
    """A yes-or-no task: a multilabel task with one label, whose column is the task's name.

    Args:
        name: the task's name.
        positive: the value that means "on" (default: 1, true or yes).
        negative: the value that means "off" (default: 0, false or no).
    """

    labels: tuple[str, ...] = ()
    positive: Label | None = None
    negative: Label | None = None

    def __init__(
        self, name: str, positive: Label | None = None, negative: Label | None = None
    ) -> None:
        if (positive is None) != (negative is None):
            raise LabelweaveError(f"task '{name}': give both positive and negative, or neither")
        if positive is not None and key(positive) == key(negative):
            raise LabelweaveError(f"task '{name}': positive and negative are both '{positive}'")
        for field, value in {
            "name": name, "labels": (name,), "kind": "multilabel",
            "positive": positive, "negative": negative,
        }.items():  # fmt: skip
            object.__setattr__(self, field, value)
        self.__post_init__()

    def encode_label(self, label: str, values: Any) -> NDArray[np.int8]:
        """Return 1 (positive), 0 (negative) or -1 (missing) for every value of the column."""
        if self.positive is None:
            return _encode_switch(label, values, ON, OFF)
        on, off = _spellings(self.positive), _spellings(self.negative)
        return _encode_switch(label, values, on, off)

    def decode(self, indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return positive or negative (1 or 0 when not given) for indices of shape (n,)."""
        if self.positive is None:
            return np.asarray(indices)
        return np.where(np.asarray(indices) == 1, self.positive, self.negative)  # type: ignore[arg-type]


Task = Multiclass | Multilabel
KINDS: dict[str, Callable[..., Task]] = {
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "binary": Binary,
}


def _spellings(value: Label | None) -> frozenset[str]:
    # YAML reads a bare yes as true, so true stands for every spelling of yes
    text = key(value).lower()
    return ON if value is True else OFF if value is False else frozenset({text})


def _encode_switch(
    column: str, values: Any, on: frozenset[str], off: frozenset[str]
) -> NDArray[np.int8]:
    codes, uniques = factorize(values)
    lookup = np.full(len(uniques) + 1, -1, dtype=np.int8)
    for code, value in enumerate(uniques):
        text = key(value).lower()
        if text not in on | off:
            row = int(np.argmax(codes == code)) + 1
            expected = [*sorted(on), *sorted(off)]
            raise LabelweaveError(
                f"row {row}, column '{column}': found '{value}', "
                f"expected one of {listing(expected)}{nearest(value, expected)}"
            )
        lookup[code] = text in on
    return lookup[codes]


def check_distinct(tasks: Sequence[Task]) -> None:
    """Raise `LabelweaveError` when two tasks share a name or there is no task."""
    if not tasks:
        raise LabelweaveError("found no task, expected at least one")
    names = [task.name for task in tasks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise LabelweaveError(f"tasks named twice: {listing(repeated)}")


def task_to_dict(task: Task) -> dict[str, Any]:
    """Return a JSON-able description of a task, for `task_from_dict`."""
    if isinstance(task, Binary):
        switch = {"positive": task.positive, "negative": task.negative}
        return {"name": task.name, "kind": "binary", **switch}
    if isinstance(task, Multilabel):
        return {"name": task.name, "kind": "multilabel", "labels": list(task.labels)}
    return {"name": task.name, "kind": "multiclass", "classes": list(task.classes or ()) or None}


def task_from_dict(description: Mapping[str, Any]) -> Task:
    """Return the task that `task_to_dict` described.

    Raises:
        LabelweaveError: an unknown kind, or values that make no task.
    """
    values = {name: value for name, value in description.items() if name != "kind"}
    kind = description.get("kind", "multiclass")
    if kind not in KINDS:
        name = description.get("name")
        raise LabelweaveError(
            f"task '{name}': unknown kind '{kind}', expected {listing(KINDS)}{nearest(kind, KINDS)}"
        )
    return KINDS[kind](**values)
