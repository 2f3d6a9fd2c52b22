"""``labelweave predict``."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelweave.cli._output import Formulas, say

if TYPE_CHECKING:
    import pandas as pd

SAID = 3  # parts of a long table whose unusual rows are named


def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a model, or results folder of a study.")],
    table: Annotated[
        str,
        typer.Argument(
            help="Table with the inputs (CSV, TSV, Excel, Parquet, Arrow, JSON lines), a folder "
            "of images, or the s3:// or gs:// address of a Parquet file."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Table to write (.csv or .parquet); default: print CSV.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="Method of a study; default: the one that its report recommends."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a study; default: the first.")] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            help="Class prior of the rows: training, population, uniform, rows (estimated "
            "from them), or a CSV file with the columns task, class, probability; default: as "
            "stored in the model."
        ),
    ] = None,
    labels: Annotated[
        bool, typer.Option(help="Write the predicted labels in addition to the probabilities.")
    ] = True,
    coherent: Annotated[
        bool,
        typer.Option(
            "--coherent",
            help="Write labels of related tasks that fit together: the jointly most likely ones.",
        ),
    ] = False,
    sets: Annotated[
        float | None,
        typer.Option(
            metavar="COVERAGE",
            help="Write the plausible classes of every task, too: sets that hold the truth with "
            "this probability, .50 to .99; of a finished model.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Column of the table to write next to the predictions; may be repeated."),
    ] = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin the CSV with the mark by which Excel knows UTF-8.")
    ] = False,
    formulas: Formulas = False,
    sep: Annotated[
        str | None, typer.Option(help="What separates the columns of the table.")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark of the table; default: as in training.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the table, such as utf-8 or cp932.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of the workbook.")] = None,
) -> None:
    """Predict all tasks for the rows of a table and write a table of probabilities.

    The table is read by the model's schema (`schema.yaml`). Rows that training has not seen the
    like of are named in warnings. A long CSV, TSV or Parquet file is predicted and written in parts
    of 65,536 rows, unless `--prior rows` asks for all rows at once.

    **Examples**

    - `labelweave predict runs/leaves new_leaves.csv --out predicted.csv`
    - `labelweave predict runs/leaves new_leaves.csv --method single_task --out predicted.parquet`
    - `labelweave predict runs/leaves new_leaves.csv --prior rows --out predicted.csv`
    - `labelweave predict runs/leaves new_leaves.csv --coherent --out predicted.csv`
    - `labelweave predict runs/leaves/model new_leaves.csv --sets .9 --out predicted.csv`
    - `labelweave predict runs/leaves new_leaves.xlsx --keep serial --bom --out predicted.csv`
    - `labelweave predict runs/parts photos --out predicted.csv` : a folder of images
    """
    from labelweave._files import csv_text
    from labelweave.class_priors import assumed_prior
    from labelweave.errors import LabelweaveError, in_place
    from labelweave.fitting._opening import model_folder, read_inputs
    from labelweave.fitting._stack import load_model
    from labelweave.serving import load
    from labelweave.serving._final import FACTS
    from labelweave.serving._prediction import (
        check_writable,
        in_parts,
        prediction_table,
        predictions_in_parts,
        write_parts,
        write_table,
    )
    from labelweave.tables import ReadOptions, Table

    path = Path(table)
    if out is not None:
        check_writable(out, path)
    folder = model_folder(model, method, seed)
    final = load(folder) if (folder / FACTS).exists() else None
    found = load_model(folder) if final is None else final.model
    rule = None
    if sets is not None:
        if final is None or prior is not None:
            place = "a model of a study's run" if final is None else "--prior"
            raise LabelweaveError(
                f"--sets: found {place}, expected a finished model with its own prior "
                "('labelweave finish')"
            )
        rule = final.sets(sets)
        for promise in rule.notes:
            say(f"warning: {promise}; every class is in its sets", err=True)
    read = ReadOptions(sep=sep, decimal=decimal, encoding=encoding, sheet=sheet)
    assumed = found.prior if prior is None else assumed_prior(prior, found.tasks)
    options: dict[str, Any] = {
        "labels": labels, "prior": assumed, "keep": keep or (), "coherent": coherent,
        "relations": final.links() if final is not None and coherent else (), "sets": rule,
    }  # fmt: skip
    if out is not None and prior != "rows":
        with in_parts(table, found, read, out) as long:
            if long is not None:
                say(f"prior: {assumed}", err=True)
                for line in long.notes if isinstance(long, Table) else ():
                    say(f"warning: {line}", err=True)
                parts = _said(predictions_in_parts(found, long, **options), table)
                write_parts(parts, out, bom=bom, formulas=formulas)
                return
    given = read_inputs(path, found, read)
    with in_place(table):
        warnings = found.check(given)
        predicted = prediction_table(found, given, **options)
    if isinstance(given, Table) and path.is_dir():  # whose rows have no numbers to go by
        predicted.insert(0, "file", given.texts(given.columns[0]))
    say(f"prior: {assumed}", err=True)
    notes = given.notes if isinstance(given, Table) else ()
    for line in (*notes, *(f"{table}: {warning}" for warning in warnings)):
        say(f"warning: {line}", err=True)
    if out is None:
        typer.echo(csv_text(predicted, bom=bom, formulas=formulas), nl=False)
    else:
        write_table(predicted, out, bom=bom, formulas=formulas)


def _said(
    parts: Iterable[tuple["pd.DataFrame", list[str]]], table: str
) -> Iterator["pd.DataFrame"]:
    """Give the tables of parts; warn of unusual rows in the first parts that have some."""
    start, left = 0, SAID
    for made, unusual in parts:
        where = f"{table}: rows {start + 1:,} to {start + len(made):,}"
        for line in unusual if left > 0 else ():
            say(f"warning: {where}: {line}", err=True)
        left -= bool(unusual)
        start += len(made)
        yield made
    if left < 0:
        say(f"warning: {table}: {-left:,} further parts have such rows", err=True)
