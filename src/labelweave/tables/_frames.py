"""Inputs of any library as data frames."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from labelweave._arguments import unmasked
from labelweave.errors import LabelweaveError


def input_frame(X: Any, place: str = "X") -> pd.DataFrame:
    """Return inputs (n, d) as a data frame; the columns of an array are called x0, x1, ...

    Tables of other libraries (polars, pyarrow and all that know the Arrow PyCapsule interface) keep
    their names; what is masked in a masked array is missing.

    Raises:
        LabelweaveError: anything that is no table of two dimensions; names `place`.
    """
    if isinstance(X, pd.DataFrame):
        return X
    if isinstance(X, pd.Series):
        raise LabelweaveError(f"{place}: found one column, expected a table: call to_frame() on it")
    if hasattr(X, "__arrow_c_stream__"):
        try:
            frame: pd.DataFrame = pa.table(X).to_pandas(integer_object_nulls=True)
        except pa.ArrowException:
            raise LabelweaveError(f"{place}: found one column, expected a table") from None
        return frame
    if hasattr(X, "collect"):
        raise LabelweaveError(
            f"{place}: found a lazy table, expected its rows: call collect() first"
        )
    array = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
    if array.ndim != 2:
        raise LabelweaveError(f"{place}: found shape {array.shape}, expected (rows, columns)")
    names = [f"x{i}" for i in range(array.shape[1])]
    return pd.DataFrame(unmasked(array), columns=names).infer_objects()
