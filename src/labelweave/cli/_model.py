"""``labelweave predict``."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a model, or results folder of a study.")],
    table: Annotated[
        Path,
        typer.Argument(help="CSV, TSV or Parquet table with the inputs, or a folder of images."),
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
) -> None:
    """Predict all tasks for the rows of a table and write a table of probabilities.

    **Examples**

    - `labelweave predict runs/leaves new_leaves.csv --out predicted.csv`
    - `labelweave predict runs/leaves new_leaves.csv --method single_task --out predicted.parquet`
    - `labelweave predict runs/leaves new_leaves.csv --prior rows --out predicted.csv`
    - `labelweave predict runs/parts photos --out predicted.csv` : a folder of images
    """
    from labelweave.class_priors import assumed_prior
    from labelweave.errors import in_place
    from labelweave.serving._prediction import (
        check_writable,
        find_model,
        prediction_table,
        read_inputs,
        write_table,
    )

    if out is not None:
        check_writable(out)
    found = find_model(model, method, seed)
    given = read_inputs(table, found)
    assumed = found.prior if prior is None else assumed_prior(prior, found.tasks)
    with in_place(table):
        predicted = prediction_table(found, given, labels=labels, prior=assumed)
    if table.is_dir():  # whose rows have no numbers to go by
        predicted.insert(0, "file", given.iloc[:, 0])
    typer.echo(f"prior: {assumed}", err=True)
    if out is None:
        typer.echo(predicted.to_csv(index=False), nl=False)
    else:
        write_table(predicted, out)
