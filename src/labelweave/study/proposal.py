"""A first study file, written from a look at the tables."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from labelweave.data import read_table
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.labels import OFF, ON, factorize, key

MOST_CLASSES = 50
ROWS_PER_CLASS = 3  # a column with fewer rows a value is a name or a measurement, no class


def propose(paths: Sequence[Path], folder: Path, labels: Sequence[str] | None = None) -> str:
    """Return a commented study file for tables.

    Without `labels`, a column with few distinct values counts as a label when it has gaps or is
    absent from some table: that is how scattered labels look. If there is none, every text column
    with few distinct values is one. A small table whose first column holds the classes of a task
    becomes a knowledge table.

    Args:
        paths: the tables.
        folder: the folder of the study file; paths in it are relative to that.
        labels: the label columns.

    Raises:
        LabelweaveError: a table cannot be read, a label column is not there, or nothing looks like
            a label.
    """
    tables = {path: read_table(path) for path in paths}
    if labels is not None:
        columns = [column for table in tables.values() for column in table.columns]
        for label in labels:
            if label not in columns:
                raise LabelweaveError(
                    f"--labels: no table has a column '{label}'{nearest(label, columns)}"
                )
    chosen = list(labels) if labels is not None else _guess_labels(tables)
    if not chosen:
        raise LabelweaveError(
            "no column looks like a label (few distinct values, gaps or absent from some table); "
            "name them with --labels"
        )
    classes = {
        name: {key(value) for t in tables.values() if name in t for value in factorize(t[name])[1]}
        for name in chosen
    }
    knowledge = {
        path: task for path, table in tables.items() if (task := _speaks_of(table, classes))
    }
    sources = {path: table for path, table in tables.items() if path not in knowledge}
    if not sources:
        raise LabelweaveError("every table looks like a knowledge table; name the --labels")
    return _text(sources, knowledge, classes, folder)


def _guess_labels(tables: Mapping[Path, pd.DataFrame]) -> list[str]:
    columns = list(dict.fromkeys(column for table in tables.values() for column in table.columns))
    few = [column for column in columns if _few_values(tables, column)]
    scattered = [
        column
        for column in few
        if any(column not in table or table[column].isna().any() for table in tables.values())
    ]
    texts = [
        column
        for column in few
        if not any(
            pd.api.types.is_numeric_dtype(table[column])
            for table in tables.values()
            if column in table
        )
    ]
    return scattered or texts


def _few_values(tables: Mapping[Path, pd.DataFrame], column: str) -> bool:
    parts = [table[column].dropna() for table in tables.values() if column in table]
    values = pd.concat([part.astype(object) for part in parts])
    distinct = values.map(key).nunique()
    fractional = values.map(lambda v: isinstance(v, float) and not v.is_integer()).any()
    return (
        2 <= distinct <= MOST_CLASSES
        and len(values) >= ROWS_PER_CLASS * distinct
        and not bool(fractional)
    )


def _speaks_of(table: pd.DataFrame, classes: Mapping[str, set[str]]) -> str | None:
    """Return the task whose classes are the first column of a table, one row each."""
    first = table.iloc[:, 0]
    rows = [key(value) for value in first.dropna()]
    name = str(table.columns[0])
    if len(set(rows)) != len(first) or len(first) > MOST_CLASSES or table.shape[1] < 2:
        return None
    candidates = [name] if name in classes else list(classes)
    for task in candidates:
        if set(rows) <= classes[task] and len(rows) >= 2:
            return task
    return None


def _text(
    sources: Mapping[Path, pd.DataFrame],
    knowledge: Mapping[Path, str],
    classes: Mapping[str, set[str]],
    folder: Path,
) -> str:
    lines = [
        "# A study file of labelweave. Next: labelweave check, then labelweave run.",
        f"name: {_plain_name(folder)}",
        "",
        "tasks:   # what is to be predicted; the labels are columns of the tables",
    ]
    for name, values in classes.items():
        binary = {value.lower() for value in values} <= ON | OFF
        kind = ", kind: binary" if binary else ""
        shown = listing(sorted(values), 6)
        lines.append(f"  - {{name: {_quoted(name)}{kind}}}   # {shown}")
    lines += ["", "sources:   # every column that is no label is an input"]
    for path, table in sources.items():
        lines.append(f"  - path: {_quoted(_relative(path, folder))}   # {len(table):,} rows")
        names = [column for column in table.columns if _is_identifier(table[column])]
        if names:
            lines.append(f"    exclude: [{', '.join(map(_quoted, names))}]   # every value differs")
        lines.append("    # group: column of the person, plant or batch that must not be split")
    lines.append("")
    if knowledge:
        lines.append("relations:   # what the tasks have to do with each other")
        for path, task in knowledge.items():
            file = _quoted(_relative(path, folder))
            lines.append(f"  - {{table: {file}, source: {_quoted(task)}}}")
    else:
        lines += [
            "# What the tasks have to do with each other: an expert's table (one row a class of",
            "# the source task), or counted on rows that carry both labels.",
            "# relations:",
            f"#   - {{table: knowledge.csv, source: {_quoted(next(iter(classes)))}}}",
        ]
    lines += [
        "",
        "split: {test: 0.2, validation: 0}   # shares of the rows, or numbers of rows",
        "training: {steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}",
        "seeds: 3",
        "",
    ]
    return "\n".join(lines)


def _is_identifier(column: "pd.Series[Any]") -> bool:
    fractional = pd.api.types.is_float_dtype(column)
    return not fractional and len(column) > 1 and column.nunique() == len(column)


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _plain_name(folder: Path) -> str:
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in folder.resolve().name)
    return kept.strip("-") or "study"


def _quoted(text: str) -> str:
    return (
        yaml.safe_dump(text, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
    )
