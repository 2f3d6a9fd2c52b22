"""Predictions of a saved model as a table."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelweave._files import csv_text, replacing, scratch_folder, write_csv
from labelweave.class_priors import PriorChoice
from labelweave.coupling._posterior import Link
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.fitting._opening import read_inputs, with_files
from labelweave.model import EncodedPredictor, probability_columns
from labelweave.tables import ParquetTable, ReadOptions, Table
from labelweave.tables._addresses import is_address
from labelweave.tables._reading import is_text_file
from labelweave.tasks import Binary, Multiclass, Task
from labelweave.trust._coherence import decided_together
from labelweave.trust._sets import SetRule

CHUNK = 1 << 16  # rows predicted at a time
LONG_TEXT = 1 << 25  # bytes of a text file from which it is predicted in parts


def prediction_table(
    model: EncodedPredictor,
    inputs: pd.DataFrame | Table,
    *,
    labels: bool = True,
    prior: PriorChoice | None = None,
    keep: Sequence[str] = (),
    coherent: bool = False,
    relations: Sequence[Link] = (),
    sets: SetRule | None = None,
) -> pd.DataFrame:
    """Return one row per input row: a probability per class or label and, with `labels`, the
    predicted label of every task under ``<task> predicted``; `prior` as in `Model.predict_proba`.
    With `coherent` the labels of related tasks are those that are jointly most likely, by
    `relations` or those that the model keeps. With `sets`, the plausible classes of every task
    stand under ``<task> plausible`` as a JSON list; of a label these are 0 and 1.
    The columns `keep`, and those that the model's schema calls identifiers, stand in front as they
    are in the inputs; a data frame keeps its index.
    """  # noqa: D205
    kept = _kept(model, inputs, keep)
    probabilities = model.predict_proba(inputs, prior)
    decided = (
        decided_together(model, probabilities, relations)
        if coherent
        else model.decide(probabilities)
    )
    plausible = {} if sets is None else sets.predict(probabilities)
    columns: dict[str, object] = dict(kept)
    for task in model.tasks:
        if labels and isinstance(task, Multiclass | Binary):
            columns[f"{task.name} predicted"] = decided[task.name]
        elif labels:
            for j, label in enumerate(task.names):
                columns[f"{task.name}={label} predicted"] = decided[task.name][:, j]
        if plausible:
            columns |= _set_columns(task, plausible[task.name])
        for j, name in enumerate(probability_columns(task)):
            columns[name] = probabilities[task.name][:, j]
    made = pd.DataFrame(columns)
    return made if isinstance(inputs, Table) else made.set_axis(inputs.index, axis=0)


def _set_columns(task: Task, plausible: NDArray[np.bool_]) -> dict[str, list[str]]:
    if isinstance(task, Multiclass):
        return {f"{task.name} plausible": _lists(plausible, task.names)}
    if isinstance(task, Binary):
        words = task.decode(np.array([0, 1])).tolist()
        return {f"{task.name} plausible": _lists(plausible[:, 0], words)}
    return {
        f"{task.name}={label} plausible": _lists(plausible[:, j], (0, 1))
        for j, label in enumerate(task.names)
    }


def _lists(plausible: NDArray[np.bool_], words: Sequence[object]) -> list[str]:
    """Return per row a JSON list of the plausible words."""
    shown = [json.dumps(word, ensure_ascii=False, default=str) for word in words]
    return [f"[{', '.join(shown[j] for j in np.flatnonzero(row))}]" for row in plausible]


def prediction_tables(
    model: EncodedPredictor,
    inputs: pd.DataFrame | Table,
    *,
    labels: bool = True,
    prior: PriorChoice | None = None,
    keep: Sequence[str] = (),
    rows: int = CHUNK,
) -> Iterator[pd.DataFrame]:
    """Give `prediction_table` of all rows in parts, in order, so that memory stays bounded.

    Args:
        model: what predicts.
        inputs: n raw rows.
        labels: with the predicted labels.
        prior: the class prior to assume; ``rows`` is estimated from each part alone.
        keep: columns of the inputs to stand in front.
        rows: the greatest number of rows of a part.

    Raises:
        LabelweaveError: inputs that do not fit; a row that it names counts from the part's first.
    """
    if rows < 1:
        raise LabelweaveError(f"rows: found {rows}, expected 1 or more")
    for start in range(0, max(1, len(inputs)), rows):
        part = _rows(inputs, start, rows)
        if start == 0:
            yield prediction_table(model, part, labels=labels, prior=prior, keep=keep)
            continue
        with in_place(f"counted from row {start + 1:,}"):
            made = prediction_table(model, part, labels=labels, prior=prior, keep=keep)
        yield made if isinstance(inputs, pd.DataFrame) else made.set_axis(made.index + start)


def _rows(inputs: pd.DataFrame | Table, start: int, rows: int) -> pd.DataFrame | Table:
    if isinstance(inputs, Table):
        return replace(inputs, cells=inputs.cells.slice(start, rows))
    return inputs.iloc[start : start + rows]


def _kept(
    model: EncodedPredictor, inputs: pd.DataFrame | Table, keep: Sequence[str]
) -> dict[str, object]:
    names = [str(name) for name in inputs.columns]
    for name in keep:
        if name not in names:
            raise LabelweaveError(
                f"no column '{name}' to keep, found {listing(names)}{nearest(name, names)}"
            )
    schema = model.encoder.schema
    known = [] if schema is None else schema.named("identifier")
    chosen = list(dict.fromkeys([*keep, *(name for name in known if name in names)]))
    if isinstance(inputs, Table):
        return {name: inputs.cells[name].to_pandas() for name in chosen}
    frame = inputs.set_axis(names, axis=1)
    return {name: frame[name].to_numpy() for name in chosen}


def predict_parquet(
    model: EncodedPredictor,
    path: str | Path,
    out: Path,
    *,
    labels: bool = True,
    prior: PriorChoice | None = None,
    keep: Sequence[str] = (),
    rows: int = CHUNK,
) -> int:
    """Write `prediction_table` of a Parquet file to a table, a few row groups at a time.

    Args:
        model: what predicts.
        path: the file, or an ``s3://``, ``gs://`` or ``memory://`` address.
        out: the .csv or .parquet file to write, whole or not at all.
        labels: with the predicted labels.
        prior: the class prior to assume; ``rows`` is estimated from each part alone.
        keep: columns of the inputs to stand in front.
        rows: how many rows are predicted at a time; at least one row group is in memory.

    Returns:
        The number of rows.

    Raises:
        LabelweaveError: a file that cannot be read (`labelweave.tables.ParquetTable`), inputs that
            do not fit, or another ending; see `check_writable`.
    """
    check_writable(out, Path(path))
    schema = model.encoder.schema
    table = ParquetTable(path, None if schema is None else ReadOptions(missing=schema.missing))
    made = predictions_in_parts(model, table, rows=rows, labels=labels, prior=prior, keep=keep)
    return write_parts((part for part, _ in made), out)


def predictions_in_parts(
    model: EncodedPredictor,
    table: ParquetTable | Table,
    *,
    rows: int | None = None,
    keep: Sequence[str] = (),
    **options: Any,
) -> Iterator[tuple[pd.DataFrame, list[str]]]:
    """Give `prediction_table` of a table in parts of `rows` rows, each with `model.check` of it.

    Rows are predicted as those of a table that is read whole, bit for bit where the model predicts
    in blocks that divide `rows`, as networks do.

    Args:
        model: what predicts.
        table: the rows.
        rows: rows of a part; None = 65,536.
        keep: columns of the inputs to stand in front.
        options: the others of `prediction_table`.

    Raises:
        LabelweaveError: see `prediction_table`; a row that it names counts from the part's first.
    """
    rows = CHUNK if rows is None else rows
    if rows < 1:
        raise LabelweaveError(f"rows: found {rows}, expected 1 or more")
    gaps, start, root = table.whole_numbers_with_gaps(), 0, Path(table.place).parent
    for part in table.exact_parts(rows):
        given = with_files(part, model, root) if isinstance(table, ParquetTable) else part
        with in_place(f"{table.place}: counted from row {start + 1:,}"):
            unusual = model.check(given)
            made = prediction_table(model, given, keep=keep, **options)
        # with a gap anywhere they are floating-point numbers in every part
        wide = {name: np.float64 for name in gaps if name in made.columns}
        yield made.astype(wide).set_axis(made.index + start), unusual
        start += len(part)


def write_parts(
    parts: Iterable[pd.DataFrame], out: Path, *, bom: bool = False, formulas: bool = False
) -> int:
    """Write tables below each other as one file, whole or not at all; return its rows.

    Args:
        parts: the tables, of the same columns; the types are those of the first.
        out: the .csv or .parquet file.
        bom: of a CSV file: begin with the mark by which Excel knows UTF-8.
        formulas: of a CSV file: leave cells that start a formula as they are.

    Raises:
        WriteError: the file cannot be written.
    """
    rows = 0
    with replacing(out) as temporary, ExitStack() as held:
        writer: pq.ParquetWriter | None = None
        for made in parts:
            first, rows = rows == 0, rows + len(made)
            if out.suffix == ".csv":
                text = csv_text(made, bom=bom and first, formulas=formulas, header=first)
                with temporary.open("w" if first else "a", encoding="utf-8", newline="") as file:
                    file.write(text)
                continue
            found = pa.Table.from_pandas(made, preserve_index=False)
            if writer is None:
                writer = held.enter_context(pq.ParquetWriter(temporary, _texts(found.schema)))
            writer.write_table(found.cast(writer.schema))
    return rows


def _texts(schema: pa.Schema) -> pa.Schema:
    """Return a schema in which a column without any value yet is one of texts."""
    for place, field in enumerate(schema):
        if pa.types.is_null(field.type):
            schema = schema.set(place, field.with_type(pa.string()))
    return schema


@contextmanager
def in_parts(
    place: str, model: EncodedPredictor, read: ReadOptions, out: Path
) -> Iterator[ParquetTable | Table | None]:
    """Give a table to be predicted in parts; None = it is better read whole.

    That is one of few rows, of another format than Parquet, CSV or TSV, or a Parquet file with a
    row group of more than a gigabyte.

    Args:
        place: the file, or an address of `ParquetTable`.
        model: what predicts.
        read: how a text file is read.
        out: the file to write, next to which the cells of a long text file are kept meanwhile.

    Raises:
        LabelweaveError: a file that cannot be read.
    """
    away, path = is_address(place), Path(place)
    text = model.encoder.schema is not None and is_text_file(path) and path.is_file()
    if away or path.suffix == ".parquet":
        yield _long_parquet(place, model, away=away)
    elif not text or path.stat().st_size <= LONG_TEXT:
        yield None
    else:
        with scratch_folder(out) as folder:
            given = read_inputs(path, model, read, folder=folder)
            assert isinstance(given, Table)
            yield given


def _long_parquet(place: str, model: EncodedPredictor, *, away: bool) -> ParquetTable | None:
    schema = model.encoder.schema
    try:
        table = ParquetTable(place, None if schema is None else ReadOptions(missing=schema.missing))
    except LabelweaveError:
        if away:
            raise
        return None  # reading it whole says what is wrong, or does it
    return table if away or len(table) > CHUNK else None


def check_writable(path: Path, source: Path | None = None) -> None:
    """Raise `LabelweaveError` when `write_table` would: another ending, or no such folder.

    So it does where the path is that of `source`, the table to predict.
    """
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise LabelweaveError(f"{path}: is the table to predict, expected another file to write")
    if path.suffix not in {".csv", ".parquet"}:
        raise LabelweaveError(f"{path}: found ending '{path.suffix}', expected .csv or .parquet")
    if not path.parent.is_dir():
        raise LabelweaveError(f"{path}: no folder '{path.parent}' to write to")


def write_table(
    table: pd.DataFrame, path: Path, *, bom: bool = False, formulas: bool = False
) -> None:
    """Write a table as .csv or .parquet, whole or not at all.

    Args:
        table: the table, without its index.
        path: the file.
        bom: of a CSV file: begin with the mark by which Excel knows UTF-8.
        formulas: of a CSV file: leave cells that start a formula as they are.

    Raises:
        LabelweaveError: see `check_writable`.
    """
    check_writable(path)
    if path.suffix == ".csv":
        write_csv(path, table, bom=bom, formulas=formulas)
        return
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)
