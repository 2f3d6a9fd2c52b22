"""``labelweave ablate``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labelweave.cli._study import report_failures


def ablate(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    origins: Annotated[
        str,
        typer.Option(
            "--from",
            help="Further relations, with commas: knowledge, annotations, predictions, all.",
        ),
    ] = "",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
) -> None:
    """Show what each part of the method gains: the ablation table, in one command.

    Rows: single-task, multi-task, co-annotation, distribution matching and both, in our forms, the
    paper's and its predecessors'. Runs are shared with `labelweave run`.

    **Examples**

    - `labelweave ablate study.yaml`
    - `labelweave ablate study.yaml --from predictions,all`
    """
    from labelweave.report import print_ablation, write_ablation
    from labelweave.study import Study, run_ablation

    asked = [origin.strip() for origin in origins.split(",") if origin.strip()]
    opened = Study.from_file(study)
    opened.command = f"labelweave ablate {study.name}" + (
        f" --from {','.join(asked)}" * bool(asked)
    )
    results = run_ablation(opened, asked, jobs=jobs)
    console = Console()
    print_ablation(results, console)
    files = write_ablation(results, opened.output)
    console.print(
        f"\nTables: {', '.join(map(str, files))}", soft_wrap=True, markup=False, highlight=False
    )
    report_failures(results)
