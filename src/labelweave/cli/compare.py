"""``labelweave compare``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def compare(
    a: Annotated[Path, typer.Argument(help="A study's results folder, or a model's folder.")],
    b: Annotated[Path, typer.Argument(help="The one to hold against it.")],
    data: Annotated[
        Path | None,
        typer.Option(help="CSV, TSV or Parquet table with inputs and labels, to test models on."),
    ] = None,
    arm_a: Annotated[
        str | None, typer.Option(help="Arm of the first; default: the one its report recommends.")
    ] = None,
    arm_b: Annotated[str | None, typer.Option(help="Arm of the second.")] = None,
) -> None:
    """Compare two studies, or two models, on the same test rows: paired, task by task.

    Studies must have been tested on the same rows; models are tested on the rows of a table.

    **Examples**

    - `labelweave compare runs/leaves runs/leaves-2`
    - `labelweave compare runs/leaves runs/leaves --arm-a multi_task --arm-b full`
    - `labelweave compare old/model new/model --data labelled.csv`
    """
    from labelweave.report import print_compared
    from labelweave.study.comparing import compare_sides, of_model, of_study

    if data is None:
        sides = of_study(a, arm_a), of_study(b, arm_b)
    else:
        sides = of_model(a, data, arm_a), of_model(b, data, arm_b)
    found = compare_sides(*sides)
    print_compared([vars(each) for each in found], [side.name for side in sides], Console())
