"""New rows held against what training saw: what a person should know before using predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.errors import listing
from labelweave.tables._schema import Column, Schema

NAMED = 5  # values, and rows, that a line names
FACTORS = (1000.0, 100.0, 10.0, 25.4, 1 / 1000, 1 / 100, 1 / 10, 1 / 25.4)
MOST, WITHIN = 0.5, 0.9  # of values outside, and of those inside once the factor is taken out


def new_row_notes(schema: Schema, rows: pd.DataFrame, lacking: Sequence[str] = ()) -> list[str]:
    """Return what is unusual of new rows, a line a column: shares, and the first rows (from 1).

    Values of categories that training has not seen, numbers outside of the range seen, numbers
    that look as if in other units, and columns that are not there.

    Args:
        schema: of the model.
        rows: the rows, read by it.
        lacking: inputs that the rows lack.
    """
    notes = [f"column '{name}' is not there: it counts as missing in all rows" for name in lacking]
    for name in schema.named("input"):
        column = schema.columns[name]
        if name not in rows or name in lacking:
            continue
        if column.type == "number" and column.low is not None and column.high is not None:
            values = rows[name].to_numpy(dtype=np.float64)
            notes += _outside(name, values, column.low, column.high)
        elif column.type == "category" and column.categories is not None:
            notes += _unknown(name, rows[name], column)
    return notes


def _outside(name: str, values: NDArray[np.float64], low: float, high: float) -> list[str]:
    known = np.isfinite(values)
    out = known & ((values < low) | (values > high))
    if not out.any():
        return []
    note = (
        f"column '{name}': {_share(out)} outside of the range seen in training, {low:g} to {high:g}"
    )
    if out.sum() > MOST * known.sum():
        inside = [_within(values[known] / factor, low, high) for factor in FACTORS]
        best = int(np.argmax(inside))
        if inside[best] >= WITHIN and high > low:
            factor = FACTORS[best]
            way = f"{factor:g} times as large" if factor > 1 else f"{1 / factor:g} times as small"
            note += f"; they would be inside if they were not {way}: other units?"
    return [note]


def _within(values: NDArray[np.float64], low: float, high: float) -> float:
    return float(((values >= low) & (values <= high)).mean())


def _unknown(name: str, values: "pd.Series[Any]", column: Column) -> list[str]:
    out = (values.notna() & ~values.isin([*(column.categories or ()), ""])).to_numpy()
    if not out.any():
        return []
    found = listing(values[out].unique(), NAMED)
    return [f"column '{name}': {_share(out)} with values that training has not seen: {found}"]


def _share(out: NDArray[np.bool_]) -> str:
    rows = np.flatnonzero(out)
    first = ", ".join(str(row + 1) for row in rows[:NAMED])
    more = ", ..." if len(rows) > NAMED else ""
    return f"{len(rows):,} of {len(out):,} rows ({len(rows) / len(out):.1%}: {first}{more})"
