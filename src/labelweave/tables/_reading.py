"""Files of every kind as cells: CSV, TSV, workbooks, Parquet, Arrow and JSON lines."""

import datetime
import glob
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from labelweave._arguments import a_path
from labelweave._files import LARGEST as LARGEST_HANDWRITTEN
from labelweave._files import check_regular
from labelweave._messages import Message, some
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables._addresses import fetched, is_address
from labelweave.tables._options import ReadOptions
from labelweave.tables._table import (
    Table,
    check_columns,
    plain_cells,
    stacked,
    with_first,
    without_missing,
)
from labelweave.tables._text_files import LARGEST, opened, read_text_table

PACKED = (".gz", ".zip")


def read_cells(
    path: str | Path, read: ReadOptions | None = None, *, folder: Path | None = None
) -> Table:
    """Return the cells of a file, or of all files of a pattern such as ``lab_*.csv``.

    Text stays text; nothing is taken for a number or a date yet (see `Schema`).

    Args:
        path: the file: one of `SUFFIXES`, text files also packed (.csv.gz, .csv.zip); or as a text
            the address of one, such as ``s3://bucket/rows.csv``, which is fetched.
        read: how it is read; None = found out from the file.
        folder: where the cells of CSV and TSV files are kept instead of in memory (they are
            mapped, and gone with the table); None = in memory.

    Raises:
        LabelweaveError: no such file, unknown suffix, no header or rows, columns without a name or
            named twice, a row of another length or a quote that is not closed (with its line).
    """
    read = read or ReadOptions()
    if isinstance(path, str) and is_address(path):
        largest = LARGEST_HANDWRITTEN if read.handwritten else LARGEST
        with fetched(path, largest) as local:
            return _read_file(local, read, folder)
    path = a_path("path", path, "the path of a table")
    if any(mark in path.name for mark in "*?[") and not _exists(path):
        paths = [Path(name) for name in sorted(glob.glob(str(path)))]  # noqa: PTH207
        if not paths:
            raise LabelweaveError(f"{path}: no file fits this pattern")
        return stacked([_read_file(each, read, folder) for each in paths], str(path))
    return _read_file(path, read, folder)


def _read_file(path: Path, read: ReadOptions, folder: Path | None) -> Table:
    try:
        reader = READERS[_suffix(path)]
        check_regular(path, LARGEST_HANDWRITTEN if read.handwritten else None)
        if folder is not None and reader is read_text_table:
            reader = partial(read_text_table, folder=folder)
        table = reader(path, read)
    except OSError as error:
        raise LabelweaveError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not len(table):
        raise LabelweaveError(f"{path}: found no data rows, expected at least one")
    return table


def is_text_file(path: Path) -> bool:
    """Return whether a name is that of a CSV or TSV file, packed or not."""
    *_, last = path.suffixes or [""]
    inner = Path(path.stem).suffix.lower() if last.lower() in PACKED else last.lower()
    return READERS.get(inner) is read_text_table


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _suffix(path: Path) -> str:
    if path.is_dir():
        raise LabelweaveError(f"{path}: found a folder, expected a table ({listing(SUFFIXES)})")
    if not path.exists():
        folder = path.parent
        others = sorted(other.name for other in folder.iterdir()) if folder.is_dir() else []
        raise LabelweaveError(f"{path}: no such file{nearest(path.name, others)}")
    suffix = path.suffix.lower()
    inner = Path(path.stem).suffix.lower() if suffix in PACKED else suffix
    if suffix in PACKED and inner not in TEXTS:
        inner = ".csv" if suffix == ".zip" and not inner else inner
    if inner not in (TEXTS if suffix in PACKED else READERS):
        more = nearest(suffix, SUFFIXES)
        if suffix in (".json", ".xml"):
            more = "; the export of an annotation tool needs its name, as in format: label_studio"
        raise LabelweaveError(
            f"{path}: unknown suffix '{path.suffix}', expected {listing(SUFFIXES, 12)}{more}"
        )
    return inner


