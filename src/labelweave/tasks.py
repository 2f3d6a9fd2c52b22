"""Tasks: what is to be predicted, under which names, and how a label becomes an integer.

Labels are compared by their key and may be missing: see `labelweave.labels`.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._arguments import kind_of
from labelweave.errors import LabelweaveError, is_printable, listing, nearest

__all__ = ["Binary", "Label", "Multiclass", "Multilabel", "Task", "task_from_dict", "task_to_dict"]

Label = str | int | bool

ON = frozenset({"1", "true", "yes"})
OFF = frozenset({"0", "false", "no"})
LARGEST_WHOLE = 2**53  # beyond it a float64 no longer holds every whole number
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]*)?")


def key(value: object) -> str:
    """Return the text under which a label value is compared: ``1.0`` and ``1`` give ``"1"``."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def factorize(values: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """Return a code for every value (-1 = missing) and the distinct values in order of appearance.

    `values` is anything of one dimension: a list, array, pandas series or categorical. ``None``,
    NaN and ``""`` are missing. Linear in the number of values.

    Raises:
        LabelweaveError: a cell that holds several values, more than one dimension, or whole numbers
            as floats that cannot hold them.
    """
    try:
        codes, distinct = pd.factorize(values if hasattr(values, "dtype") else _column(values))
    except (TypeError, ValueError):  # lists, dictionaries or blocks in the place of values
        raise LabelweaveError("found several values in a row, expected one") from None
    uniques = [value.item() if isinstance(value, np.generic) else value for value in list(distinct)]
    for value in uniques:
        if isinstance(value, float) and LARGEST_WHOLE <= abs(value) < math.inf:
            raise LabelweaveError(
                f"found {key(value)}, a whole number beyond 2**53 as a float, which merges such "
                "numbers; expected text, or whole numbers"
            )
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


def _plain(value: Any) -> Label:
    """Return a label as text, bool or whole number: the forms that JSON can hold."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int) else key(value)


def found_classes(column: str, values: Any) -> tuple[Label, ...]:
    """Return the distinct labels of a column, sorted (numbers by value).

    Raises:
        LabelweaveError: fewer than two; names the column.
    """
    _, uniques = factorize(values)
    by_key = {key(value): value for value in uniques}
    if len(by_key) < 2:
        found = listing(by_key) or "no label at all"
        raise LabelweaveError(f"column '{column}': found {found}, expected at least two classes")
    numbers = all(PLAIN_NUMBER.fullmatch(text) for text in by_key)
    order = sorted(by_key, key=lambda text: (float(text), text)) if numbers else sorted(by_key)
    return tuple(_plain(by_key[k]) for k in order)


