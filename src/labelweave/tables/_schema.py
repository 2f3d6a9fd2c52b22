"""The schema: what every column is, decided once from all training files, kept with the model."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labelweave._files import read_text, unreadable, write_text
from labelweave._messages import Message, Text, some
from labelweave._validation import one_line
from labelweave._yaml import parse_yaml
from labelweave.errors import CellError, LabelweaveError, listing, nearest
from labelweave.tables._column_kinds import identifying
from labelweave.tables._dates import Order, Part, date_numbers, date_order, moments
from labelweave.tables._numbers import (
    PLAIN,
    Marks,
    as_array,
    cast,
    few_words,
    find_marks,
    holds,
    numbers,
)
from labelweave.tables._options import MISSING, ReadOptions
from labelweave.tables._table import FEW, Table, as_text, is_text
from labelweave.tasks import LARGEST_WHOLE

Role = Literal["input", "label", "group", "identifier", "excluded"]
Type = Literal["number", "category", "text", "image", "date"]
FORMAT = 1
LARGEST_SCHEMA, MOST_VALUES = 1 << 26, 2_000_000  # of its file
MOST_CATEGORIES = 1000  # that a schema lists; of more, none is called unknown
FLAGS = {"true": "1", "false": "0"}
WHOLE, POINT_ZERO = r"^-?(?:0|[1-9][0-9]*)$", r"^-?(?:0|[1-9][0-9]*)\.0$"
DECIMAL_LIKE = r"^-?[0-9]+\.[0-9]+$"
THREADS = 2
UTF8 = (None, "utf-8")


class _Part(BaseModel):  # a section whose texts are those of tables: any characters
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Column(_Part):
    """What one column is.

    Attributes:
        role: input, label, group, identifier (kept with predictions) or excluded.
        type: number, category, text, image (a path) or date.
        task: of a label: its task.
        decimal: of numbers: their decimal mark; None = files differ, each is looked at.
        thousands: of numbers: what stands between groups of three digits.
        missing: words in a column of numbers that stand for a missing value, besides the schema's.
        flag: numbers that are 0 and 1 only; true and false are read as these.
        whole: whole numbers as text: 3.0 is 3.
        categories: the values seen; None = not listed.
        hashed: categories stand as hashes, here and in the model.
        low: the smallest number seen.
        high: the largest.
        optional: a training table lacked the column, so new rows may lack it.
        order: of dates in text: ymd, dmy or mdy.
        parts: of dates: the numbers made of them; none = they are no inputs.
        origin: of dates: from when elapsed days count.
    """

    role: Role = "input"
    type: Type = "category"
    task: str | None = None
    decimal: Literal[".", ","] | None = "."
    thousands: str = Field(default="", max_length=1)
    missing: tuple[str, ...] = Field(default=(), max_length=1000)
    flag: bool = False
    whole: bool = False
    categories: tuple[str, ...] | None = Field(default=None, max_length=MOST_CATEGORIES)
    hashed: bool = False
    low: float | None = None
    high: float | None = None
    optional: bool = False
    order: Order = "ymd"
    parts: tuple[Part, ...] = ()
    origin: str = "1970-01-01"

    @property
    def marks(self) -> Marks | None:
        """How numbers are written; None = files differ."""
        return None if self.decimal is None else Marks(self.decimal, self.thousands)


@dataclass(frozen=True)
class Roles:
    """What is known of columns before any file is looked at; all others are inputs.

    Attributes:
        labels: by label column its task.
        groups: columns that tie rows together.
        identifiers: columns to be kept with predictions.
        excluded: columns that are no inputs.
        categorical: inputs that are categories whatever they hold.
        hashed: inputs whose categories become hashes.
        text: inputs that are texts to be read.
        image: inputs that are paths of images.
        dates: by input column the numbers to make of its dates.
        dated: dates stand in the table as they are: nothing is left out, so nothing is noted.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    groups: Iterable[str] = ()
    identifiers: Iterable[str] = ()
    excluded: Iterable[str] = ()
    categorical: Iterable[str] = ()
    hashed: Iterable[str] = ()
    text: Iterable[str] = ()
    image: Iterable[str] = ()
    dates: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    dated: bool = False

    def column(self, name: str) -> dict[str, Any]:
        """Return what is known of a column."""
        if name in self.labels:
            return {"role": "label", "task": self.labels[name]}
        for role, names in (
            ("group", self.groups), ("identifier", self.identifiers), ("excluded", self.excluded),
        ):  # fmt: skip
            if name in names:
                return {"role": role}
        for kind, names in (
            ("text", self.text), ("image", self.image),
            ("category", (*self.categorical, *self.hashed)),
        ):  # fmt: skip
            if name in names:
                return {"type": kind} | ({"hashed": True} if name in self.hashed else {})
        return {}