def arrow_table(place: str, read: ReadOptions, table: pa.Table) -> Table:
    """Return the cells of an Arrow table; raise `LabelweaveError` for columns that are none."""
    check_columns(place, table.column_names)
    cells = [
        without_missing(plain_cells(column, place, name), read.missing)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return Table(place, pa.table(cells, names=table.column_names), read)


def _read_parquet(path: Path, read: ReadOptions) -> Table:
    try:
        table = pq.ParquetFile(path).read()
    except pa.ArrowException:
        raise LabelweaveError(f"{path}: not a readable Parquet file") from None
    # pandas writes a column for an index that only counts; it says so
    unnamed = [name for name in table.column_names if name.startswith("__index_level_")]
    return arrow_table(str(path), read, table.drop_columns(unnamed))


def _read_feather(path: Path, read: ReadOptions) -> Table:
    try:
        table = pyarrow.feather.read_table(path, memory_map=False)
    except pa.ArrowException:
        raise LabelweaveError(f"{path}: not a readable Arrow file") from None
    return arrow_table(str(path), read, table)


def _read_json_lines(path: Path, read: ReadOptions) -> Table:
    columns: dict[str, list[str | None]] = {}
    rows = 0
    with opened(path, read.sheet) as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            row = _json_row(path, line, text, read.encoding or "utf-8-sig")
            for name in row:
                columns.setdefault(name, [None] * rows)
            for name, values in columns.items():
                values.append(_json_text(path, line, name, row.get(name)))
            rows += 1
    names = list(columns)
    check_columns(str(path), names)
    cells = [
        without_missing(pa.chunked_array([pa.array(columns[name], pa.string())]), read.missing)
        for name in names
    ]
    return Table(str(path), pa.table(cells, names=names) if names else pa.table({}), read)


def _json_row(path: Path, line: int, text: bytes, encoding: str) -> dict[str, Any]:
    try:
        # numbers keep the text of the file: 250.00 stays itself
        row = json.loads(
            text.decode(encoding), parse_int=str, parse_float=str, parse_constant=lambda _: None
        )
    except (ValueError, RecursionError):
        raise LabelweaveError(
            f"{path}: line {line} is no JSON, expected one object a line"
        ) from None
    if not isinstance(row, dict):
        raise LabelweaveError(f"{path}: line {line} holds no object, expected {{...}}")
    return dict(row)


def _json_text(path: Path, line: int, name: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise LabelweaveError(
        f"{path}: line {line}, '{name}': found a list or an object, expected one value"
    )


def _read_workbook(path: Path, read: ReadOptions) -> Table:
    import python_calamine

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > LARGEST:
                raise LabelweaveError(f"{path}: unpacks to more than {LARGEST:,} bytes")
        book = python_calamine.CalamineWorkbook.from_path(path)
        name = _sheet(path, book.sheet_names, read.sheet)
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
    except (python_calamine.CalamineError, zipfile.BadZipFile):
        raise LabelweaveError(f"{path}: not a readable workbook (.xlsx)") from None
    filled = [row for row in rows if any(cell != "" for cell in row)]
    if not filled:
        raise LabelweaveError(f"{path}: sheet '{name}' is empty, expected a header and rows")
    frame = pd.DataFrame(
        [[None if cell == "" else _moment(cell) for cell in row] for row in filled[1:]],
        dtype=object,
        columns=range(len(filled[0])),
    )
    header = ["" if cell == "" else str(_moment(cell)).strip() for cell in filled[0]]
    header = with_first(read, header)
    kept = [i for i, title in enumerate(header) if title or frame[i].notna().any()]
    check_columns(str(path), [header[i] for i in kept])
    table = Table.of_frame(frame[kept].set_axis([header[i] for i in kept], axis=1), str(path), read)
    others = [each for each in book.sheet_names if each != name]
    if read.sheet is not None or not others:
        return table
    note = Message("note.sheet", {"place": str(path), "sheet": name, "others": some(others)})
    return replace(table, notes=(note,))


def _moment(cell: Any) -> Any:
    if isinstance(cell, datetime.date) and not isinstance(cell, datetime.datetime):
        return datetime.datetime(cell.year, cell.month, cell.day)
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)  # a workbook has no other numbers than floats
    return cell


def _sheet(path: Path, names: list[str], sheet: str | int | None) -> str:
    if sheet is None:
        return names[0]
    if isinstance(sheet, int) and sheet <= len(names):
        return names[sheet - 1]
    if sheet not in names:
        raise LabelweaveError(
            f"{path}: no sheet '{sheet}', found {listing(names)}{nearest(sheet, names)}"
        )
    return str(sheet)


TEXTS: dict[str, Callable[[Path, ReadOptions], Table]] = {
    ".csv": read_text_table,
    ".tsv": read_text_table,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
READERS: dict[str, Callable[[Path, ReadOptions], Table]] = TEXTS | {
    ".txt": read_text_table,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".xlsx": _read_workbook,
}
SUFFIXES = (*READERS, *PACKED)
