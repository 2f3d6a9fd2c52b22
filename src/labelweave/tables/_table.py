"""A table as a file holds it: cells not yet read as numbers, categories or dates."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from labelweave._messages import Message, Text
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables._numbers import find_marks, holds
from labelweave.tables._options import ReadOptions
from labelweave.tasks import key

FEW = 1000  # rows of which a table of many columns is read at once
FIRST = "(first column)"  # of a handwritten table, where it has no name
TO_ARROW = (pa.ArrowException, OverflowError, TypeError, UnicodeError, ValueError)


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of n rows, each column of one Arrow type: text, or what its file says.

    Attributes:
        place: what errors call the table.
        cells: the columns; null = missing.
        read: how its file was read.
        notes: what was found out from the file itself, a line each.
    """

    place: str
    cells: pa.Table
    read: ReadOptions = field(default_factory=ReadOptions)
    notes: tuple[Text, ...] = ()

    def __len__(self) -> int:
        return int(self.cells.num_rows)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.cells.column_names)

    @cached_property
    def decimal_comma(self) -> bool:
        """Whether some column's numbers can only have a decimal comma, by the first rows."""
        for column in self.cells.columns:
            first = column.slice(0, 1000)
            options = find_marks(first) if is_text(column) and holds(first, ",") else []
            if options and all(option.decimal == "," for option in options):
                return True
        return False

    @classmethod
    def of_frame(cls, frame: pd.DataFrame, place: str, read: ReadOptions | None = None) -> "Table":
        """Return the cells of a data frame; texts that mean missing become missing.

        Raises:
            LabelweaveError: a column without a name, named twice, or of more than one value a row.
        """
        read = read or ReadOptions()
        names = column_names(place, frame)
        given: list[Any] = [values for _, values in frame.items()]
        if len(frame) <= FEW and all(dtype == np.float64 for dtype in frame.dtypes):
            given = list(frame.to_numpy().T)  # a column of pandas costs more than its few values
        made = [
            without_missing(_series_cells(values, place, name), read.missing)
            for values, name in zip(given, names, strict=True)
        ]
        cells = pa.table(made, names=names) if made else pa.table({})
        return cls(place, cells, read)

    def exact_parts(self, rows: int) -> Iterator["Table"]:
        """Give all rows, in order, as tables of `rows` rows, the last one of what is left."""
        for start in range(0, len(self), rows):
            part = replace(self, cells=self.cells.slice(start, rows))
            part.__dict__["decimal_comma"] = self.decimal_comma  # which the first rows decide
            yield part

    def whole_numbers_with_gaps(self) -> list[str]:
        """Return the columns of whole numbers with missing values."""
        return [
            name
            for name, column in zip(self.columns, self.cells.columns, strict=True)
            if pa.types.is_integer(column.type) and column.null_count
        ]

    def texts(self, column: str) -> "pd.Series[Any]":
        """Return the texts of a column."""
        return pd.Series(as_text(self.cells[column]).to_pandas(), name=column)

    def with_texts(self, column: str, values: "pd.Series[Any]") -> "Table":
        """Return the table with other texts in one of its columns."""
        made = pa.chunked_array([pa.array(values, pa.string(), from_pandas=True)])
        place = self.columns.index(column)
        return replace(self, cells=self.cells.set_column(place, column, made))

    def taken(self, rows: NDArray[np.int64]) -> "Table":
        """Return the table with the rows of these numbers only."""
        return replace(self, cells=self.cells.take(pa.array(rows)))

    def selected(self, columns: Sequence[str]) -> "Table":
        """Return the table with these of its columns only."""
        return replace(self, cells=self.cells.select(columns))

    def renamed(self, names: Mapping[str, str]) -> "Table":
        """Return the table with columns renamed; raise `LabelweaveError` for one not there."""
        for name in names:
            self.require(name)
        changed = [names.get(name, name) for name in self.columns]
        check_columns(self.place, changed)
        return replace(self, cells=self.cells.rename_columns(changed))

    def mapped(self, words: Mapping[str, Mapping[str, Any]]) -> "Table":
        """Return the table with values replaced, by column; values not named stay.

        Args:
            words: by column, old text to new text; None = missing.

        Raises:
            LabelweaveError: a column, or a value of it, that is not there.
        """
        cells = self.cells
        for name, changes in words.items():
            self.require(name)
            text = pc.dictionary_encode(as_text(cells[name])).unify_dictionaries()
            known = text.chunk(0).dictionary.to_pylist() if text.num_chunks else []
            for old in changes:
                if key(old) not in known:
                    raise LabelweaveError(
                        f"{self.place}: map: column '{name}' has no value '{old}', found "
                        f"{listing(known)}{nearest(old, known)}"
                    )
            by_key = {key(old): None if new is None else key(new) for old, new in changes.items()}
            values = pa.array([by_key.get(value, value) for value in known], pa.string())
            codes = pa.chunked_array([chunk.indices for chunk in text.chunks], pa.int32())
            cells = cells.set_column(cells.column_names.index(name), name, values.take(codes))
        return replace(self, cells=cells)

    def joined(self, other: "Table", on: str) -> "Table":
        """Return the table with the columns of another added, by the text of column `on`.

        Rows that the other lacks have missing values there; its rows that fit none are noted.

        Raises:
            LabelweaveError: no such column, a value twice in the other, or a column in both.
        """
        self.require(on)
        other.require(on)
        both = [name for name in other.columns if name in self.columns and name != on]
        if both:
            raise LabelweaveError(
                f"{other.place}: has the columns {listing(both)} as well as {self.place}; rename "
                "or leave them out before the join"
            )
        mine, theirs = as_text(self.cells[on]), as_text(other.cells[on])
        counts = pc.value_counts(theirs.drop_null())
        twice = counts.filter(pc.greater(counts.field(1), 1)).field(0).to_pylist()
        if twice:
            raise LabelweaveError(
                f"{other.place}: column '{on}' has {listing(twice)} twice, expected each value once"
            )
        rows = pc.index_in(mine, value_set=theirs.combine_chunks(), skip_nulls=True)
        cells = self.cells
        for name in other.columns:
            if name != on:
                cells = cells.append_column(name, other.cells[name].take(rows))
        unused = len(theirs) - theirs.null_count - len(pc.unique(rows).drop_null())
        values = {
            "place": self.place, "other": other.place, "n": len(rows) - rows.null_count,
            "rows": len(rows), "unused": unused,
        }  # fmt: skip
        note = Message("note.joined", values)
        return replace(self, cells=cells, notes=(*self.notes, *other.notes, note))

    def require(self, column: str) -> None:
        """Raise `LabelweaveError` where there is no such column."""
        if column not in self.columns:
            raise LabelweaveError(
                f"{self.place}: no column '{column}', found {listing(self.columns)}"
                f"{nearest(column, self.columns)}"
            )


