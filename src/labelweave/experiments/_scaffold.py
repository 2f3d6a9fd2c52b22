"""A first study file, written from a look at the tables."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from pandas.api.types import is_numeric_dtype

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables import SourceTable, read_table
from labelweave.tables._column_findings import columns_to_rename
from labelweave.tables._column_kinds import (
    GROUP_SIGNS,
    GROUP_WORDS,
    LABEL_SIGNS,
    LABEL_WORDS,
    MOST_CLASSES,
    Parts,
    called,
    distinct,
    few_values,
    grouping,
    personal,
    scattered,
    unusable,
)
from labelweave.tables._findings import normalized
from labelweave.tasks import OFF, ON, key

SEEDS = 5
CO_LABELLED = 20  # rows with both labels that a relation is counted from
SCHEMA = "labelweave.schema.json"
VERDICTS = {
    "ok", "ng", "pass", "fail", "passed", "failed", "good", "bad", "defect", "defective", "scrap",
    "rework", "accept", "reject", "minor", "major", "critical", "severe", "mild", "benign",
    "malignant", "positive", "negative", "良", "不良", "可", "否", "合格", "不合格", "異常", "正常",
}  # fmt: skip

Tables = Mapping[Path, pd.DataFrame]


@dataclass(frozen=True)
class StudyProposal:
    """A study file, and what was decided on the way to it, a line each."""

    text: str
    decisions: tuple[str, ...]


def propose_study(
    paths: Sequence[Path], folder: Path, labels: Sequence[str] | None = None
) -> StudyProposal:
    """Return a commented study file for tables.

    Columns that are written in several ways get one name. Which columns are labels is guessed
    where `labels` does not name them (`guess_labels`), and so are groups and the tables of experts
    (`knowledge_tables`). Columns of dates, identifiers, free text or personal data are excluded
    from the inputs, with the reason next to them.

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
    found = {path: table for path, table in tables.items() if path not in knowledge}
    renamed = _renamed(found)
    sources = {path: table.rename(columns=renamed[path]) for path, table in found.items()}
    columns = list(dict.fromkeys(column for table in sources.values() for column in table.columns))
    for label in labels or ():
        if label not in columns:
            raise LabelweaveError(
                f"--labels: no table has a column '{label}'{nearest(label, columns)}"
            )
    reasons = guess_labels({path: sources.get(path, t) for path, t in tables.items()}, knowledge)
    chosen = dict.fromkeys(labels, "named") if labels is not None else reasons
    if not chosen:
        raise LabelweaveError(
            "no column looks like a label (few distinct values, gaps or absent from some table); "
            "name them with --labels"
        )
    inputs = [column for column in columns if column not in chosen]
    group = _group(sources, inputs)
    excluded = _excluded(sources, [column for column in inputs if column != group])
    related = {path: task for path, task in knowledge.items() if task in chosen}
    counted = [] if related else _counted(sources, list(chosen))
    lines = [
        f"# yaml-language-server: $schema={SCHEMA}",
        "# A study file of labelweave. Next: labelweave check, then labelweave run.",
        f"name: {_plain_name(folder)}",
        "",
        *_tasks({name: distinct(_parts(sources, name)) for name in chosen}),
        "",
        *_sources(sources, renamed, excluded, group, folder),
        "",
        *_relations(related, counted, next(iter(chosen)), folder),
        "",
        "split: {test: 0.2, validation: 0}   # shares of the rows, or numbers of rows",
        "training: {steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}",
        "# what to compare: each task alone, each task's best simple learner, and joined",
        "methods: [single_task, best_single_task, coupled, student]",
        f"seeds: {SEEDS}   # fewer than 5 give wide intervals",
        "",
    ]
    decisions = _decisions(sources, renamed, chosen, excluded, group, related, counted)
    return StudyProposal("\n".join(lines), tuple(decisions))


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
            parts = _parts(larger, column)
            if few_values(parts) and set(rows) <= distinct(parts):
                found[path] = column
                break
    return found


