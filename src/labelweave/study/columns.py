"""What the columns of unknown tables look like: labels, knowledge tables, or no inputs at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_float_dtype, is_numeric_dtype

from labelweave.labels import factorize, key

MOST_CLASSES = 50
ROWS_PER_CLASS = 3  # a column with fewer rows a value is a name or a measurement, no class
DATE = r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]+\d{1,2}:\d{2}.*)?\s*"

Tables = Mapping[Path, pd.DataFrame]


def distinct_labels(tables: Tables, column: str) -> set[str]:
    """Return the distinct values of a column in all tables, as labels are compared."""
    parts = [factorize(table[column])[1] for table in tables.values() if column in table]
    return {key(value) for part in parts for value in part}


def knowledge_tables(tables: Tables) -> dict[Path, str]:
    """Return the tables that look like an expert's, each with the task whose classes are its rows.

    Such a table has one row for every value of its first column, which is a column of another,
    larger table by its name, or by all of its (text) values.
    """
    found: dict[Path, str] = {}
    for path, table in tables.items():
        rows = [key(value) for value in table.iloc[:, 0].dropna()]
        if not 2 <= len(set(rows)) == len(table) <= MOST_CLASSES or table.shape[1] < 2:
            continue
        larger = {other: t for other, t in tables.items() if len(t) > len(table)}
        first = str(table.columns[0])
        columns = dict.fromkeys(column for t in larger.values() for column in t.columns)
        if first not in columns and is_numeric_dtype(table.iloc[:, 0]):
            continue
        for column in [first] if first in columns else columns:
            if few_values(larger, column) and set(rows) <= distinct_labels(larger, column):
                found[path] = column
                break
    return found


def guess_labels(tables: Tables, knowledge: Mapping[Path, str]) -> list[str]:
    """Return the columns that look like labels.

    With knowledge tables: what these speak of. Besides, every column of few values that has gaps
    or is absent from some table, for that is how scattered labels look. Where there is neither,
    every text column of few values.
    """
    sources = {path: table for path, table in tables.items() if path not in knowledge}
    columns = list(dict.fromkeys(c for table in sources.values() for c in table.columns))
    spoken = set(knowledge.values())
    for path in knowledge:
        spoken |= {name.partition("=")[0] for name in tables[path].columns[1:]}
    few = [c for c in columns if unusable([t[c] for t in sources.values() if c in t]) is None]
    few = [c for c in few if few_values(sources, c)]
    found = [
        column
        for column in columns
        if column in spoken or (column in few and _scattered(sources, column))
    ]
    if found:
        return found
    return [c for c in few if not any(is_numeric_dtype(t[c]) for t in sources.values() if c in t)]


def few_values(tables: Tables, column: str) -> bool:
    """Return whether a column holds 2 to 50 distinct values, with some rows to each."""
    parts = [table[column].dropna() for table in tables.values() if column in table]
    rows = sum(len(part) for part in parts)
    fractional = any(is_float_dtype(part) and bool((part % 1 != 0).any()) for part in parts)
    distinct = len(distinct_labels(tables, column))
    return 2 <= distinct <= MOST_CLASSES and rows >= ROWS_PER_CLASS * distinct and not fractional


def unusable(parts: "list[pd.Series[Any]]") -> str | None:
    """Return why a column, given by its parts in all tables, makes no input; None = it does."""
    filled = [part.dropna() for part in parts]
    column = filled[0] if len(filled) == 1 else pd.concat([p.astype(object) for p in filled])
    values, distinct = len(column), column.nunique()
    if values < ROWS_PER_CLASS:
        return None
    if all(is_numeric_dtype(part) for part in parts):
        counter = distinct == values and all(_counts_up(part) for part in filled)
        return "a number for every row" if counter else None
    if all(is_datetime64_any_dtype(part) for part in parts):
        return "dates"
    texts = column.astype(str)
    if texts.str.fullmatch(DATE).mean() > 0.9:
        return "dates"
    if distinct == values:
        return "a text for every row"
    if distinct > MOST_CLASSES or values < ROWS_PER_CLASS * distinct:
        return f"{distinct:,} different texts"
    return None


def _scattered(tables: Tables, column: str) -> bool:
    return any(column not in table or table[column].isna().any() for table in tables.values())


def _counts_up(column: "pd.Series[Any]") -> bool:
    numbers = np.sort(column.to_numpy(dtype=np.float64))
    return bool((np.diff(numbers) == 1).all())