def decode(classes: Sequence[Label], indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return the classes of indices, shape (n,); -1 becomes None."""
    # an array of mixed types would turn 1 and True into one value
    mixed = len({type(value) for value in classes}) > 1
    names = np.array(classes, dtype=object if mixed else None)
    codes = np.asarray(indices, dtype=np.int64)
    missing = codes < 0
    if not missing.any():
        return np.asarray(names[codes])
    decoded = names.astype(object)[codes]
    decoded[missing] = None
    return np.asarray(decoded)


def one_hot(codes: NDArray[np.integer[Any]], width: int) -> NDArray[np.float64]:
    """Return 1 at the class of each row, else 0: (n, width); -1 counts as the last class.

    A row of ``np.eye(width)`` for each code, without that matrix: of ten thousand classes it takes
    800 MB.
    """
    hot = np.zeros((len(codes), width))
    hot[np.arange(len(codes)), codes] = 1.0
    return hot


def spellings(value: Label | None) -> frozenset[str]:
    """Return the keys in lower case that stand for one side of a yes-or-no label."""
    # YAML reads a bare yes as true, so true stands for every spelling of yes
    text = key(value).lower()
    return ON if value is True else OFF if value is False else frozenset({text})


def encode_classes(column: str, values: Any, names: Sequence[str]) -> NDArray[np.int64]:
    """Return for every value of a column the index of its key in `names`, -1 = missing.

    Raises:
        LabelweaveError: a key that is not in `names`; names row (from 1), column and value.
    """
    codes, uniques = factorize(values)
    index = {name: i for i, name in enumerate(names)}
    lookup = np.full(len(uniques) + 1, -1, dtype=np.int64)
    for code, value in enumerate(uniques):
        name = _known(key(value), index)
        if name is None:
            row = int(np.argmax(codes == code)) + 1
            raise LabelweaveError(
                f"row {row}, column '{column}': unknown label '{value}'; "
                f"expected {listing(names)}{nearest(value, names)}"
            )
        lookup[code] = index[name]
    return lookup[codes]


def _known(text: str, names: Collection[str]) -> str | None:
    # a column of whole numbers with gaps is often written as 1.0, 2.0
    return next((name for name in (text, text.removesuffix(".0")) if name in names), None)


def encode_switch(
    column: str, values: Any, on: frozenset[str] = ON, off: frozenset[str] = OFF
) -> NDArray[np.int8]:
    """Return 1 (a key in `on`), 0 (in `off`) or -1 (missing) for every value of a column.

    Raises:
        LabelweaveError: any other value; names row (from 1), column and value.
    """
    codes, uniques = factorize(values)
    lookup = np.full(len(uniques) + 1, -1, dtype=np.int8)
    for code, value in enumerate(uniques):
        text = _known(key(value).lower(), on | off)
        if text is None:
            row = int(np.argmax(codes == code)) + 1
            expected = [*sorted(on), *sorted(off)]
            raise LabelweaveError(
                f"row {row}, column '{column}': found '{value}', "
                f"expected one of {listing(expected)}{nearest(value, expected)}"
            )
        lookup[code] = text in on
    return lookup[codes]


def listed(values: Any, place: str) -> tuple[Any, ...]:
    """Return classes or labels as a tuple of plain values.

    Raises:
        LabelweaveError: a text, or no list at all; names `place`.
    """
    # a text is a sequence too and would be split into letters
    if isinstance(values, str):
        raise LabelweaveError(f"{place}: found the text '{values}', expected a list")
    if not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise LabelweaveError(f"{place}: found {values!r}, expected a list")
    return tuple(value.item() if isinstance(value, np.generic) else value for value in values)


def check_names(name: str, kind: str, names: Sequence[object] | None) -> None:
    """Check the name of a task, and the names of its classes or labels.

    Args:
        name: the task's name.
        kind: ``classes`` or ``labels``.
        names: their names; None = not known yet.

    Raises:
        LabelweaveError: an empty name, one given twice, one with control characters, or too few.
    """
    if not isinstance(name, str) or not name:
        found = "an empty one" if isinstance(name, str) else kind_of(name)
        raise LabelweaveError(f"a task needs a name, found {found}")
    if not is_printable(name):
        raise LabelweaveError(f"task '{name}': expected a name without control characters")
    if names is None:
        return
    keys = [key(value) for value in names]
    least = 2 if kind == "classes" else 1
    if len(keys) < least:
        raise LabelweaveError(f"task '{name}': found {len(keys)} {kind}, expected at least {least}")
    if "" in keys or None in names:
        raise LabelweaveError(f"task '{name}': {kind} without a name, expected no empty one")
    for text in keys:
        if not is_printable(text):
            raise LabelweaveError(
                f"task '{name}': {kind}: found '{text}', expected no control characters"
            )
    repeated = sorted(k for k, count in Counter(keys).items() if count > 1)
    if repeated:
        raise LabelweaveError(f"task '{name}': {kind} named twice: {listing(repeated)}")


@dataclass(frozen=True)
class Multiclass:
    """A task of mutually exclusive classes (softmax).

    >>> species = Multiclass("species", ("birch", "oak"))
    >>> species.encode(["oak", None, "birch"]).tolist()
    [1, -1, 0]

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
            classes = listed(self.classes, f"task '{self.name}': classes")
            object.__setattr__(self, "classes", classes)
        check_names(self.name, "classes", self.classes)

    @cached_property  # asked for again and again, and there may be ten thousand classes
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
        return type(self)(self.name, found_classes(self.name, values))

    def encode(self, values: Any) -> NDArray[np.int64]:
        """Return the class index of every value, shape (n,), -1 = missing.

        Raises:
            LabelweaveError: a value is no class of the task; names row (from 1), column and value.
        """
        return encode_classes(self.name, values, self.names)

    def decode(self, indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the classes of indices, shape (n,); -1 becomes None."""
        return decode(self._classes, indices)


@dataclass(frozen=True)
class Multilabel:
    """A task of L binary labels (a sigmoid each); any element may be missing on its own.

    >>> faults = Multilabel("faults", ("scratch", "dent"))
    >>> faults.names, faults.width
    (('scratch', 'dent'), 2)

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
        object.__setattr__(self, "labels", listed(self.labels, f"task '{self.name}': labels"))
        check_names(self.name, "labels", self.labels)

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
        return encode_switch(label, values, *self.words())

    def words(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the values that mean on, and those that mean off, as keys in lower case."""
        return ON, OFF

    def encode(self, values: Any) -> NDArray[np.int8]:
        """Return the codes of an (n, L) block of values, one column a label.

        Raises:
            LabelweaveError: another shape, or a value that `encode_label` does not accept.
        """
        # lists are read as objects, because numpy would turn a 1 next to a text into "1.0"
        block = np.asarray(values) if hasattr(values, "shape") else np.asarray(values, object)
        if block.ndim != 2 or block.shape[1] != self.width:
            raise LabelweaveError(
                f"task '{self.name}': found labels of shape {block.shape}, "
                f"expected (rows, {self.width})"
            )
        columns = [self.encode_label(name, block[:, j]) for j, name in enumerate(self.labels)]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Binary(Multilabel):
    """A yes-or-no task: a multilabel task with one label, whose column is the task's name.

    >>> hot = Binary("hot", positive="warm", negative="cold")
    >>> hot.encode([["warm"], ["cold"], [""]]).tolist()
    [[1], [0], [-1]]

    Args:
        name: the task's name.
        positive: the value that means "on" (default: 1, true or yes).
        negative: the value that means "off" (default: 0, false or no).

    Raises:
        LabelweaveError: only one of the two values, or two that are the same.
    """

    labels: tuple[str, ...] = ()
    positive: Label | None = None
    negative: Label | None = None

    def __init__(
        self, name: str, positive: Label | None = None, negative: Label | None = None
    ) -> None:
        if (positive is None) != (negative is None):
            raise LabelweaveError(f"task '{name}': give both positive and negative, or neither")
        if positive is not None and spellings(positive) & spellings(negative):
            raise LabelweaveError(
                f"task '{name}': positive '{positive}' and negative '{negative}' are one value"
            )
        for field, value in {
            "name": name, "labels": (name,), "kind": "multilabel",
            "positive": positive, "negative": negative,
        }.items():  # fmt: skip
            object.__setattr__(self, field, value)
        self.__post_init__()

    def words(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the spellings of the positive class, and of the negative one."""
        if self.positive is None:
            return super().words()
        return spellings(self.positive), spellings(self.negative)

    def decode(self, indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return positive or negative (1 or 0 when not given), shape (n,); -1 becomes None."""
        if self.positive is None or self.negative is None:
            return decode((0, 1), indices)
        return decode((self.negative, self.positive), indices)


Task = Multiclass | Multilabel
KINDS: dict[str, Callable[..., Task]] = {
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "binary": Binary,
}
KEYS = {
    "multiclass": ("name", "classes"),
    "multilabel": ("name", "labels"),
    "binary": ("name", "positive", "negative"),
}
REQUIRED = {"multiclass": ("name",), "multilabel": ("name", "labels"), "binary": ("name",)}


def check_distinct(tasks: Sequence[Task]) -> None:
    """Raise `LabelweaveError` when two tasks share a name or there is no task."""
    if not tasks:
        raise LabelweaveError("found no task, expected at least one")
    for task in tasks:
        if not isinstance(task, Multiclass | Multilabel):
            raise LabelweaveError(
                f"tasks: found {kind_of(task)}, expected Multiclass, Multilabel or Binary"
            )
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

    Args:
        description: ``name``, ``kind`` (multiclass, multilabel or binary; default multiclass), and
            the classes or labels of that kind.

    Raises:
        LabelweaveError: an unknown kind, or values that make no task.
    """
    values = {name: value for name, value in description.items() if name != "kind"}
    kind = description.get("kind", "multiclass")
    if not isinstance(kind, str) or kind not in KINDS:
        name = description.get("name")
        raise LabelweaveError(
            f"task '{name}': unknown kind {kind_of(kind)}, expected {listing(KINDS)}"
            f"{nearest(kind, KINDS)}"
        )
    place = f"task '{description.get('name')}' ({kind})"
    known = KEYS[kind]
    for name in values:
        if name not in known:
            raise LabelweaveError(
                f"{place}: no such key '{name}', expected {listing(known)}{nearest(name, known)}"
            )
    for name in REQUIRED[kind]:
        if name not in values:
            raise LabelweaveError(f"{place}: found no '{name}', expected {listing(known)}")
    return KINDS[kind](**values)
