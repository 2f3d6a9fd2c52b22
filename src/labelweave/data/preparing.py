"""Tables with images or texts made ready: everything read once, and what cannot be read told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.data.media import MediaColumn, Stored
from labelweave.data.row_store import RowStore
from labelweave.data.source import Source
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.files import replacing
from labelweave.remarks import Remark, some

NAMED = 20  # damaged files that a note names; all are in DAMAGED
DAMAGED = "damaged.csv"


@dataclass
class Prepared:
    """Tables whose media columns hold the keys of what was read.

    Attributes:
        tables: the tables, without the rows that are left out.
        numbers: the number, from 1, that each row has in its file.
        stores: by column what its values became.
        notes: which rows are left out, a line a table.
    """

    tables: list[pd.DataFrame]
    numbers: list[NDArray[np.int64]]
    stores: dict[str, RowStore] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def prepare(
    tables: Sequence[pd.DataFrame],
    roots: Sequence[Path],
    places: Sequence[str],
    columns: Sequence[MediaColumn],
    cache: Path,
    *,
    skip: bool = False,
    jobs: int | None = None,
    progress: bool = True,
) -> Prepared:
    """Read what the media columns of tables name, once, into a cache.

    Args:
        tables: tables with the columns.
        roots: what paths in each table are relative to.
        places: what errors call each table.
        columns: the columns, and how they are read; none = the tables come back as they are.
        cache: the folder to keep what was read in.
        skip: leave rows out whose value is missing or cannot be read; else that is an error.
        jobs: processes; None = one a core.
        progress: show a bar when on a terminal.

    Raises:
        LabelweaveError: a table lacks a column, or a value cannot be used.
    """
    ready = Prepared(list(tables), [np.arange(1, len(table) + 1) for table in tables])
    reasons: list[dict[int, tuple[str, str]]] = [{} for _ in tables]  # by row: value and reason
    for each in columns:
        for table, place in zip(tables, places, strict=True):
            _require(each.column, table, place)
        values = [
            each.resolved(table[each.column], root.absolute())
            for table, root in zip(tables, roots, strict=True)
        ]
        present = [str(value) for part in values for value in part.dropna()]
        stored = each.store(present, cache, jobs=jobs, progress=progress)
        ready.stores[each.column] = stored.store
        keys = dict(zip(present, stored.keys, strict=True))
        for number, part in enumerate(values):
            found = [None if pd.isna(value) else keys[str(value)] for value in part]
            ready.tables[number] = ready.tables[number].assign(
                **{each.column: pd.Series(found, index=part.index, dtype=object)}
            )
            for row in np.flatnonzero([key is None for key in found]):
                reasons[number].setdefault(int(row), _reason(part.iloc[row], each, stored))
    for number, (table, place) in enumerate(zip(ready.tables, places, strict=True)):
        if not reasons[number]:
            continue
        if not skip:
            raise LabelweaveError(_first(reasons[number], place))
        if len(reasons[number]) == len(table):
            raise LabelweaveError(f"{_first(reasons[number], place)}; no row is left")
        kept = np.setdiff1d(np.arange(len(table)), list(reasons[number]))
        ready.tables[number] = table.iloc[kept].reset_index(drop=True)
        ready.numbers[number] = ready.numbers[number][kept]
        names = [name for name, _ in reasons[number].values()]
        told = {"place": place, "n": len(names), "names": some(names, NAMED)}
        ready.notes.append(Remark("note.not_readable", **told))
    if ready.notes:
        _write_damaged(reasons, places, cache / DAMAGED)
    return ready


def prepare_sources(
    sources: Sequence[Source],
    columns: Sequence[MediaColumn],
    cache: Path,
    *,
    skip: bool = False,
    progress: bool = True,
) -> tuple[list[Source], Prepared]:
    """Return sources with what `prepare` makes of their inputs, and its result.

    Paths are relative to the working folder; the other arguments are those of `prepare`.
    """
    if not columns:
        return list(sources), Prepared([], [])
    ready = prepare(
        [each.inputs for each in sources],
        [Path()] * len(sources),
        [f"source '{each.name}'" for each in sources],
        columns, cache, skip=skip, progress=progress,
    )  # fmt: skip
    made = []
    for each, table, numbers in zip(sources, ready.tables, ready.numbers, strict=True):
        kept = numbers - 1
        groups = None if each.groups is None else each.groups[kept]
        labels = each.annotations[kept]
        made.append(Source(each.name, table, labels, groups, each.split, each.numbers[kept]))
    return made, ready


def _require(column: str, table: pd.DataFrame, place: str) -> None:
    if column not in table.columns:
        raise LabelweaveError(
            f"{place}: no column '{column}', found {listing(table.columns)}"
            f"{nearest(column, table.columns)}"
        )


def _reason(value: object, column: MediaColumn, stored: Stored) -> tuple[str, str]:
    if pd.isna(value):  # type: ignore[call-overload]
        return "", f"column '{column.column}' is empty, expected a path"
    return str(value), stored.damaged[str(value)]


def _first(reasons: dict[int, tuple[str, str]], place: str) -> str:
    row = min(reasons)
    name, reason = reasons[row]
    more = len(reasons) - 1
    others = f" (and {more} more such row{'s' * (more > 1)})" if more else ""
    found = f"{name}: {reason}" if name else reason
    return f"{place}: row {row + 1}: {found}{others}; 'on_error: skip' leaves such rows out"


def _write_damaged(
    reasons: Sequence[dict[int, tuple[str, str]]], places: Sequence[str], path: Path
) -> None:
    rows = [
        (place, row + 1, *reason)
        for place, found in zip(places, reasons, strict=True)
        for row, reason in sorted(found.items())
    ]
    with replacing(path) as temporary:
        frame = pd.DataFrame(rows, columns=["source", "row", "file", "reason"])
        frame.to_csv(temporary, index=False)
