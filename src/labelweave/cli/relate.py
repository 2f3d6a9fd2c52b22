"""``labelweave relate``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


class Origins(StrEnum):
    """Which evidence enters the tables."""

    all = "all"
    knowledge = "knowledge"
    annotations = "annotations"
    predictions = "predictions"


def relate(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    origin: Annotated[
        Origins, typer.Option("--from", help="Which evidence enters the tables.")
    ] = Origins.all,
    save: Annotated[
        Path | None,
        typer.Option(help="Folder for the tables as CSV (to edit and hand back) and as pictures."),
    ] = None,
    tables: Annotated[bool, typer.Option(help="Print the tables as heat maps.")] = True,
) -> None:
    """Show how the tasks relate: tables, the proof that they hold, and which tasks to join.

    Trains one network without coupling on the study's first seed, and estimates from its
    predictions, from rows that carry both labels, and from the expert's tables. Shows how many
    labels are wrong, where that can be told, and writes which to mislabelled.csv.

    **Examples**

    - `labelweave relate study.yaml`
    - `labelweave relate study.yaml --from predictions --save tables`
    """
    from labelweave.report import print_relatedness
    from labelweave.study import Study, write_mislabelled

    opened = Study.from_file(study)
    related = opened.relate(origin.value)
    console = Console()
    fold = opened.first_fold()
    console.print(fold.coverage())
    print_relatedness(related.to_dict(), console, tables=tables, sources=fold.source_names)
    if opened.mislabelled is not None and len(opened.mislabelled):
        path = write_mislabelled(opened.mislabelled, opened.output)
        typer.echo(f"{len(opened.mislabelled):,} labels that are likely wrong: {path}")
    if save is not None:
        for relation, path in zip(related.found, related.to_csv(save), strict=True):
            related.plot(relation.name, path.with_suffix(".svg"))
        typer.echo(f"Tables and pictures: {save} (name a table under 'relations:' to use it)")