@dataclass(frozen=True)
class Schema:
    """What every column is, by name, and which words are missing in all of them.

    >>> tables = [read_cells("a.csv"), read_cells("b.csv")]  # doctest: +SKIP
    >>> schema = Schema.infer(tables, Roles(labels={"result": "result"}))  # doctest: +SKIP
    >>> schema.apply(read_cells("new.csv"))  # doctest: +SKIP

    Attributes:
        columns: the columns, by name.
        missing: the texts that stand for a missing value.
        encoding: that of the training files, tried where a new file is not UTF-8.
        notes: what was found out, a line each; not kept in files.
    """

    columns: Mapping[str, Column]
    missing: tuple[str, ...] = MISSING
    encoding: str | None = None
    notes: tuple[Text, ...] = field(default=(), compare=False)

    @classmethod
    def infer(cls, tables: Sequence[Table], roles: Roles | None = None) -> Self:
        """Decide what the columns of all training tables are, from all their rows together.

        An input is a number where every value is one by a stated rule (`Marks.pattern`) and a
        float64 holds it, with at most a few words among them that are then missing. Labels, groups,
        identifiers and categories keep the text of their file.

        Raises:
            LabelweaveError: an input that holds numbers in one table and only text in another.
        """
        roles = roles or Roles()
        names = list(dict.fromkeys(name for table in tables for name in table.columns))
        remarks: dict[str, list[str]] = {}

        def look(name: str) -> tuple[Column, dict[str, str]]:
            parts = [table for table in tables if name in table.columns]
            known = roles.column(name)
            column, found = _look(name, parts, known, tuple(roles.dates.get(name, ())))
            return column.model_copy(update={"optional": len(parts) < len(tables)}), found

        with ThreadPoolExecutor(THREADS) as pool:
            looked = list(pool.map(look, names))
        for _, found in looked:
            for what, text in found.items():
                if what == "dates" and roles.dated:
                    continue
                remarks.setdefault(what, []).append(text)
        notes = [
            Message("note.columns", {"what": Message(f"note.{what}"), "columns": some(texts)})
            for what, texts in sorted(remarks.items())
        ]
        missing = tuple(dict.fromkeys(word for table in tables for word in table.read.missing))
        if len({frozenset(table.read.missing) for table in tables}) > 1:
            notes.append(Message("note.missing_words", {"words": missing}))
        encodings = [table.read.encoding for table in tables if table.read.encoding not in UTF8]
        return cls(
            dict(zip(names, (column for column, _ in looked), strict=True)),
            missing or MISSING[:1],
            encodings[0] if encodings else None,
            tuple(notes),
        )

    def named(self, *roles: Role) -> list[str]:
        """Return the names of the columns of some roles."""
        return [name for name, column in self.columns.items() if column.role in roles]

    def excluding(self, names: Iterable[str]) -> "Schema":
        """Return the schema with some inputs excluded: rows may lack them, no list keeps them."""
        gone = {
            name: self.columns[name].model_copy(update={"role": "excluded", "categories": None})
            for name in names
            if name in self.columns and self.columns[name].role == "input"
        }
        return replace(self, columns={**self.columns, **gone}) if gone else self

    def apply(self, table: Table | pd.DataFrame, *, all_columns: bool = True) -> pd.DataFrame:
        """Return a table whose columns are what the schema says.

        Numbers are float64 (NaN = missing), all else text (missing = None or NaN). Dates become the
        columns asked for. Columns that the schema does not know are left out.

        Args:
            table: the cells of a file, or a data frame, whose index is kept.
            all_columns: labels, groups, identifiers and excluded columns as well as inputs.

        Raises:
            LabelweaveError: a value that its column cannot hold, with row (from 1) and column.
        """
        index = table.index if isinstance(table, pd.DataFrame) else None
        cells = self.cells(table)
        names = [
            name
            for name in cells.columns
            if name in self.columns and (all_columns or self.columns[name].role == "input")
        ]

        def made(name: str) -> dict[str, Any]:
            column = self.columns[name]
            values = _applied(name, _read_as(column, cells.read), cells, self.missing)
            return values if isinstance(values, dict) else {name: values}

        if len(cells) <= FEW:
            found = [made(name) for name in names]
        else:
            with ThreadPoolExecutor(THREADS) as pool:
                found = list(pool.map(made, names))
        columns = {name: values for each in found for name, values in each.items()}
        frame = pd.DataFrame(columns, index=pd.RangeIndex(len(cells)), copy=False)
        return frame if index is None else frame.set_axis(index, axis=0)

    def made_of(self, name: str) -> list[str]:
        """Return the columns that `apply` makes of one: itself, or the numbers of its dates.

        Raises:
            LabelweaveError: a column of dates of which no numbers are asked for.
        """
        column = self.columns.get(name)
        if column is None or column.type != "date" or column.role != "input":
            return [name]
        if not column.parts:
            raise LabelweaveError(
                f"column '{name}' holds dates, expected 'inputs: {{dates: {{{name}: [elapsed]}}}}' "
                "to make numbers of them"
            )
        return [f"{name} ({part})" for part in column.parts]

    def cells(self, table: Table | pd.DataFrame) -> Table:
        """Return a data frame as cells, with the schema's missing words; cells as they are."""
        if isinstance(table, Table):
            return table
        return Table.of_frame(table, "X", ReadOptions(missing=self.missing))

    def require_inputs(self, columns: Collection[str]) -> list[str]:
        """Return the inputs that are not among `columns` and that new rows may lack.

        Raises:
            LabelweaveError: another input is not there; names the nearest.
        """
        lacking = []
        for name in self.named("input"):
            column = self.columns[name]
            if name in columns or (column.type == "date" and not column.parts):
                continue
            if not column.optional:
                raise LabelweaveError(
                    f"no input column '{name}', found {listing(columns)}{nearest(name, columns)}"
                )
            lacking.append(name)
        return lacking

    def to_yaml(self, path: str | Path) -> None:
        """Write the schema as a YAML file that a person may edit."""
        columns = {
            name: column.model_dump(mode="json", exclude_defaults=True)
            | {"role": column.role, "type": column.type}
            for name, column in self.columns.items()
        }
        content = {
            "format": FORMAT, "missing": list(self.missing), "encoding": self.encoding,
            "columns": columns,
        }  # fmt: skip
        text = yaml.dump(
            content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100,
            default_flow_style=None,
        )  # fmt: skip
        write_text(Path(path), f"{HEAD}{text}")

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a schema that `to_yaml` wrote.

        Raises:
            LabelweaveError: no such file, no YAML, or a key or value that makes no sense.
        """
        path = Path(path)
        try:
            text = read_text(path, LARGEST_SCHEMA)
        except FileNotFoundError:
            raise LabelweaveError(f"{path}: no such file, expected the schema of a model") from None
        except OSError as error:
            raise unreadable(path, error) from None
        content = parse_yaml(text, path, largest=LARGEST_SCHEMA, nodes=MOST_VALUES)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, dict) else None
            raise LabelweaveError(f"{path}: format {found}, expected {FORMAT}")
        try:
            read = _File.model_validate(content)
        except ValidationError as error:
            raise LabelweaveError(f"{path}: {one_line(error, _File)}") from None
        return cls(dict(read.columns), read.missing, read.encoding)

    def described(self) -> str:
        """Return all that predictions depend on, as one text."""
        return repr((self.missing, list(self.columns.items())))


class _File(_Part):
    format: int
    missing: tuple[str, ...] = MISSING
    encoding: str | None = None
    columns: dict[str, Column]


HEAD = (
    "# What every column is, decided from all training files; predictions read tables by it.\n"
    "# Roles: input, label, group, identifier (kept with predictions), excluded.\n"
    "# Types: number, category, text, image, date. See docs/reference/tables.md.\n"
)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def _look(
    name: str, tables: Sequence[Table], known: dict[str, Any], parts: tuple[Part, ...]
) -> tuple[Column, dict[str, str]]:
    """Return what a column is, and remarks on it by their kind."""
    cells = [table.cells[name] for table in tables]
    if known.get("role", "input") in ("excluded", "identifier"):
        return Column(**known), {}
    if known.get("type") in ("text", "image"):
        return Column(**known), {}
    if "role" in known or "type" in known:
        return _categories(known, cells, listed=known.get("role") != "group"), {}
    filled = [(t, c) for t, c in zip(tables, cells, strict=True) if c.null_count < len(c)]
    if not filled:
        return Column(type="number"), {}
    if (order := _date(filled)) is not None:
        return _date_column(name, filled, order, parts)
    if parts:
        raise LabelweaveError(f"column '{name}': found values that are no dates, expected dates")
    return _number(name, filled) or _text_column(name, filled)


def _text_column(
    name: str, filled: Sequence[tuple[Table, pa.ChunkedArray]]
) -> tuple[Column, dict[str, str]]:
    column = _categories({}, [c for _, c in filled], listed=True)
    seen = column.categories or ()
    if identifying(seen, sum(len(c) - c.null_count for _, c in filled)):
        return column.model_copy(update={"categories": None}), {}
    codes = [value for value in seen if value.isdecimal()]
    if codes and len(codes) == len(seen):
        return column, {"codes": f"{name}: {codes[0]}"}
    return column, {}


def _categories(known: dict[str, Any], cells: Sequence[pa.ChunkedArray], *, listed: bool) -> Column:
    distinct = pc.unique(
        pa.chunked_array([pc.unique(as_text(c)).drop_null() for c in cells] or [[]], pa.string())
    )
    whole = pc.match_substring_regex(distinct, WHOLE)
    pointed = pc.match_substring_regex(distinct, DECIMAL_LIKE)
    zero = pc.match_substring_regex(distinct, POINT_ZERO)
    only_zero = pc.sum(pointed).as_py() == pc.sum(zero).as_py()
    # a gap makes 1.0 of 1 where programs know whole numbers without gaps only
    gaps = any(c.null_count for c in cells)
    is_whole = only_zero and (pc.any(whole).as_py() or (gaps and pc.any(zero).as_py()))
    values: list[str] | None = None
    if listed and len(distinct) <= MOST_CATEGORIES:
        texts = distinct.to_pylist()
        texts = [text.removesuffix(".0") for text in texts] if is_whole else texts
        values = sorted(set(texts) - {""})
        if known.get("hashed"):
            values = sorted(map(hash_of, values))
    return Column(
        **{"type": "category"} | known,
        whole=bool(is_whole),
        categories=None if values is None else tuple(values),
    )


def _date(
    filled: Sequence[tuple[Table, pa.ChunkedArray]],
) -> Order | Literal["either"] | None:
    """Return the order of dates where every table's column holds dates, else None."""
    orders: set[Order | Literal["either"]] = set()
    for _, column in filled:
        if pa.types.is_timestamp(column.type):
            continue
        order = date_order(column) if is_text(column) else None
        if order is None:
            return None
        orders.add(order)
    sure = orders - {"either"}
    if len(sure) > 1:
        return None
    if not orders:
        return "ymd"
    return sure.pop() if sure else "either"


