"""Label values: how one is compared, how a column becomes codes, and codes become values again.

A label is compared by its *key*: the text a person would write for it, so that ``1``, ``1.0`` and
``"1"`` are one label whichever file they came from. ``None``, NaN and ``""`` are missing labels and
are encoded as -1.
"""

from collections.abc import Sequence
from typing import Any

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


def plain(value: Any) -> Label:
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
    numbers = all(isinstance(value, int | float) for value in by_key.values())
    order = sorted(by_key, key=lambda k: float(by_key[k])) if numbers else sorted(by_key)
    return tuple(plain(by_key[k]) for k in order)


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
        if key(value) not in index:
            row = int(np.argmax(codes == code)) + 1
            raise LabelweaveError(
                f"row {row}, column '{column}': unknown label '{value}'; "
                f"expected {listing(names)}{nearest(value, names)}"
            )
        lookup[code] = index[key(value)]
    return lookup[codes]


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
