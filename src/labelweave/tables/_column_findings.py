"""Columns compared between sources: names, categories, units and distributions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labelweave.tables._column_kinds import identifying
from labelweave.tables._findings import (
    DataFinding,
    SourceTable,
    bare,
    counts,
    few,
    is_number,
    near_pairs,
    normalized,
    spelled_apart,
    yaml_line,
)

MOST_CATEGORIES = 1_000
FEWEST = 20  # values of a source that a distribution is compared from
UNLIKE = 20  # times as far spread: in other units, though both lie around zero
FACTORS = {
    1e3: "1000 times", 1e6: "a million times", 100.0: "100 times", 10.0: "10 times",
    25.4: "25.4 times (inches and mm)", 60.0: "60 times", 3600.0: "3600 times",
    9.80665: "9.81 times", 4.44822: "4.45 times (pounds and N)",
    6.89476: "6.89 times (psi and kPa)", 2.20462: "2.2 times (pounds and kg)",
}  # fmt: skip


def unlike_columns(tables: Sequence[SourceTable]) -> list[DataFinding]:
    """Return sources that share no input column, and columns that differ in spelling only."""
    if len(tables) < 2:
        return []
    found = []
    for table in tables:
        others = {column for other in tables if other is not table for column in other.inputs}
        renamed = columns_to_rename(table, tables)
        if not others & set(table.inputs):
            found.append(
                DataFinding(
                    "serious",
                    "no_shared_inputs",
                    table.name,
                    f"shares no input column with the other sources: {few(table.inputs)} here, "
                    f"{few(sorted(others))} there; nothing that is learnt of one helps the other",
                    yaml_line("rename", renamed) if renamed else "",
                )
            )
        elif renamed:
            pairs = ", ".join(f"'{a}' is '{b}' elsewhere" for a, b in list(renamed.items())[:4])
            found.append(
                DataFinding(
                    "warning", "similar_columns", table.name, pairs, yaml_line("rename", renamed)
                )
            )
    return found


def columns_to_rename(table: SourceTable, tables: Sequence[SourceTable]) -> dict[str, str]:
    """Return the columns of a source that others write in another way, by what they write.

    The first source that has a column decides on its name.
    """
    position = tables.index(table)
    own = dict.fromkeys(table.frame.columns)
    renamed: dict[str, str] = {}
    for other in tables[:position]:
        for name in other.inputs:
            if name in own:
                continue
            for column in table.inputs:
                if column in other.frame.columns or column in renamed:
                    continue
                same = bare(column) and bare(column) == bare(name)
                if same or near_pairs([normalized(column), normalized(name)]):
                    renamed[column] = name
    return {a: b for a, b in renamed.items() if list(renamed.values()).count(b) == 1}


def unlike_categories(
    tables: Sequence[SourceTable], media: Sequence[str] = ()
) -> list[DataFinding]:
    """Return categories of inputs that differ in spelling only, and columns that share none."""
    found = []
    for column in _inputs(tables):
        having = [table for table in tables if column in table.inputs]
        if column in media or any(is_number(table.frame[column]) for table in having):
            continue
        if any(table.sampled(column).nunique() > MOST_CATEGORIES for table in having):
            continue  # no need to count them all
        by_source = {table.name: counts([table.frame[column]]) for table in having}
        if any(len(each) > MOST_CATEGORIES for each in by_source.values()):
            continue
        texts = sorted({word for each in by_source.values() for word in each})
        if identifying(texts, sum(sum(each.values()) for each in by_source.values())):
            continue  # left out of the inputs; a finding would print personal data
        for name, own in by_source.items():
            wrong = {
                word: right for word, (right, _) in spelled_apart(by_source).items() if word in own
            }
            if wrong:
                pairs = ", ".join(f"'{a}' ({own[a]:,}) and '{b}'" for a, b in [*wrong.items()][:4])
                found.append(
                    DataFinding(
                        "warning", "similar_categories", f"{name}, column '{column}'",
                        f"categories that are likely one: {pairs}",
                        yaml_line("map", {column: wrong}),
                    )
                )  # fmt: skip
        filled = {name: own for name, own in by_source.items() if sum(own.values()) >= FEWEST}
        for name, own in filled.items():
            others = {word for other, each in filled.items() if other != name for word in each}
            if others and not {normalized(word) for word in others} & {
                normalized(word) for word in own
            }:
                found.append(
                    DataFinding(
                        "note", "other_categories", f"{name}, column '{column}'",
                        f"none in common: {few(sorted(own))} here, "
                        f"{few(sorted(others))} elsewhere",
                    )
                )  # fmt: skip
                break
    return found


class _Seen(NamedTuple):
    table: SourceTable
    quantiles: NDArray[np.float64]  # of 5, 25, 50, 75, 95 %
    rows: int


def unlike_numbers(tables: Sequence[SourceTable]) -> list[DataFinding]:
    """Return columns of numbers that are in other units, or hardly overlap, in one source.

    The source with the most rows among those that agree with the most others is the reference.
    """
    found = []
    for column in _inputs(tables):
        seen = [s for table in tables if column in table.inputs and (s := _seen(table, column))]
        if len(seen) < 2:
            continue
        reference = max(seen, key=lambda a: (sum(_overlap(a, b) for b in seen), a.rows))
        for other in seen:
            near = _overlap(other, reference, outer=False)
            if other is reference or (near and _same_spread(other, reference)):
                continue
            factor = _factor(other.quantiles, reference.quantiles)
            place = f"{other.table.name}, column '{column}'"
            medians = (
                f"median {other.quantiles[2]:.4g} here, {reference.quantiles[2]:.4g} in "
                f"{reference.table.name}"
            )
            if near:  # both lie around zero
                medians = (
                    f"half of the values in {_half(other)} here, in {_half(reference)} in "
                    f"{reference.table.name}"
                )
            if factor is not None:
                found.append(
                    DataFinding(
                        "serious", "units", place, f"{medians}: {factor}, likely another unit",
                        yaml_line("exclude", [column]) + "   # or convert the column in the file",
                    )
                )  # fmt: skip
            elif not _overlap(other, reference):
                found.append(
                    DataFinding(
                        "warning", "distribution", place, f"{medians}; the ranges do not overlap"
                    )
                )
    return found


def _seen(table: SourceTable, column: str) -> _Seen | None:
    values = table.sampled(column)
    if not is_number(values):
        return None
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) < FEWEST or len(np.unique(numbers)) <= 10:
        return None
    return _Seen(table, np.quantile(numbers, [0.05, 0.25, 0.5, 0.75, 0.95]), len(table.frame))


def _overlap(a: _Seen, b: _Seen, outer: bool = True) -> bool:
    low, high = (0, 4) if outer else (1, 3)
    return bool(a.quantiles[low] <= b.quantiles[high] and b.quantiles[low] <= a.quantiles[high])


def _same_spread(a: _Seen, b: _Seen) -> bool:
    own, other = a.quantiles[3] - a.quantiles[1], b.quantiles[3] - b.quantiles[1]
    return not min(own, other) or bool(max(own, other) < UNLIKE * min(own, other))


def _half(seen: _Seen) -> str:
    return f"{seen.quantiles[1]:.3g} to {seen.quantiles[3]:.3g}"


def _factor(own: NDArray[np.float64], other: NDArray[np.float64]) -> str | None:
    """Return the factor between two units that makes two distributions one, in words."""
    best: tuple[float, str] | None = None
    for factor, words in FACTORS.items():
        for scale, side in ((factor, "smaller"), (1 / factor, "larger")):
            off = _distance(own * scale, other)
            if best is None or off < best[0]:
                best = (off, f"{words} {side}")
    for values, words in (
        (own * 9 / 5 + 32, "as °C here and °F there"),
        ((own - 32) * 5 / 9, "as °F here and °C there"),
        (own + 273.15, "as °C here and K there"), (own - 273.15, "as K here and °C there"),
    ):  # fmt: skip
        # shifts fit many columns by chance, so they have to fit better
        off = 3 * _distance(values, other)
        if best is None or off < best[0]:
            best = (off, words)
    return best[1] if best is not None and best[0] < 1 else None


def _distance(own: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return how far the quartiles are apart, in half of the distance between quartiles."""
    spread = max(other[3] - other[1], own[3] - own[1]) / 2
    if not spread or min(other[3] - other[1], own[3] - own[1]) * 4 < spread * 2:
        return np.inf
    return float(np.abs(own[1:4] - other[1:4]).max() / spread)


def _inputs(tables: Sequence[SourceTable]) -> list[str]:
    return list(dict.fromkeys(column for table in tables for column in table.inputs))