def _date_column(
    name: str,
    filled: Sequence[tuple[Table, pa.ChunkedArray]],
    order: Order | Literal["either"],
    parts: tuple[Part, ...],
) -> tuple[Column, dict[str, str]]:
    if not parts:
        return Column(type="date", order="ymd" if order == "either" else order), {"dates": name}
    if order == "either":
        raise LabelweaveError(
            f"column '{name}': day and month may be swapped in all of its dates, expected a file "
            "with years first, or with a day above 12"
        )
    at = np.concatenate([moments(column, order) for _, column in filled])
    origin = str(at[~np.isnat(at)].min().astype("datetime64[D]"))
    return Column(type="date", order=order, parts=parts, origin=origin), {}


def _number(
    name: str, filled: Sequence[tuple[Table, pa.ChunkedArray]]
) -> tuple[Column, dict[str, str]] | None:
    """Return the column where its values are numbers, with a few words at most, else None."""
    low, high, values = np.inf, -np.inf, 0
    words: dict[str, int] = {}
    marks: set[Marks] = set()
    numeric: list[str] = []
    textual: list[str] = []
    flags, fractions = True, False
    for table, column in filled:
        if pa.types.is_timestamp(column.type):
            return None
        found, other, style = _numbers_of(column, table)
        marks |= {style} if style is not None else set()
        count = len(found) - found.null_count
        values += count
        for word in () if other is None else other.to_pylist():
            words[word["values"]] = words.get(word["values"], 0) + word["counts"]
        (numeric if other is None else [] if count else textual).append(table.place)
        if count:
            bounds = pc.min_max(found).as_py()
            low, high = min(low, bounds["min"]), max(high, bounds["max"])
            flags = flags and low >= 0 and high <= 1 and _only_flags(found)
            fractions = fractions or not _few_whole(found)
    flag_words = {word for word in words if word.strip().lower() in FLAGS}
    if flags and flag_words == words.keys():
        return Column(type="number", flag=True, low=0, high=1), {}
    # numbers of many values in one table and none in another are two things under one name
    if numeric and textual and fractions:
        raise LabelweaveError(
            f"input column '{name}' holds numbers in {numeric[0]} and text in {textual[0]}, "
            "expected one kind"
        )
    counted = pa.StructArray.from_arrays(
        [pa.array(list(words), pa.string()), pa.array(list(words.values()), pa.int64())],
        ["values", "counts"],
    )
    if not values or (words and not few_words(counted, values)):
        return None
    one = marks.pop() if len(marks) == 1 else PLAIN if not marks else None
    if one is None and {mark.decimal for mark in marks} == {"."}:
        one = next((mark for mark in marks if mark.thousands), PLAIN)
    finite = np.isfinite(low) and np.isfinite(high)
    column = Column(
        type="number",
        decimal=None if one is None else one.decimal,  # type: ignore[arg-type]
        thousands="" if one is None else one.thousands,
        missing=tuple(sorted(words)),
        flag=flags and not words,
        low=low if finite else None,
        high=high if finite else None,
    )
    remarks = {}
    if words:
        texts = ", ".join(f"'{word}' ({count})" for word, count in sorted(words.items()))
        remarks["words"] = f"{name}: {texts}"
    if one is None or one != PLAIN:
        remarks["marks"] = name
    return column, remarks