def guess_labels(tables: Tables, knowledge: Mapping[Path, str]) -> dict[str, str]:
    """Return the columns that look like labels, each with the reason.

    With knowledge tables: the tasks in them. Also every column of few values that has gaps or
    is absent from some table, for that is how scattered labels look, that is called like a label,
    or whose values are verdicts (OK, NG), and every text column of few values that stands right of
    one of these and is not called like a group (a customer, a lot). Where there is none, every
    text column of few values. A column that is called like a group and looks like one is none.
    """
    sources = {path: table for path, table in tables.items() if path not in knowledge}
    columns = list(dict.fromkeys(c for table in sources.values() for c in table.columns))
    named = set(knowledge.values())
    for path in knowledge:
        named |= {name.partition("=")[0] for name in tables[path].columns[1:]}
    found: dict[str, str] = {}
    few = []
    for column in columns:
        parts = _parts(sources, column)
        if column in named:
            found[column] = "in the expert's table"
        elif called(column, GROUP_WORDS, GROUP_SIGNS) and grouping(column, parts) is not None:
            continue  # `_group` looks at it
        elif unusable(parts) is None and few_values(parts) and personal(column, parts) is None:
            few.append(column)
            values = distinct(parts)
            if len(parts) < len(sources):
                found[column] = "few values, absent from some table"
            elif scattered(parts, len(sources)):
                found[column] = "few values, with gaps"
            elif called(column, LABEL_WORDS, LABEL_SIGNS):
                found[column] = "few values, called like a label"
            elif {normalized(value) for value in values} <= VERDICTS:
                found[column] = "its values are verdicts"
    texts = [c for c in few if not any(is_numeric_dtype(part) for part in _parts(sources, c))]
    if not found:
        return dict.fromkeys(texts, "text of few values")
    # exports write results after what they were measured from
    free = [c for c in texts if c not in found and not called(c, GROUP_WORDS, GROUP_SIGNS)]
    after = [c for c in free if _after(sources, c, found)]
    return found | dict.fromkeys(after, "text of few values, right of a label")


def _after(sources: Tables, column: str, labels: Collection[str]) -> bool:
    """Return whether a label stands left of a column in every table that has it."""
    orders = [list(table.columns) for table in sources.values() if column in table]
    return all(set(order[: order.index(column)]) & set(labels) for order in orders)


def _parts(sources: Tables, column: str) -> Parts:
    return [table[column] for table in sources.values() if column in table]


def _renamed(sources: Tables) -> dict[Path, dict[str, str]]:
    """Return by table the columns that an earlier table writes in another way, and how."""
    tables = [SourceTable(str(path), t, tuple(t.columns)) for path, t in sources.items()]
    return {path: columns_to_rename(t, tables) for path, t in zip(sources, tables, strict=True)}


def _group(sources: Tables, inputs: Sequence[str]) -> str | None:
    """Return the column that ties rows together: the one that most sources have."""
    found = [c for c in inputs if grouping(c, _parts(sources, c)) and not _is_date(sources, c)]
    return max(found, key=lambda column: len(_parts(sources, column)), default=None)


def _is_date(sources: Tables, column: str) -> bool:
    return unusable(_parts(sources, column)) == "dates"


def _excluded(sources: Tables, inputs: Sequence[str]) -> dict[str, str]:
    """Return the columns that are no inputs, each with the reason."""
    reasons: dict[str, str] = {}
    for column in inputs:
        parts = _parts(sources, column)
        why = personal(column, parts)
        if why is not None:
            reasons[column] = f"likely personal data: {why}"
        elif (reason := unusable(parts)) is not None:
            reasons[column] = reason
    return reasons