def stacked(tables: Sequence[Table], place: str) -> Table:
    """Return the rows of several tables, one after another, as one.

    Raises:
        LabelweaveError: they do not have the same columns.
    """
    first = tables[0]
    parts = [first.cells]
    for other in tables[1:]:
        for name in [*first.columns, *other.columns]:
            if name not in first.columns or name not in other.columns:
                has, lacks = (first, other) if name in first.columns else (other, first)
                raise LabelweaveError(
                    f"{lacks.place}: no column '{name}', which {has.place} has; expected the same "
                    f"columns in all files of '{place}'{nearest(name, lacks.columns)}"
                )
        parts.append(other.cells.select(first.columns))
    for name in first.columns:
        types = {part[name].type for part in parts}
        if len(types) > 1:  # each file says something else: what they share is text
            parts = [
                part.set_column(part.column_names.index(name), name, as_text(part[name]))
                for part in parts
            ]
    notes = tuple(note for table in tables for note in table.notes)
    return Table(place, pa.concat_tables(parts), first.read, notes)


def column_names(place: str, frame: pd.DataFrame) -> list[str]:
    """Return the names of a data frame's columns as texts.

    Raises:
        LabelweaveError: names of several levels, no name, or one given twice.
    """
    if frame.columns.nlevels > 1:
        raise LabelweaveError(
            f"{place}: found columns with names of {frame.columns.nlevels} levels, expected one "
            "name each"
        )
    names = [str(name) for name in frame.columns]
    check_columns(place, names)
    return names


