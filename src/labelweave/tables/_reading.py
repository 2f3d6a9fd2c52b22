"""Files: CSV, TSV and Parquet tables, read without guessing."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from pandas.api.types import is_numeric_dtype

from labelweave.data._collection import check_columns
from labelweave.errors import LabelweaveError, listing, nearest

MISSING = ("", "NA", "NaN", "nan", "null")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*DELIMITERS, ".parquet")


def read_table(path: str | Path, missing: Sequence[str] = MISSING) -> pd.DataFrame:
    """Read a table from a .csv, .tsv (UTF-8, with a header) or .parquet file.

    Cells of a text file are text; a column becomes numeric when every cell that is not missing is
    a number. Nothing else is guessed: "None" stays text, unless it is in `missing`.

    Args:
        path: the file.
        missing: the texts that stand for a missing value.

    Returns:
        One row per data row; missing values are NaN.

    Raises:
        LabelweaveError: no such file, unknown suffix, not UTF-8, no header or rows, columns
            without a name or named twice, or a row of another length (with its line).
    """
    path = Path(path)
    if path.is_dir():
        raise LabelweaveError(f"{path}: found a folder, expected a table ({listing(SUFFIXES)})")
    if not path.is_file():
        folder = path.parent
        others = sorted(other.name for other in folder.iterdir()) if folder.is_dir() else []
        near = nearest(path.name, others)
        raise LabelweaveError(f"{path}: no such file{near}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise LabelweaveError(
            f"{path}: unknown suffix '{path.suffix}', expected {listing(SUFFIXES)}"
            f"{nearest(suffix, SUFFIXES)}"
        )
    try:
        if suffix == ".parquet":
            frame = with_missing(_read_parquet(path), missing)
        else:
            frame = _read_text(path, DELIMITERS[suffix], missing)
    except OSError as error:
        raise LabelweaveError(f"{path}: cannot be read: {error.strerror or error}") from None
    if frame.empty:
        raise LabelweaveError(f"{path}: found no data rows, expected at least one")
    return frame


def with_missing(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """Return the frame with the values that stand for missing set to NaN; "-9" covers -9 too."""
    numbers = [number for number in map(_number, missing) if math.isfinite(number)]
    changed: dict[str, Any] = {}
    for name in frame.columns:
        unwanted = numbers if is_numeric_dtype(frame[name]) else list(missing)
        if unwanted and (found := frame[name].isin(unwanted)).any():
            changed[name] = frame[name].mask(found)
    return frame.assign(**changed) if changed else frame


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.ParquetFile(path).read()
    except pa.ArrowInvalid:
        raise LabelweaveError(f"{path}: not a readable Parquet file") from None
    check_columns(str(path), table.column_names)
    for field in table.schema:
        if pa.types.is_nested(field.type):
            raise LabelweaveError(
                f"{path}: column '{field.name}' holds {field.type}, expected one value a row"
            )
    frame: pd.DataFrame = table.to_pandas()
    return frame.reset_index(drop=frame.index.names == [None]).rename(columns=str)


def _read_text(path: Path, delimiter: str, missing: Sequence[str]) -> pd.DataFrame:
    names = _header(path, delimiter)
    try:
        table = pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                null_values=list(missing),
                strings_can_be_null=True,
                column_types=dict.fromkeys(names, pa.string()),
            ),
        )
    except pa.ArrowInvalid as error:
        raise _unreadable(path, delimiter, len(names), str(error)) from None
    frame: pd.DataFrame = pa.table(
        [_as_numbers(column) for column in table.columns], names=names
    ).to_pandas()
    return frame


def _header(path: Path, delimiter: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next((row for row in csv.reader(file, delimiter=delimiter) if row), [])
    except UnicodeDecodeError:
        raise _wrong_encoding(path) from None
    except csv.Error as error:
        raise LabelweaveError(f"{path}: cannot be read: {error}") from None
    if not names:
        raise LabelweaveError(f"{path}: the file is empty, expected a header and rows")
    other = next((mark for mark in ";\t,|" if mark in names[0]), None)
    if len(names) == 1 and other is not None:
        raise LabelweaveError(
            f"{path}: the header separates its columns by {other!r}, expected {delimiter!r}"
        )
    check_columns(str(path), names)
    return names


def _as_numbers(text: pa.ChunkedArray) -> pa.ChunkedArray:
    # floats first: Arrow's integers would also take "0x1F", which is a name and not a number
    trimmed = pc.utf8_trim_whitespace(text)
    try:
        numbers = pc.cast(trimmed, pa.float64())
    except pa.ArrowInvalid:
        return text
    try:
        return pc.cast(trimmed, pa.int64())
    except pa.ArrowInvalid:
        return numbers


def _unreadable(path: Path, delimiter: str, width: int, reason: str) -> LabelweaveError:
    """Find out why Arrow gave up, with the line, by reading the file again."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            line = 1
            for row in reader:
                if row and len(row) != width:
                    return LabelweaveError(
                        f"{path}: line {line} has {len(row)} values, "
                        f"expected {width} as in the header"
                    )
                line = reader.line_num + 1
    except UnicodeDecodeError:
        return _wrong_encoding(path)
    except csv.Error as error:
        reason = str(error)
    return LabelweaveError(f"{path}: cannot be read: {reason.splitlines()[0]}")


def _wrong_encoding(path: Path) -> LabelweaveError:
    data = path.read_bytes()
    try:
        data.decode("utf-8")
        line = 1
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    return LabelweaveError(f"{path}: line {line} is not UTF-8 text; save the file as UTF-8")