def _numbers_of(
    column: pa.ChunkedArray, table: Table
) -> tuple[pa.ChunkedArray, pa.Array | None, Marks | None]:
    """Return the numbers of a table's column, the texts that are none, and how they are written."""
    if pa.types.is_integer(column.type) and _beyond(column):
        column = as_text(column)  # a float64 would merge some of them
    if not is_text(column):
        return pc.cast(column, pa.float64(), safe=False), None, None
    given = table.read
    if given.decimal is not None or given.thousands is not None:
        style = Marks(given.decimal or ".", given.thousands or "")
        return *numbers(column, style), style
    found, other = numbers(column)
    if other is None:
        if _any_point(column) and table.decimal_comma:  # 1.234 is 1234 there
            dotted = Marks(",", ".")
            grouped, left = numbers(column, dotted)
            return (grouped, None, dotted) if left is None else (found, None, PLAIN)
        return found, None, PLAIN if holds(column, ".") else None  # whole numbers say nothing
    options = find_marks(column)
    if not options or options[0] == PLAIN:
        return found, other, None
    style = options[0]
    if len(options) > 1:  # "1,234": a decimal comma where columns are separated by semicolons
        sep = table.read.sep
        style = next((o for o in options if (o.decimal == ",") == (sep == ";")), style)
    return *numbers(column, style), style


