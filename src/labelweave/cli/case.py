"""``labelweave case``."""

from pathlib import Path
from typing import Annotated

import typer


def case(
    name: Annotated[str | None, typer.Argument(help="Which data; --list shows all.")] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the data set's official files.")
    ] = None,
    k: Annotated[int | None, typer.Option(min=1, help="Labels of each class.")] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Use this many rows of the training part only.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the reader; may be repeated."),
    ] = None,
    join: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="One more data set in the study; may be repeated."),
    ] = None,
    others: Annotated[
        int | None,
        typer.Option(min=1, help="Other rows, which carry the labels of the other tasks."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the study file; default: labelweave-cases/NAME."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List all data sets, and stop.")] = False,
) -> None:
    """Write a published data set as a study, if asked with most labels hidden.

    Nothing is downloaded, and images stay where they are. A second call with another k writes the
    study file anew, and leaves tables as they are.

    **Examples**

    - `labelweave case --list`
    - `labelweave case leaves --k 1`
    - `labelweave case fashion-mnist --k 5` : after `apt install dataset-fashion-mnist`
    - `labelweave case fashion-mnist --k 500 --others 50` : the reverse, few attributes
    - `labelweave case goemotions --root ~/data/goemotions` : needs `labelweave[text]`
    - `labelweave case raf-db --root ~/data/RAF-DB --join disfa=~/data/DISFA` : faces, two data sets
    """
    from labelweave.cases import described_cases, write_named

    if listed:
        for each, title in described_cases().items():
            typer.echo(f"{each:22} {title}")
        return
    if name is None:
        raise typer.BadParameter("expected the name of a data set; --list shows all")
    folder = out or Path("labelweave-cases") / name
    study = write_named(name, folder, seeds, k, root, rows, others, option or (), join or ())
    typer.echo(f"Study: {study}")
    typer.echo(f"Next: labelweave check {study}")
    typer.echo(f"      labelweave run {study}")
    typer.echo(f"      labelweave ablate {study}")
