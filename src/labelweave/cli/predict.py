"""``labelweave predict``."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    model: Annotated[Path, typer.Argument(help="A model's folder, or a study's results folder.")],
    table: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet table with the inputs.")],
    out: Annotated[
        Path | None, typer.Option(help="Table to write (.csv or .parquet); default: print CSV.")
    ] = None,
    arm: Annotated[
        str | None, typer.Option(help="Arm of a study; default: the one its report recommends.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a study; default: its first.")] = None,
    labels: Annotated[bool, typer.Option(help="Write the predicted labels as well.")] = True,
) -> None:
    """Predict all tasks for the rows of a table: a table in, a table with probabilities out.

    **Examples**

    - `labelweave predict runs/leaves new_leaves.csv --out predicted.csv`
    - `labelweave predict runs/leaves new_leaves.csv --arm single_task --out predicted.parquet`
    """
    from labelweave.data import read_table
    from labelweave.prediction import check_writable, find_model, prediction_table, write_table

    if out is not None:
        check_writable(out)
    given = read_table(table)
    predicted = prediction_table(find_model(model, arm, seed), given, labels=labels)
    if out is None:
        typer.echo(predicted.to_csv(index=False), nl=False)
    else:
        write_table(predicted, out)
