"""A first study file, written from a look at the tables."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pandas.api.types import is_datetime64_any_dtype, is_float_dtype, is_numeric_dtype

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables import read_table
from labelweave.tasks import OFF, ON, factorize, key

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
            if _few_values(larger, column) and set(rows) <= distinct_labels(larger, column):
                found[path] = column
                break
    return found


def guess_labels(tables: Tables, knowledge: Mapping[Path, str]) -> list[str]:
    """Return the columns that look like labels.

    With knowledge tables: the tasks in them. Besides, every column of few values that has gaps
    or is absent from some table, for that is how scattered labels look. Where there is neither,
    every text column of few values.
    """
    sources = {path: table for path, table in tables.items() if path not in knowledge}
    columns = list(dict.fromkeys(c for table in sources.values() for c in table.columns))
    named = set(knowledge.values())
    for path in knowledge:
        named |= {name.partition("=")[0] for name in tables[path].columns[1:]}
    few = [c for c in columns if _unusable([t[c] for t in sources.values() if c in t]) is None]
    few = [c for c in few if _few_values(sources, c)]
    found = [
        column
        for column in columns
        if column in named or (column in few and _scattered(sources, column))
    ]
    if found:
        return found
    return [c for c in few if not any(is_numeric_dtype(t[c]) for t in sources.values() if c in t)]


def _few_values(tables: Tables, column: str) -> bool:
    """Return whether a column holds 2 to 50 distinct values, with some rows to each."""
    parts = [table[column].dropna() for table in tables.values() if column in table]
    rows = sum(len(part) for part in parts)
    fractional = any(is_float_dtype(part) and bool((part % 1 != 0).any()) for part in parts)
    distinct = len(distinct_labels(tables, column))
    return 2 <= distinct <= MOST_CLASSES and rows >= ROWS_PER_CLASS * distinct and not fractional


def _unusable(parts: "list[pd.Series[Any]]") -> str | None:
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


GROUP = "'group: COLUMN' keeps its rows on one side of a split"
MOST_TEXT = 100  # characters of a comment


def propose_study(paths: Sequence[Path], folder: Path, labels: Sequence[str] | None = None) -> str:
    """Return a commented study file for tables.

    Which columns are labels is guessed where it is not said, and so is which tables are knowledge
    tables (see `labelweave.experiments._scaffold`). Columns of dates, identifiers or free text are
    excluded from the inputs, with the reason next to them.

    Args:
        paths: the tables.
        folder: the folder of the study file; paths in it are relative to that.
        labels: the label columns.

    Raises:
        LabelweaveError: a table cannot be read, a label column is not there, or nothing looks like
            a label.
    """
    tables = {path: read_table(path) for path in paths}
    knowledge = knowledge_tables(tables)
    sources = {path: table for path, table in tables.items() if path not in knowledge}
    columns = list(dict.fromkeys(column for table in sources.values() for column in table.columns))
    for label in labels or ():
        if label not in columns:
            raise LabelweaveError(
                f"--labels: no table has a column '{label}'{nearest(label, columns)}"
            )
    chosen = list(labels) if labels is not None else guess_labels(tables, knowledge)
    if not chosen:
        raise LabelweaveError(
            "no column looks like a label (few distinct values, gaps or absent from some table); "
            "name them with --labels"
        )
    related = {path: task for path, task in knowledge.items() if task in chosen}
    lines = [
        "# A study file of labelweave. Next: labelweave check, then labelweave run.",
        f"name: {_plain_name(folder)}",
        "",
        *_tasks({name: distinct_labels(sources, name) for name in chosen}),
        "",
        *_sources(sources, chosen, folder),
        "",
        *_relations(related, chosen[0], folder),
        "",
        "split: {test: 0.2, validation: 0}   # shares of the rows, or numbers of rows",
        "training: {steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}",
        "seeds: 3",
        "",
    ]
    return "\n".join(lines)


def _tasks(classes: Mapping[str, set[str]]) -> list[str]:
    lines = ["tasks:   # what is to be predicted; the labels are columns of the tables"]
    for name, values in classes.items():
        binary = {value.lower() for value in values} <= ON | OFF
        kind = ", kind: binary" if binary else ""
        lines.append(f"  - {{name: {_quoted(name)}{kind}}}   {_comment(values)}")
    return lines


def _sources(sources: Tables, labels: Sequence[str], folder: Path) -> list[str]:
    columns = dict.fromkeys(column for table in sources.values() for column in table.columns)
    reasons = {
        column: reason
        for column in columns
        if column not in labels
        and (reason := _unusable([t[column] for t in sources.values() if column in t]))
    }
    stems = [path.stem for path in sources]
    lines = ["sources:   # every column that is no label and not excluded is an input"]
    for number, (path, table) in enumerate(sources.items(), start=1):
        lines.append(f"  - path: {_quoted(_relative(path, folder))}   # {len(table):,} rows")
        if stems.count(path.stem) > 1:
            lines.append(f"    name: {_quoted(f'{path.stem} {number}')}")
        excluded = [column for column in table.columns if column in reasons]
        if excluded:
            lines.append(f"    exclude:   # if one names a person, plant or batch: {GROUP}")
            lines += [f"      - {_quoted(name)}   # {reasons[name]}" for name in excluded]
        else:
            lines.append(f"    # {GROUP}")
    return lines


def _relations(knowledge: Mapping[Path, str], label: str, folder: Path) -> list[str]:
    if not knowledge:
        return [
            "# What the tasks have to do with each other: an expert's table (one row a class of",
            "# the source task), or counted on rows that carry both labels.",
            "# relations:",
            f"#   - {{table: knowledge.csv, source: {_quoted(label)}}}",
        ]
    return [
        "relations:   # what the tasks have to do with each other",
        *(
            f"  - {{table: {_quoted(_relative(path, folder))}, source: {_quoted(task)}}}"
            for path, task in knowledge.items()
        ),
    ]


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _plain_name(folder: Path) -> str:
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in folder.resolve().name)
    return kept.strip("-") or "study"


def _quoted(text: str) -> str:
    """Return a text as YAML inside a flow mapping, quoted where it must be."""
    return yaml.safe_dump([text], default_flow_style=True, width=10_000, allow_unicode=True)[1:-2]


def _comment(values: set[str]) -> str:
    text = " ".join(listing(sorted(values), 6).split())
    return f"# {text[:MOST_TEXT]}{'...' * (len(text) > MOST_TEXT)}"
