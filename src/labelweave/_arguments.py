"""Arguments of public functions: their kind is checked before anything looks into them."""

import math
import os
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError, printable


def kind_of(value: object) -> str:
    """Return what was found, for a message: its type, and a plain value cut and printable."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return printable(repr(value)[:200])
    return f"a value of type {printable(type(value).__name__)}"


def a_path(name: str, value: Any, expected: str = "a path") -> Path:
    """Return a path; raise `LabelweaveError` for anything that is no text and no path."""
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise LabelweaveError(f"{name}: found {kind_of(value)}, expected {expected}")
    return Path(value)


def a_list(name: str, value: Any, expected: str = "a list") -> list[Any]:
    """Return the entries of a list, tuple or array; raise `LabelweaveError` for all else."""
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not listed and not (isinstance(value, np.ndarray) and value.ndim):
        raise LabelweaveError(f"{name}: found {kind_of(value)}, expected {expected}")
    return list(value)


def a_mapping(name: str, value: Any, expected: str = "a dictionary") -> dict[str, Any]:
    """Return a dictionary with texts as its keys; raise `LabelweaveError` for all else."""
    if not isinstance(value, Mapping):
        raise LabelweaveError(f"{name}: found {kind_of(value)}, expected {expected}")
    for key in value:
        if not isinstance(key, str):
            raise LabelweaveError(f"{name}: found the key {kind_of(key)}, expected a text")
    return dict(value)


def a_number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number between two bounds; raise `LabelweaveError` for all else."""
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or not math.isfinite(value) or not low <= value <= high:
        least = f" from {low:g}" if math.isfinite(low) else ""
        most = f" to {high:g}" if math.isfinite(high) else ""
        raise LabelweaveError(f"{name}: found {kind_of(value)}, expected a number{least}{most}")
    return float(value)


def one_column(values: Any) -> Any:
    """Return values a row as an array, list or column of pandas: tensors as arrays.

    What is masked is missing. Columns of Arrow and of libraries that know its interface, such as
    polars, are columns of pandas in which whole numbers with gaps stay whole.
    """
    if hasattr(values, "detach"):  # a tensor
        return np.asarray(values.detach().cpu())
    arrow = hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__")
    if arrow and not isinstance(values, pd.DataFrame | pd.Series):
        import pyarrow as pa

        chunks = pa.table if hasattr(values, "columns") else pa.chunked_array
        parts = values if hasattr(values, "__arrow_c_stream__") else [pa.array(values)]
        return chunks(parts).to_pandas(integer_object_nulls=True)
    return unmasked(values) if isinstance(values, np.ndarray) else values


def unmasked(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array with None for what is masked."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    filled = np.ma.getdata(values).astype(object)
    filled[np.ma.getmaskarray(values)] = None
    return filled


def labels_of_rows(name: str, value: Any) -> Any:
    """Return labels of n rows, (n,) or (n, L), as `one_column` returns them.

    Raises:
        LabelweaveError: a single value, a set, a generator, a sparse matrix, or other dimensions.
    """
    unordered = isinstance(value, str | bytes | Mapping | Set)
    if unordered or not hasattr(value, "__len__") or hasattr(value, "toarray"):
        raise LabelweaveError(f"{name}: found {kind_of(value)}, expected one label a row")
    value = one_column(value)
    dimensions = getattr(value, "ndim", 1)
    if dimensions not in (1, 2):
        raise LabelweaveError(
            f"{name}: found an array of {dimensions} dimensions, expected (rows,) or (rows, labels)"
        )
    return value