def _counted(sources: Tables, tasks: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return each task with the others that enough of its labelled rows have labels of too.

    Tasks of classes come before binary ones: a binary task is no source for classes.
    """
    found = []
    free = sorted(tasks, key=lambda name: _is_binary(distinct(_parts(sources, name))))
    while free:
        task = free.pop(0)
        targets = []
        for other in free:
            both = sum(
                int((table[task].notna() & table[other].notna()).sum())
                for table in sources.values()
                if task in table and other in table
            )
            if both >= CO_LABELLED:
                targets.append(other)
        if targets:
            found.append((task, targets))
    return found


def _decisions(
    sources: Tables,
    renamed: Mapping[Path, Mapping[str, str]],
    chosen: Mapping[str, str],
    excluded: Mapping[str, str],
    group: str | None,
    related: Mapping[Path, str],
    counted: Sequence[tuple[str, list[str]]],
) -> list[str]:
    lines = [
        f"renamed in {path.name}: {', '.join(f'{a!r} to {b!r}' for a, b in names.items())}"
        for path, names in renamed.items()
        if names
    ]
    for name, reason in chosen.items():
        classes = len(distinct(_parts(sources, name)))
        lines.append(f"label    {name}: {classes} classes ({reason})")
    if group is not None:
        lines.append(f"group    {group}: {grouping(group, _parts(sources, group))}")
    lines += [f"no input {name}: {reason}" for name, reason in excluded.items()]
    columns = dict.fromkeys(column for table in sources.values() for column in table.columns)
    inputs = [c for c in columns if c not in {*chosen, *excluded, group}]
    lines.append(f"inputs   {listing(inputs)}")
    texts = [
        c
        for c in inputs
        if few_values(_parts(sources, c)) and not all(map(is_numeric_dtype, _parts(sources, c)))
    ]
    if texts:
        lines.append(f"         if one of {listing(texts)} is a label: --labels names all of them")
    for path, task in related.items():
        lines.append(f"relation {path.name}: one row a class of {task}")
    for task, targets in counted:
        lines.append(f"relation {task} to {listing(targets)}: counted on rows with both labels")
    return lines


def _tasks(classes: Mapping[str, set[str]]) -> list[str]:
    lines = ["tasks:   # what is to be predicted; the labels are columns of the tables"]
    for name, values in classes.items():
        kind = ", kind: binary" if _is_binary(values) else ""
        lines.append(f"  - {{name: {_quoted(name)}{kind}}}   {_comment(values)}")
    return lines


GROUP = "'group: COLUMN' keeps its rows on one side of a split"
MOST_TEXT = 100  # characters of a comment


def _sources(
    sources: Tables,
    renamed: Mapping[Path, Mapping[str, str]],
    reasons: Mapping[str, str],
    group: str | None,
    folder: Path,
) -> list[str]:
    stems = [path.stem for path in sources]
    lines = ["sources:   # every column that is no label and not excluded is an input"]
    for number, (path, table) in enumerate(sources.items(), start=1):
        lines.append(f"  - path: {_quoted(_relative(path, folder))}   # {len(table):,} rows")
        if stems.count(path.stem) > 1:
            lines.append(f"    name: {_quoted(f'{path.stem} {number}')}")
        if renamed[path]:
            pairs = ", ".join(f"{_quoted(a)}: {_quoted(b)}" for a, b in renamed[path].items())
            lines.append(f"    rename: {{{pairs}}}   # as in the other tables")
        if group is not None and group in table:
            lines.append(f"    group: {_quoted(group)}   # its rows stay on one side of a split")
        excluded = [column for column in table.columns if column in reasons]
        if excluded:
            lines.append(
                "    exclude:" + f"   # if one names a plant or batch: {GROUP}" * (not group)
            )
            lines += [f"      - {_quoted(name)}   # {reasons[name]}" for name in excluded]
        elif group is None:
            lines.append(f"    # {GROUP}")
    return lines


def _relations(
    knowledge: Mapping[Path, str],
    counted: Sequence[tuple[str, list[str]]],
    label: str,
    folder: Path,
) -> list[str]:
    if not knowledge and not counted:
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
        *(
            f"  - {{source: {_quoted(task)}, targets: [{', '.join(map(_quoted, targets))}]}}"
            "   # counted on rows with both labels"
            for task, targets in counted
        ),
    ]


def _is_binary(values: set[str]) -> bool:
    return {value.lower() for value in values} <= ON | OFF


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