def _beyond(column: pa.ChunkedArray) -> bool:
    bounds = pc.min_max(column).as_py()
    return any(bound is not None and abs(bound) >= LARGEST_WHOLE for bound in bounds.values())


def _any_point(column: pa.ChunkedArray) -> bool:
    first = column.slice(0, 1000)
    return bool(pc.any(pc.match_substring_regex(first, r"^[0-9]+\.[0-9]{3}$")).as_py())


def _only_flags(found: pa.ChunkedArray) -> bool:
    either = pc.is_in(found.drop_null(), value_set=pa.array([0.0, 1.0]))
    return pc.all(either).as_py() is not False


def _few_whole(found: pa.ChunkedArray) -> bool:
    """Return whether numbers may be codes: whole, and few of them."""
    some_values = found.slice(0, 10_000)
    whole = pc.all(pc.equal(some_values, pc.floor(some_values))).as_py() is not False
    return whole and len(pc.unique(some_values)) <= 50


def _read_as(column: Column, read: ReadOptions) -> Column:
    # options of a file win over what was detected
    if read.decimal is None and read.thousands is None:
        return column
    marks = {"decimal": read.decimal or ".", "thousands": read.thousands or ""}
    return column.model_copy(update=marks)


def _applied(name: str, column: Column, table: Table, missing: Sequence[str]) -> Any:
    cells = table.cells[name]
    if column.type == "number" and column.role == "input":
        return _applied_number(name, column, table, missing)
    if column.type == "date" and column.role == "input":
        if not column.parts:
            return {}
        return date_numbers(name, moments(cells, column.order), column.parts, column.origin)
    text = as_text(cells)
    if column.whole:
        pointed = pc.match_substring_regex(text, POINT_ZERO)
        if pc.any(pointed).as_py():
            text = pc.if_else(pointed, pc.utf8_slice_codeunits(text, 0, -2), text)
    return _hashes(text).to_pandas() if column.hashed else text.to_pandas()


