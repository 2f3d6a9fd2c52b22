"""``labelweave case``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class CaseName(StrEnum):
    """The case studies."""

    leaves = "leaves"
    digits = "digits"
    fashion_mnist = "fashion-mnist"
    goemotions = "goemotions"


def case(
    name: Annotated[CaseName, typer.Argument(help="Which data.")],
    root: Annotated[
        Path | None,
        typer.Option(help="Folder of the data set's official files (fashion-mnist, goemotions)."),
    ] = None,
    k: Annotated[int | None, typer.Option(min=1, help="Labels of each class.")] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Use the first rows of the training part only.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for tables and study file; default: labelweave-cases/NAME."),
    ] = None,
) -> None:
    """Write a published data set as tables and a study file, with most labels hidden.

    Nothing is downloaded. A second call with another k writes the study file anew, and leaves the
    tables as they are.

    **Examples**

    - `labelweave case leaves --k 1`
    - `labelweave case fashion-mnist --k 5` : after `apt install dataset-fashion-mnist`
    - `labelweave case fashion-mnist --root ~/data/fashion` : four IDX files, compressed or not
    - `labelweave case goemotions --root ~/data/goemotions` : needs `labelweave[text]`
    """
    from labelweave.cases import CASES

    folder = out or Path("labelweave-cases") / name
    study = CASES[name].write(folder, seeds, k, root, rows)
    typer.echo(f"Study: {study}")
    typer.echo(f"Next: labelweave check {study}")
    typer.echo(f"      labelweave run {study}")
    typer.echo(f"      labelweave ablate {study}")
