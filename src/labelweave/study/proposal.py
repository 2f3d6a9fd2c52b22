"""A first study file, written from a look at the tables."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from labelweave.data import read_table
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.labels import OFF, ON
from labelweave.study.columns import (
    Tables,
    distinct_labels,
    guess_labels,
    knowledge_tables,
    unusable,
)

GROUP = "'group: COLUMN' keeps its rows on one side of a split"
MOST_TEXT = 100  # characters of a comment


def propose(paths: Sequence[Path], folder: Path, labels: Sequence[str] | None = None) -> str:
    """Return a commented study file for tables.

    Which columns are labels is guessed where it is not said, and so is which tables are knowledge
    tables (see `labelweave.study.columns`). Columns of dates, identifiers or free text are
    excluded from the inputs, with the reason beside them.

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
        and (reason := unusable([t[column] for t in sources.values() if column in t]))
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