def hash_of(text: str) -> str:
    """Return what stands for a category that is not to be read: 16 letters of its hash.

    It hides the text from whoever opens a model, not from whoever guesses it and compares.
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _hashes(text: pa.ChunkedArray) -> pa.ChunkedArray:
    codes = pc.dictionary_encode(text).unify_dictionaries()
    made = [
        pa.array([None if v is None else hash_of(v) for v in c.dictionary.to_pylist()], pa.string())
        .take(c.indices)
        for c in codes.chunks
    ]  # fmt: skip
    return pa.chunked_array(made, pa.string())


def _applied_number(
    name: str, column: Column, table: Table, missing: Sequence[str]
) -> NDArray[np.float64]:
    cells = table.cells[name]
    if not is_text(cells):
        if pa.types.is_timestamp(cells.type):
            raise LabelweaveError(f"column '{name}': found dates, expected numbers")
        return _without(as_array(pc.cast(cells, pa.float64(), safe=False)), missing)
    if column.missing:
        gone = pc.is_in(cells, value_set=pa.array(column.missing, cells.type))
        cells = pc.if_else(gone, pa.scalar(None, cells.type), cells)
    marks = column.marks
    if marks is None:
        options = find_marks(cells)
        plain_file = table.read.sep == "," and not table.decimal_comma
        if len(options) > 1 and not (options[0] == PLAIN and plain_file):
            raise LabelweaveError(
                f"column '{name}': its numbers may have a decimal point or comma, expected "
                "'decimal' to say which"
            )
        marks = options[0] if options else PLAIN
    if marks == PLAIN and (plain := cast(cells)) is not None:
        return _without(as_array(plain), missing)
    found, other = numbers(cells, marks)
    if other is not None and column.flag:
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(cells))
        for word, value in FLAGS.items():
            lower = pc.if_else(pc.equal(lower, word), value, lower)
        found, other = numbers(lower)
    if other is not None:
        row = pc.index(cells, other[0].as_py()["values"]).as_py()
        value = other[0].as_py()["values"]
        hint = "" if marks == PLAIN else f" with decimal '{marks.decimal}'"
        raise CellError(row + 1, name, value, f"a number{hint}")
    return _without(as_array(found), missing)


def _without(values: NDArray[np.float64], missing: Sequence[str]) -> NDArray[np.float64]:
    for word in missing:
        try:
            gone = values == float(word)
        except ValueError:
            continue
        if gone.any():
            values = np.where(gone, np.nan, values)
    return values
