"""``labelweave run``."""

from pathlib import Path
from typing import Annotated

import typer

from labelweave.cli._study import run_and_print


def run(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
) -> None:
    """Run a study: train every arm on every seed, compare, write the report.

    Interrupted, the same command goes on where it stopped; changed, it redoes what changed.

    **Example**

    - `labelweave run study.yaml`
    """
    from labelweave.study import Study

    run_and_print(Study.from_file(study), jobs)
