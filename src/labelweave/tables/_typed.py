"""One file as a data frame, its types decided by it alone."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelweave.errors import LabelweaveWarning
from labelweave.tables._options import ReadOptions
from labelweave.tables._reading import read_cells
from labelweave.tables._schema import Roles, Schema
from labelweave.tables._table import Table
from labelweave.tasks import LARGEST_WHOLE


def read_table(
    path: str | Path,
    read: ReadOptions | None = None,
    *,
    text: Sequence[str] = (),
    schema: Schema | None = None,
) -> pd.DataFrame:
    """Read a table: CSV, TSV, Excel, Parquet, Arrow or JSON lines, or several by a pattern.

    >>> read_table("lab_*.csv", ReadOptions(sep=";", decimal=","), text=["grade"])  # doctest: +SKIP
    >>> lab = pd.DataFrame({"code": ["007", "008"], "weight": ["1,5", ""], "grade": ["a", "b"]})
    >>> lab.to_csv("lab.csv", sep=";", index=False)
    >>> read_table("lab.csv", ReadOptions(sep=";", decimal=",")).to_dict("list")
    {'code': ['007', '008'], 'weight': [1.5, nan], 'grade': ['a', 'b']}

    A column becomes numbers where every value is one, a few words for missing ones aside; 0117,
    1E2 and whole numbers beyond 2**53 are text. What is found out from the file, such as its
    encoding, is a warning of one line.

    Args:
        path: the file, or a pattern of names.
        read: how it is read; what it leaves open is found out from the file.
        text: columns that keep the text of the file: labels, groups, identifiers.
        schema: types decided before, from other files (`Schema.infer`); with it only the columns
            that it knows come back.

    Returns:
        One row per data row; missing values are NaN. Whole numbers without gaps are int64.

    Raises:
        LabelweaveError: no such file, unknown suffix, no header or rows, columns without a name or
            named twice, a row of another length or a quote that is not closed (with its line).
    """
    cells = read_cells(path, read)
    for name in text:
        cells.require(name)
    found = schema or Schema.infer([cells], Roles(identifiers=tuple(text), dated=True))
    for note in (*cells.notes, *found.notes):
        warnings.warn(str(note), LabelweaveWarning, stacklevel=2)
    return _frame(cells, found) if schema is None else schema.apply(cells)


def own_frame(cells: Table, text: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table's columns, their types decided by it alone; see `read_table`."""
    return _frame(cells, Schema.infer([cells], Roles(identifiers=tuple(text), dated=True)))


def _frame(cells: Table, schema: Schema) -> pd.DataFrame:
    frame = schema.apply(cells)
    columns = {
        name: _whole(frame[name]) if name in frame else cells.cells[name].to_pandas()
        for name in cells.columns
    }
    return pd.DataFrame(columns, copy=False)


def _whole(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.dtype != np.float64 or column.isna().any():
        return column
    whole = bool(((column % 1 == 0) & (column.abs() < LARGEST_WHOLE)).all())
    return column.astype(np.int64) if whole else column
