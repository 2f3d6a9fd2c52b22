"""MATLAB files of version 5 to 7, read by scipy."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError, listing


def read_matlab(path: Path, *keys: str) -> dict[str, NDArray[Any]]:
    """Return some variables of a file; cell arrays of texts become arrays of objects.

    Raises:
        LabelweaveError: the file cannot be read, or lacks a variable.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path)
    except (MatReadError, ValueError, NotImplementedError, TypeError, OSError):
        raise LabelweaveError(f"{path}: not a MATLAB file of version 5 to 7") from None
    held = [name for name in found if not name.startswith("__")]
    for key in keys:
        if key not in found:
            raise LabelweaveError(f"{path}: found {listing(held)}, expected '{key}' among them")
    return {key: np.asarray(found[key]) for key in keys}


def texts(cells: NDArray[Any]) -> list[str]:
    """Return the texts of a cell array, or the rows of a character array."""
    return [str(np.asarray(cell).ravel()[0]).strip() for cell in cells.ravel()]
