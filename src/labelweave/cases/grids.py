"""Official text files that are grids: a name or nothing, then a fixed number of numbers a line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelweave.cases.official import wrong_line
from labelweave.data.progress import items_bar
from labelweave.errors import LabelweaveError


def counted_rows(path: Path, *, progress: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a file that starts with their number and a line of column names.

    CelebA and DeepFashion share this form. The file is read line by line, for some are large.

    Args:
        path: the file.
        progress: show a bar, on a terminal.

    Yields:
        The number of the line, from 1, and its fields; the first is line 2, the column names.

    Raises:
        LabelweaveError: no number in line 1, or more or fewer rows than it says.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file, items_bar(progress) as bar:
        first = file.readline().strip()
        if not (first.isascii() and first.isdigit()):
            raise wrong_line(path, 1, first, "the number of rows that follow the column names")
        yield 2, file.readline().split()
        count, shown = 0, bar.add_task(f"Reading {path.name}", total=int(first))
        for number, line in enumerate(file, start=3):
            if fields := line.split():
                count += 1
                yield number, fields
                bar.advance(shown)
    if count != int(first):
        raise LabelweaveError(f"{path}: found {count} rows, expected {first}, as its line 1 says")


def codes_of(
    path: Path, number: int, fields: Sequence[str], width: int, meaning: Mapping[str, int]
) -> NDArray[np.int8]:
    """Return the codes of a row's texts, (width,), -1 = missing.

    Args:
        path: the file, for the error.
        number: the number of the line, for the error.
        fields: the texts.
        width: how many there should be.
        meaning: the code of each text that may stand there.

    Raises:
        LabelweaveError: another number of texts, or one without a meaning.
    """
    codes = [meaning.get(text) for text in fields]
    if len(codes) != width or None in codes:
        shown = ", ".join(sorted(meaning, key=int))
        line = " ".join(fields)
        raise wrong_line(path, number, line, f"{width} numbers, each one of {shown}")
    return np.array(codes, dtype=np.int8)


def matrix(path: Path, rows: int, columns: int, what: str) -> NDArray[np.float64]:
    """Return a matrix of numbers that stand in lines, with spaces, (rows, columns).

    Args:
        path: the file.
        rows: expected rows.
        columns: expected columns.
        what: what a row and a column are, for the error.

    Raises:
        LabelweaveError: another shape, or something that is no number.
    """
    found: list[NDArray[np.float64]] = []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if fields := line.split():
                try:
                    values = np.array(fields, dtype=np.float64)
                except ValueError:
                    values = np.empty(0)
                if len(values) != columns:
                    raise wrong_line(path, number, line.strip(), f"{columns} numbers ({what})")
                found.append(values)
    if len(found) != rows:
        raise LabelweaveError(f"{path}: found {len(found)} rows, expected {rows} ({what})")
    return np.stack(found)