def check_columns(place: str, names: Iterable[str]) -> None:
    """Raise `LabelweaveError`, naming `place`, for a column without a name or named twice."""
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise LabelweaveError(
                f"{place}: column {position} has no name, expected one for every column"
            )
        if name in seen:
            raise LabelweaveError(f"{place}: two columns are named '{name}'")
        seen.add(name)


def with_first(read: ReadOptions, names: list[str]) -> list[str]:
    """Return the names of a table's columns; the first of a handwritten one may lack its name."""
    if read.handwritten and names and not names[0]:
        return [FIRST, *names[1:]]
    return names


def _series_cells(
    column: "pd.Series[Any] | NDArray[Any]", place: str, name: str
) -> pa.ChunkedArray:
    try:
        made = pa.array(column, from_pandas=True)
        whole = made if isinstance(made, pa.ChunkedArray) else pa.chunked_array([made])
        return plain_cells(whole, place, name)
    except LabelweaveError:
        raise
    except TO_ARROW:  # values of several types, beyond 64 bits, or of a type such as intervals
        texts = [None if _is_missing(value) else _printable(key(value)) for value in column]
        return pa.chunked_array([pa.array(texts, pa.string())])


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_missing(value: object) -> bool:
    found = pd.isna(value)  # type: ignore[call-overload]
    return bool(found) if np.ndim(found) == 0 else False


def plain_cells(column: pa.ChunkedArray, place: str, name: str) -> pa.ChunkedArray:
    """Return a column as text, whole numbers, float64, true and false, or points in time.

    Raises:
        LabelweaveError: it holds several values a row, or bytes.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind, column = kind.value_type, pc.cast(column, kind.value_type)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise LabelweaveError(f"{place}: column '{name}' holds {kind}, expected one value a row")
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return column
    if pa.types.is_large_string(kind):
        return column
    if pa.types.is_floating(kind):
        return pc.cast(column, pa.float64())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    return pc.cast(column, pa.string())  # decimals, hours, null: exact as text


def without_missing(column: pa.ChunkedArray, words: Sequence[str]) -> pa.ChunkedArray:
    """Return a column without the values that stand for missing; "-9" covers -9 and -9.0 too."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        gone = pc.is_in(column, value_set=pa.array(list(words), kind))
    elif pa.types.is_floating(kind):
        numbers = _as_floats(tuple(words))
        gone = pc.is_nan(column)
        if len(numbers):
            gone = pc.or_kleene(gone, pc.is_in(column, value_set=numbers))
        gone = pc.fill_null(gone, fill_value=False)
    elif pa.types.is_integer(kind):
        wanted = [
            str(int(number)) for number in _as_floats(tuple(words)).to_pylist() if number % 1 == 0
        ]
        if not wanted:
            return column
        gone = pc.is_in(pc.cast(column, pa.string()), value_set=pa.array(wanted, pa.string()))
    else:
        return column
    if not pc.any(gone).as_py():
        return column
    return pc.if_else(gone, pa.scalar(None, kind), column)


@cache
def _as_floats(words: tuple[str, ...]) -> pa.Array:
    found = []
    for word in words:
        try:
            found.append(float(word))
        except ValueError:
            continue
    return pa.array([number for number in found if np.isfinite(number)], pa.float64())


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the text of every value: that of the file, or the value's key (`labelweave.tasks`)."""
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        coded = pc.dictionary_encode(column)
        return pa.chunked_array(
            [
                pa.array(
                    [None if v is None else key(v) for v in chunk.dictionary.to_pylist()],
                    pa.string(),
                ).take(chunk.indices)
                for chunk in coded.chunks
            ],
            pa.string(),
        )
    return pc.cast(column, pa.string())


def is_text(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds text."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
