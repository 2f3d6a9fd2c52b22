"""Rows of a request, as JSON or CSV, or an image, checked against the model's schema."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._parsing import LARGEST_NUMBER, parse_json
from labelweave.data._table_encoder import TableEncoder
from labelweave.errors import CellError, LabelweaveError, nearest, printable
from labelweave.model import EncodedPredictor
from labelweave.serving._images import decoded_images, example_image, image_columns
from labelweave.serving._row_errors import MOST_ERRORS, RowsError, TooManyRowsError, row_error
from labelweave.tables import ReadOptions, Schema, Table
from labelweave.tables._schema import Column

AnyRows = pd.DataFrame | NDArray[np.float64]
PLAIN = re.compile(r"[0-9eE.,+\n-]*")  # what a CSV of numbers only is made of


@dataclass(frozen=True, eq=False)
class ReadRows:
    """Rows of a request.

    Attributes:
        typed: the inputs, read by the schema; (n, c) numbers of a model that reads nothing else, in
            the order of its encoder.
        identifiers: by identifier column its values.
    """

    typed: AnyRows
    identifiers: Mapping[str, list[Any]] = field(default_factory=dict)


def json_rows(content: bytes, model: EncodedPredictor, most: int) -> ReadRows:
    """Return the rows of ``{"rows": [{column: value}]}``.

    Raises:
        RowsError: a value that its column cannot hold; names up to 20.
        TooManyRowsError: more than `most`.
        LabelweaveError: no such JSON.
    """
    schema = schema_of(model)
    if (quick := _plain_rows(content, model, most)) is not None:
        return quick
    given = parse_json(content, "body", finite=True)
    rows = given.get("rows") if isinstance(given, dict) else given
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise RowsError(
            [row_error(None, None, _kind(rows), '{"rows": [{"COLUMN": VALUE, ...}, ...]}')]
        )
    _check_count(len(rows), most)
    errors: list[dict[str, Any]] = []
    names = {
        name: column
        for name, column in schema.columns.items()
        if column.role in ("input", "identifier")
        and not (column.type == "date" and not column.parts)
    }
    for place, row in enumerate(rows, start=1):
        unknown = row.keys() - schema.columns.keys()
        for name in sorted(unknown)[:MOST_ERRORS]:
            errors.append(
                row_error(place, name, name, f"a column of the schema{nearest(name, names)}")
            )
        if len(errors) >= MOST_ERRORS:
            break
    columns = {}
    for name, column in names.items():
        may_lack = column.role == "identifier" or column.optional
        if may_lack and not any(name in row for row in rows):
            continue
        columns[name] = _column(name, column, rows, schema, errors)
        if len(errors) >= MOST_ERRORS:
            break
    if errors:
        raise RowsError(sorted(errors, key=lambda error: error["row"]))
    kept = {
        name: columns.pop(name).tolist() for name in schema.named("identifier") if name in columns
    }
    return ReadRows(typed_columns(model, columns), kept)


def plain_json(content: bytes) -> Any:
    """Return the content of a JSON text whose numbers and depth are not looked at; None = no JSON.

    Looking at every number takes several times as long as reading it. Use only what
    `plain_numbers` takes; for the rest, and for errors, there is `parse_json`.
    """
    try:
        return json.loads(content, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def _refused(word: str) -> float:
    raise ValueError(word)


def plain_numbers(values: list[Any]) -> NDArray[np.float64] | None:
    """Return numbers of at most 2^63, None as NaN; None where there is something else too."""
    if not set(map(type, values)) <= {int, float, NoneType}:
        return None
    try:
        found = np.array(values, np.float64)
    except OverflowError:
        return None
    return None if (np.abs(found) > LARGEST_NUMBER).any() else found


def _plain_rows(content: bytes, model: EncodedPredictor, most: int) -> ReadRows | None:
    """Return rows of which every value is a number of an input; None = look at them one by one."""
    given, schema = plain_json(content), schema_of(model)
    rows = given.get("rows") if isinstance(given, dict) else given
    if not isinstance(rows, list) or not 0 < len(rows) <= most or not isinstance(rows[0], dict):
        return None
    names = list(rows[0])
    known = [schema.columns.get(name) for name in names]
    if any(each is None or each.role != "input" or each.type != "number" for each in known):
        return None
    if {n for n in schema.named("input") if not schema.columns[n].optional} - set(names):
        return None
    flat: list[Any] = []
    try:
        for row in rows:
            if list(row) != names:
                if len(row) != len(names):
                    return None
                row = {name: row[name] for name in names}
            flat += row.values()
    except (TypeError, KeyError, AttributeError):
        return None
    numbers = plain_numbers(flat)
    if numbers is None:
        return None
    values = numbers.reshape(len(rows), len(names))
    return ReadRows(typed_numbers(model, names, values))


def schema_of(model: EncodedPredictor) -> Schema:
    """Return a model's schema, which every model that is served has."""
    schema = model.encoder.schema
    assert schema is not None
    return schema


