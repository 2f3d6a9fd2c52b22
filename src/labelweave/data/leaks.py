"""The leak check: no group and no identical input may stand on two sides of a split."""

from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.data.collection import Collection
from labelweave.data.source import SIDES
from labelweave.data.split import Split
from labelweave.errors import LabelweaveError
from labelweave.remarks import Remark

Codes = NDArray[np.integer[Any]]


def leak_check(
    collection: Collection, split: Split, on_leak: Literal["warn", "error"] = "warn"
) -> tuple[str, ...]:
    """Look for groups and identical raw inputs that stand on two sides of a split.

    Rows without any input are not compared.

    Args:
        collection: the rows.
        split: their sides.
        on_leak: whether identical inputs are warnings or an error.

    Returns:
        A warning for each pair of sides that share inputs, with the count and an example.

    Raises:
        LabelweaveError: a group on two sides; identical inputs when `on_leak` is "error".
    """
    if on_leak not in ("warn", "error"):
        raise LabelweaveError(f"on_leak: found '{on_leak}', expected 'warn' or 'error'")
    rows = {"train": split.train, "validation": split.validation, "test": split.test}
    inputs = pd.util.hash_pandas_object(collection.inputs, index=False).to_numpy()
    filled = collection.inputs.notna().any(axis=1).to_numpy()
    warnings = []
    for first, second in combinations(SIDES, 2):
        shared = _shared(collection.groups, rows[first], rows[second])
        if shared.size:
            one, other = _example(collection, collection.groups, shared[0], rows[first])
            raise LabelweaveError(
                f"split: a group is in {first} and {second} (for example {one} and {other})"
            )
        a, b = (part[filled[part]] for part in (rows[first], rows[second]))
        shared = _shared(inputs, a, b)
        if shared.size:
            one, other = _example(collection, inputs, shared[0], a)
            sides = {"first": Remark(f"side.{first}"), "second": Remark(f"side.{second}")}
            warnings.append(Remark("note.leak", n=shared.size, **sides, one=one, other=other))
    if warnings and on_leak == "error":
        raise LabelweaveError(warnings[0])
    return tuple(warnings)


def _shared(
    codes: Codes,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the rows of `second` whose code also occurs in `first`."""
    return second[np.isin(codes[second], codes[first])]


def _example(
    collection: Collection,
    codes: Codes,
    row: int,
    others: NDArray[np.int64],
) -> tuple[str, str]:
    twin = others[np.argmax(codes[others] == codes[row])]
    return collection.place(twin), collection.place(row)
