"""``labelweave run``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from labelweave.cli._study import run_and_print


def run(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    tasks: Annotated[
        str | None,
        typer.Option(help="Only these tasks, with commas; results go to a folder of theirs."),
    ] = None,
    next_: Annotated[
        bool,
        typer.Option(
            "--next",
            help="Add the most related task to those run last, and say what it added; at first, "
            "the two or three tasks to start with.",
        ),
    ] = False,
    label_next: Annotated[
        int | None, typer.Option(min=0, help="Rows to name in label_next.csv; 0 = none.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Language of the report: en or ja; default: as the study says."),
    ] = None,
) -> None:
    """Run a study: train every arm on every seed, compare, write the report.

    Interrupted, the same command goes on where it stopped; changed, it redoes what changed.

    **Examples**

    - `labelweave run study.yaml`
    - `labelweave run study.yaml --tasks species,shape`
    - `labelweave run study.yaml --next` : in stages, the most related tasks first
    - `labelweave run study.yaml --label-next 20` : the 20 rows to label first
    - `labelweave run study.yaml --language ja`
    """
    from labelweave.errors import LabelweaveError
    from labelweave.report import print_compared
    from labelweave.study import Study
    from labelweave.study.comparing import compare_sides, of_study
    from labelweave.study.staging import next_stage

    if tasks is not None and next_:
        raise LabelweaveError("found both --tasks and --next, expected one of them")
    changes: dict[str, Any] = {} if label_next is None else {"label_next": label_next}
    if tasks is not None:
        changes["only"] = [name.strip() for name in tasks.split(",") if name.strip()]
        if not changes["only"]:
            raise LabelweaveError(f"--tasks: found '{tasks}', expected names with commas")
    stage = None
    if next_:
        stage = next_stage(Study.from_file(study))
        changes["only"] = list(stage.tasks)
        typer.echo(f"Stage: {', '.join(stage.tasks)} ({stage.reason})\n")
    opened = Study.from_file(study, **changes)
    if opened.config.only:
        opened.command += f" --tasks {','.join(opened.config.only)}"
    run_and_print(opened, jobs, language)
    if stage is not None and stage.before is not None:
        typer.echo(f"\nWhat '{stage.added}' added, B with it, A without:")
        sides = of_study(stage.before, None), of_study(opened.output, None)
        found = [vars(each) for each in compare_sides(*sides)]
        print_compared(found, [side.name for side in sides], Console())
    if stage is not None and stage.following is not None:
        after = stage.following
        typer.echo(f"\nNext: {after.task} ({after.reason}): labelweave run {study} --next")
