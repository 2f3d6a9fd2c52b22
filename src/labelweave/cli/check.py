"""``labelweave check``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def check(study: Annotated[Path, typer.Argument(help="The study file.")]) -> None:
    """Validate a study file and its data, print the coverage, train nothing.

    **Example**

    - `labelweave check study.yaml`
    """
    from labelweave.study import Study

    described = Study.from_file(study).describe()
    console = Console()
    for line in [*described, "", f"Nothing wrong found. Next: labelweave run {study}"]:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
