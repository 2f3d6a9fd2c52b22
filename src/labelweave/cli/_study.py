"""What the commands that run a study share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from labelweave.study import Study


def run_and_print(study: "Study", jobs: int | None, language: str | None = None) -> None:
    """Run a study, print its table and where the files are; exit 1 when runs failed."""
    from labelweave.report import print_results

    console = Console()
    results = study.run(
        jobs=jobs,
        language=language,
        announce=lambda shares: console.print("What a batch is made of:", shares),
    )
    print_results(results, console)
    report = study.output / "report.html"
    console.print(f"\nReport: {report}", soft_wrap=True, markup=False, highlight=False)
    report_failures(results)


def report_failures(results: Mapping[str, Any]) -> None:
    """Print the runs that failed, and exit 1 where there are any."""
    for failure in results["failures"]:
        typer.echo(
            f"failed: {failure['arm']}, seed {failure['seed']}: {failure['error']}", err=True
        )
    if results["failures"]:
        raise typer.Exit(1)