def typed_columns(model: EncodedPredictor, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return what `EncodedPredictor.typed` makes of columns whose numbers are float64 already.

    Numbers stay one array, for a service reads few rows at a time, and often. Images are decoded;
    a path is no image here.

    Raises:
        RowsError: a column that lacks, or a value that does not fit.
        TooManyRowsError: more images or pixels than a request may have.
    """
    schema = schema_of(model)
    images = {
        name: decoded_images(column, list(columns[name]))
        for name, column in image_columns(model).items()
        if name in columns
    }
    numbers = [
        name
        for name, values in columns.items()
        if isinstance(values, np.ndarray) and schema.columns[name].type == "number"
    ]
    others = {n: values for n, values in columns.items() if n not in numbers and n not in images}
    made = pd.DataFrame(images) if images else None
    if numbers:
        values = np.stack([columns[name] for name in numbers], axis=1)
        for number in _as_floats(schema.missing):
            values[values == number] = np.nan
        given = pd.DataFrame(values, columns=numbers)
        made = given if made is None else pd.concat([made, given], axis=1)
    try:
        lacking = schema.require_inputs(list(columns))
        if others:
            read = ReadOptions(missing=("", *schema.missing))
            rest = schema.apply(Table.of_frame(pd.DataFrame(others), "rows", read))
            made = rest if made is None else pd.concat([made, rest], axis=1)
    except LabelweaveError as error:
        raise _named(error) from None
    assert made is not None
    return made.assign(**dict.fromkeys(lacking, np.nan)) if lacking else made


def typed_numbers(
    model: EncodedPredictor, names: Sequence[str], values: NDArray[np.float64]
) -> AnyRows:
    """Return what `typed_columns` does, of numbers; without a frame where the model reads no more.

    Args:
        model: what predicts.
        names: the columns that are given, numeric inputs, each once.
        values: (n, k) of them, NaN = missing.

    Raises:
        RowsError: a column that lacks.
    """
    encoder, schema = model.encoder, schema_of(model)
    wanted = encoder.only_numbers_ if isinstance(encoder, TableEncoder) else None
    if wanted is None:
        return typed_columns(model, dict(zip(names, values.T, strict=True)))
    places = {name: j for j, name in enumerate(names)}
    try:
        schema.require_inputs(places)
    except LabelweaveError as error:
        raise _named(error) from None
    order = [places.get(name, -1) for name in wanted]
    if -1 in order:
        values = np.column_stack([values, np.full(len(values), np.nan)])
    made = values if order == list(range(values.shape[1])) else values[:, order]
    for number in _as_floats(schema.missing):
        made = np.where(made == number, np.nan, made)
    return made


@cache
def _as_floats(words: tuple[str, ...]) -> list[float]:
    found = []
    for word in words:
        with suppress(ValueError):
            found.append(float(word))
    return [number for number in found if math.isfinite(number)]


def _column(
    name: str,
    column: Column,
    rows: Sequence[Mapping[str, Any]],
    schema: Schema,
    errors: list[dict[str, Any]],
) -> Any:
    number = column.type == "number" and column.role == "input"
    may_lack = column.optional or column.role == "identifier"
    expected = "a number, or null where it is missing" if number else "text, a number or null"
    values: list[Any] = []
    for place, row in enumerate(rows, start=1):
        value = row.get(name)
        if name not in row and not may_lack:
            errors.append(row_error(place, name, "no value", expected))
        elif isinstance(value, str) and (value == "" or value in schema.missing):
            value = None
        elif number and isinstance(value, bool) and column.flag:
            value = int(value)
        elif (number and (isinstance(value, bool | str) or not _scalar(value))) or (
            not number and not _scalar(value)
        ):
            errors.append(row_error(place, name, _kind(value), expected))
        elif number and value is not None and abs(value) > LARGEST_NUMBER:  # as OpenAPI says
            errors.append(row_error(place, name, _kind(value), "a number of at most 2^63"))
        values.append(value)
        if len(errors) >= MOST_ERRORS:
            break
    if number and not errors:
        return np.array([math.nan if value is None else value for value in values], np.float64)
    return pd.Series(values, dtype=object)


def _scalar(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return f"'{printable(value)}'"


def csv_rows(content: bytes, model: EncodedPredictor, most: int) -> ReadRows:
    """Return the rows of a CSV text in UTF-8: a header, then a line a row.

    Raises:
        RowsError: a line of another length than the header.
        TooManyRowsError: more than `most`.
        LabelweaveError: no UTF-8, or columns without a name or named twice.
    """
    if images := image_columns(model):
        column = next(iter(images))
        raise RowsError([row_error(None, column, "CSV", "JSON, with images in base64")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelweaveError(f"body: found bytes that are no UTF-8 ({error.reason})") from None
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    if (quick := _plain_csv(text, separator, model, most)) is not None:
        return quick
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=separator) if line]
    except csv.Error as error:
        raise LabelweaveError(f"body: no CSV ({error})") from None
    if len(lines) < 2:
        raise RowsError([row_error(None, None, "no rows", "a header and at least one row")])
    _check_count(len(lines) - 1, most)
    header, *rest = lines
    for place, line in enumerate(rest, start=1):
        if len(line) != len(header):
            raise RowsError(
                [row_error(place, None, f"{len(line)} values", f"{len(header)}, as in the header")]
            )
    given = [pd.Series(values, dtype=object) for values in zip(*rest, strict=True)]
    frame = pd.concat(given, axis=1).set_axis(header, axis=1)
    schema = schema_of(model)
    try:
        table = Table.of_frame(frame, "rows", ReadOptions(missing=("", *schema.missing)))
        typed = model.typed(table)
    except LabelweaveError as error:
        raise _named(error) from None
    known = [name for name in schema.named("identifier") if name in table.columns]
    return ReadRows(typed, {name: table.cells[name].to_pylist() for name in known})


def _plain_csv(text: str, separator: str, model: EncodedPredictor, most: int) -> ReadRows | None:
    """Return rows of which every cell is a number of an input, or empty; None = read every cell."""
    head, _, rest = text.replace("\r\n", "\n").partition("\n")
    if separator != "," or not PLAIN.fullmatch(rest):
        return None
    schema, names = schema_of(model), head.split(",")
    known = [schema.columns.get(name) for name in names]
    if any(each is None or each.role != "input" or each.type != "number" for each in known):
        return None
    cells = [line.split(",") for line in rest.splitlines() if line]
    if not 0 < len(cells) <= most or any(len(line) != len(names) for line in cells):
        return None
    try:
        values = np.array([[float(cell or "nan") for cell in line] for line in cells])
    except ValueError:
        return None
    lacking = {n for n in schema.named("input") if not schema.columns[n].optional} - set(names)
    if lacking or len(set(names)) != len(names) or (np.abs(values) > LARGEST_NUMBER).any():
        return None
    return ReadRows(typed_numbers(model, names, values))


def image_rows(content: bytes, model: EncodedPredictor, most: int) -> ReadRows:
    """Return the one row of a request that is an image file itself.

    Raises:
        RowsError: no image, or a model that takes something else or more than one image.
        TooManyRowsError: more pixels than a request may have.
    """
    images = list(image_columns(model))
    if len(images) != 1:
        raise RowsError([row_error(None, None, "an image", "rows as JSON or CSV")])
    return ReadRows(typed_columns(model, {images[0]: [content]}))


def _check_count(rows: int, most: int) -> None:
    if rows > most:
        raise TooManyRowsError(
            f"rows: found {rows:,}, expected at most {most:,}; send several requests"
        )


def _named(error: LabelweaveError) -> RowsError:
    """Return the schema's error with its row and column apart."""
    if isinstance(error, CellError):
        return RowsError([row_error(*error.cell)])
    return RowsError([row_error(None, None, error, "rows that fit the schema")])


def example_row(schema: Schema) -> dict[str, Any]:
    """Return a row that fits the schema: the middle of each range, the first category."""
    row: dict[str, Any] = {}
    for name in schema.named("input"):
        column = schema.columns[name]
        if column.type == "number":
            low, high = column.low or 0.0, column.high or 0.0
            middle = low + (high - low) / 2
            row[name] = int(high) if column.flag else float(f"{middle:.4g}")
        elif column.type == "date":
            if column.parts:
                row[name] = column.origin
        elif column.type == "image":
            row[name] = example_image()
        else:
            row[name] = next(iter(column.categories or ()), "text")
    return row


def row_description(schema: Schema) -> dict[str, Any]:
    """Return the JSON schema of a row: what `json_rows` takes."""
    properties, required = dict[str, Any](), []
    for name, column in schema.columns.items():
        if column.role not in ("input", "identifier"):
            continue
        if column.type == "date" and not column.parts:
            continue
        is_number = column.type == "number" and column.role == "input"
        kinds = ["number", "null"] if is_number else ["string", "number", "null"]
        about: dict[str, Any] = {"type": kinds}
        if is_number:
            about |= {"minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
        elif column.type == "image":
            about = {"type": "string", "contentEncoding": "base64"}
        elif column.type == "date":
            about = {"type": ["string", "null"], "format": "date"}
        properties[name] = about
        if column.role == "input" and not column.optional:
            required.append(name)
    described = {"type": "object", "properties": properties, "additionalProperties": False}
    return described | ({"required": required} if required else {})


def input_description(schema: Schema) -> dict[str, Any]:
    """Return the JSON schema of an input of the Open Inference Protocol: a column."""
    return {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"enum": schema.named("input")},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "datatype": {"enum": ["FP64", "FP32", "INT64", "BOOL", "BYTES"]},
            "data": {"type": "array", "items": {"type": ["number", "string", "boolean", "null"]}},
        },
    }
