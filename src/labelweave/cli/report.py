"""``labelweave report``."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a study's results: runs/NAME.")],
    language: Annotated[
        str | None,
        typer.Option(help="Language of the report: en or ja; default: as the study says."),
    ] = None,
) -> None:
    """Write the report of a study again from its results.json; nothing is trained.

    **Example**

    - `labelweave report runs/leaves --language ja`
    """
    from labelweave.report import read_results, write_report

    for path in write_report(read_results(folder), folder, language):
        typer.echo(f"Written: {path}")
