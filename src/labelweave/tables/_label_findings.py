"""Labels: spellings of classes, tasks that cannot be learnt, and inputs that give a label away."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.tables._findings import (
    DataFinding,
    Severity,
    SourceTable,
    counts,
    few,
    is_number,
    normalized,
    shortened,
    spelled_apart,
    yaml_line,
)
from labelweave.tasks import Multiclass, Multilabel, Task, factorize, key

POOLED = 50_000  # labelled rows that inputs are compared with, evenly from all sources
TEXTS = 5_000
FEWEST = 20  # labelled rows
COPY = 0.98  # share of rows in which a copy agrees
MOST_VALUES = 200


def tasks_by_column(tasks: Sequence[Task]) -> dict[str, Task]:
    """Return the label columns of tasks, each with its task."""
    found: dict[str, Task] = {}
    for task in tasks:
        names = [task.name] if isinstance(task, Multiclass) else list(task.names)
        found |= dict.fromkeys(names, task)
    return found


def class_findings(tables: Sequence[SourceTable], tasks: Sequence[Task]) -> list[DataFinding]:
    """Return classes that are likely one, and labels that say the same of every row."""
    found = []
    for column, task in tasks_by_column(tasks).items():
        by_source = {t.name: counts([t.frame[column]]) for t in tables if column in t.frame}
        total = Counter[str]()
        for each in by_source.values():
            total.update(each)
        if isinstance(task, Multiclass):
            found += _spellings(column, by_source)
            if len(total) == 1:
                (only,) = total
                found.append(
                    DataFinding(
                        "serious", "one_class", f"task '{task.name}'",
                        f"all {total[only]:,} labels are '{shortened(only)}'",
                    )
                )  # fmt: skip
            apart = spelled_apart(by_source)
            rare = [name for name, size in total.items() if size < 2 and name not in apart]
            if rare and len(total) > 1:
                found.append(
                    DataFinding(
                        "warning", "rare_class", f"task '{task.name}'",
                        f"classes with one label, too few to learn and to test: {few(rare)}",
                    )
                )  # fmt: skip
        elif total:
            found += _switches(column, task, total)
        if not total and by_source:
            found.append(
                DataFinding(
                    "serious", "no_labels", f"column '{column}'", "no row has a label of it"
                )
            )
    return found


def _spellings(column: str, by_source: dict[str, dict[str, int]]) -> list[DataFinding]:
    apart = spelled_apart(by_source)
    found = []
    for name, own in by_source.items():
        wrong = {word: apart[word] for word in own if word in apart}
        for sure in (True, False):
            pairs = {word: right for word, (right, how) in wrong.items() if how is sure}
            if pairs:
                how = "case, blanks or Unicode form" if sure else "one letter"
                listed = ", ".join(
                    f"'{shortened(a)}' ({own[a]:,}) and '{shortened(b)}'"
                    for a, b in list(pairs.items())[:4]
                )
                found.append(
                    DataFinding(
                        "serious" if sure else "warning", "similar_classes",
                        f"{name}, column '{column}'", f"classes that differ by {how}: {listed}",
                        yaml_line("map", {column: pairs}),
                    )
                )  # fmt: skip
    return found


def _switches(column: str, task: Multilabel, total: Counter[str]) -> list[DataFinding]:
    on, off = task.words()
    size = {
        "yes": sum(n for word, n in total.items() if word.lower() in on),
        "no": sum(n for word, n in total.items() if word.lower() in off),
    }
    for absent, other in (("no", "yes"), ("yes", "no")):
        if not size[absent] and size[other]:
            what = "only_positives" if absent == "no" else "only_negatives"
            help_ = "; a row that is not marked reads as missing" if absent == "no" else ""
            return [
                DataFinding(
                    "serious", what, f"task '{task.name}', column '{column}'",
                    f"all {size[other]:,} labels are {other}{help_}",
                )
            ]  # fmt: skip
    return []


class _Pool:
    """Rows of all sources, evenly sampled, with their inputs as codes."""

    def __init__(self, tables: Sequence[SourceTable], columns: Sequence[str]) -> None:
        self.tables, self.columns = tables, columns
        self.most = max(1, POOLED // max(1, len(tables)))

    def __call__(self, column: str) -> "pd.Series[Any]":
        parts = [
            t.sampled(column, self.most)
            if column in t.frame
            else pd.Series([None] * min(len(t.frame), self.most), dtype=object)
            for t in self.tables
        ]
        own = [p for t, p in zip(self.tables, parts, strict=True) if column in t.frame]
        numbers = all(is_number(part) for part in own)
        joined: pd.Series[Any] = pd.concat(
            [p.astype(np.float64 if numbers else object) for p in parts], ignore_index=True
        )
        return joined


def giveaways(
    tables: Sequence[SourceTable], tasks: Sequence[Task], media: Sequence[str] = ()
) -> dict[str, list[DataFinding]]:
    """Return by input what gives an answer away: a copy of a label, a text that names it."""
    labels = tasks_by_column(tasks)
    inputs = list(dict.fromkeys(c for t in tables for c in t.inputs if c not in media))
    pool = _Pool(tables, inputs)
    known: dict[str, tuple[NDArray[np.int64], list[str]]] = {}
    for column, task in labels.items():
        if any(column in t.frame for t in tables):
            codes, uniques = factorize(pool(column))
            names = [key(value) for value in uniques]
            if not isinstance(task, Multiclass):
                codes, names = _switched(codes, names, task)
            known[column] = (codes, names)
    found: dict[str, list[DataFinding]] = {}
    for name in inputs:
        values = pool(name)
        codes, uniques = factorize(values)
        text = not is_number(values) and len(uniques) > 20 and _wordy(uniques)
        for column, (label, names) in known.items():
            both = (codes >= 0) & (label >= 0)
            if both.sum() < FEWEST:
                continue
            place = f"column '{name}', task '{labels[column].name}'"
            clue = _copied(codes[both], len(uniques), label[both], names)
            if not clue and is_number(values):
                clue = _separating(np.asarray(values, np.float64)[both], label[both], names)
            if not clue and text:
                clue = _named(values[both], label[both], names, column, labels[column])
            if clue:
                severity, evidence = clue
                place = place if labels[column].name == column else f"{place}, label '{column}'"
                paste = yaml_line("exclude", [name])
                finding = DataFinding(severity, "gives_away", place, evidence, paste)
                found.setdefault(name, []).append(finding)
    return found


def _switched(
    codes: NDArray[np.int64], names: list[str], task: Multilabel
) -> tuple[NDArray[np.int64], list[str]]:
    on, off = task.words()
    lookup = np.array(
        [1 if n.lower() in on else 0 if n.lower() in off else -1 for n in names] + [-1]
    )
    return lookup[codes], ["no", "yes"]


Clue = tuple[Severity, str] | None


def _copied(
    values: NDArray[np.int64], many: int, label: NDArray[np.int64], names: Sequence[str]
) -> Clue:
    """Find out whether each value stands for one class, as in a copy of the label."""
    present = np.flatnonzero(np.bincount(values, minlength=many))
    if not 2 <= len(present) <= MOST_VALUES:
        return None
    table = np.bincount(values * len(names) + label, minlength=many * len(names))
    table = table.reshape(many, len(names))[present]
    sizes = table.sum(axis=0)
    classes = np.flatnonzero(sizes)
    if len(classes) < 2 or np.sort(sizes)[-2] < 5:
        return None
    meant, right = table.argmax(axis=1), table.max(axis=1)
    rows = int(table.sum())
    covered = set(meant[right >= 2]) >= set(np.flatnonzero(sizes >= 3))
    agreement = right.sum() / rows
    chance = sizes.max() / rows
    if not covered or agreement <= chance:
        return None
    if len(present) <= len(classes) + 1 and (agreement - chance) / (1 - chance) >= COPY:
        return (
            "serious",
            f"agrees with the label in {right.sum():,} of {rows:,} rows: a copy under another name",
        )
    if agreement == 1 and rows >= 10 * len(present):
        return (
            "warning",
            f"each of its {len(present)} values goes with one class only, in all {rows:,} rows",
        )
    return None


def _separating(
    values: NDArray[np.float64], label: NDArray[np.int64], names: Sequence[str]
) -> Clue:
    """Find out whether a threshold on a number separates two classes without an error."""
    sizes = np.bincount(label, minlength=len(names))
    classes = np.flatnonzero(sizes)
    if len(classes) != 2 or sizes[classes].min() < 10:
        return None
    first = label == classes[0]
    one, other = values[first], values[~first]
    if one.max() >= other.min() and other.max() >= one.min():
        return None
    return ("warning", f"a threshold on it separates the two classes in all {len(values):,} rows")


def _wordy(uniques: Sequence[object]) -> bool:
    texts = [str(value) for value in uniques[:500]]
    return float(np.mean([len(text) for text in texts])) >= 6


def _named(
    values: "pd.Series[Any]",
    label: NDArray[np.int64],
    names: Sequence[str],
    column: str,
    task: Task,
) -> Clue:
    """Find out whether a text names the class, or holds a word that gives it away."""
    rows = np.linspace(0, len(values) - 1, min(len(values), TEXTS)).astype(np.int64)
    texts = [normalized(str(value)) for value in values.iloc[rows]]
    label = label[rows]
    words = [frozenset(re.findall(r"\w+", text)) for text in texts]
    sizes = np.bincount(label, minlength=len(names))
    own = list(names) if isinstance(task, Multiclass) else ["", column.rpartition(".")[2]]
    for code, name in enumerate(own):
        size, sought = int(sizes[code]), normalized(name)
        if size < 5 or size > 0.7 * len(rows) or len(sought) < (3 if sought.isascii() else 2):
            continue
        asked = set(re.findall(r"\w+", sought))
        if not asked:
            continue
        has = np.array(
            [
                asked <= each if sought.isascii() else sought in text
                for each, text in zip(words, texts, strict=True)
            ]
        )
        hits = int((has & (label == code)).sum())
        if hits >= max(5, 0.3 * size) and hits >= 0.9 * has.sum():
            return (
                "serious",
                f"the text names the label: '{shortened(name)}' stands in {hits:,} of {size:,} "
                f"rows that have it and in {int(has.sum()) - hits:,} others",
            )
    everywhere = Counter(word for each in words for word in each)
    for code, name in enumerate(names):
        size = int(sizes[code])
        if size < 10 or size > 0.6 * len(rows):
            continue
        inside = Counter(
            word for each, c in zip(words, label, strict=True) if c == code for word in each
        )
        for word, hits in inside.most_common(50):
            if hits >= 0.5 * size and hits >= 0.98 * everywhere[word]:
                return (
                    "warning",
                    f"the word '{shortened(word)}' stands in {hits:,} of {size:,} rows of "
                    f"'{shortened(name)}' and in {everywhere[word] - hits:,} others",
                )
    return None
