"""``labelweave tune``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def tune(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trials, those of earlier calls included; default: as the study says, 50."
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which no trial begins.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 1,
) -> None:
    """Search the settings of a study on its validation rows; the test rows are not looked at.

    Made large: the mean over tasks of the gain to single-task, less what the worst task loses.
    Interrupted, the same command goes on. Writes `study.tuned.yaml`, to be run like any study.

    **Examples**

    - `labelweave tune study.yaml --trials 20`
    - `labelweave tune study.yaml --timeout 3600 --workers 4`
    - `labelweave run study.tuned.yaml`
    - in the study file, to search two things only:
      `tune: {search: {training.learning_rate: [0.001, 0.01], network: false, couplings: false}}`
    """
    from labelweave.report import print_tuning
    from labelweave.study import Study
    from labelweave.tuning import tune as run_search
    from labelweave.tuning import write_tuning

    opened = Study.from_file(study)
    results = run_search(opened, trials=trials, timeout=timeout, workers=workers)
    console = Console()
    print_tuning(results, console)
    tuned, *files = write_tuning(results, study, opened.output / "tuning")
    told = f"\nTuned: {tuned} (labelweave run {tuned})\nTrials: {', '.join(map(str, files))}"
    console.print(told, soft_wrap=True, markup=False, highlight=False)
