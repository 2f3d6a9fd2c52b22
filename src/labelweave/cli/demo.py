"""``labelweave demo``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from labelweave.cli._study import run_and_print


class Demo(StrEnum):
    """The demonstrations."""

    leaves = "leaves"
    digits = "digits"


def demo(
    name: Annotated[Demo, typer.Argument(help="Which data.")] = Demo.leaves,
    out: Annotated[Path, typer.Option(help="Folder for tables, study file and results.")] = Path(
        "labelweave-demo"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
) -> None:
    """Show on real data what joining scattered labels gains.

    **Examples**

    - `labelweave demo` : 32 leaf species and 8 attributes, no leaf labelled with both
    - `labelweave demo digits --seeds 5`
    """
    from labelweave.cases import DEMOS
    from labelweave.study import Study

    path = DEMOS[name](out / name, seeds)
    typer.echo(f"Study: {path} (change it and try: labelweave run {path})")
    run_and_print(Study.from_file(path), jobs)
