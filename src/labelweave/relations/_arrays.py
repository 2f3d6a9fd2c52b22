"""Arrays from users: real numbers and yes-or-no flags, or an error; nothing is dropped."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.errors import LabelweaveError


def real_numbers(values: ArrayLike, place: str) -> NDArray[np.float64]:
    """Return a copy of values as real numbers; NaN stays.

    Args:
        values: of any shape.
        place: what errors call them.

    Raises:
        LabelweaveError: complex numbers, texts, or rows of unequal lengths.
    """
    try:
        found = np.asarray(values)
    except ValueError:
        raise LabelweaveError(f"{place}: found rows of unequal lengths") from None
    if found.dtype.kind == "O":
        try:
            return found.astype(np.float64)
        except (TypeError, ValueError):
            raise LabelweaveError(f"{place}: expected numbers, found something else") from None
    if found.dtype.kind not in "fiub":
        raise LabelweaveError(f"{place}: found values of type {found.dtype}, expected real numbers")
    return np.array(found, dtype=np.float64)


def flags(values: ArrayLike, place: str) -> NDArray[np.bool_]:
    """Return a copy of values as true and false.

    Args:
        values: true or false, or 1 or 0; of any shape.
        place: what errors call them.

    Raises:
        LabelweaveError: another value, such as NaN, which would count as true.
    """
    found = real_numbers(values, place)
    other = found[~np.isin(found, (0.0, 1.0))]
    if other.size:
        raise LabelweaveError(f"{place}: found {other.flat[0]:g}, expected true or false")
    return found.astype(np.bool_)
