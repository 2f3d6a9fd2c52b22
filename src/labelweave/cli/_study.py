"""``labelweave run``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelweave.cli._output import Formulas, PrintableConsole, say

if TYPE_CHECKING:
    from labelweave.data._batch_shares import BatchShares
    from labelweave.experiments import Engine, Study
    from labelweave.report._page import Picture
    from labelweave.results import Results
    from labelweave.tables import DataFinding

FINDINGS = 3  # before training
MANY = 20  # fewer pictures are drawn before other processes are ready to


class EngineName(StrEnum):
    """Where runs are trained."""

    local = "local"
    dask = "dask"


EngineOption = Annotated[
    EngineName,
    typer.Option(help="Where to train: processes of this machine, or a Dask cluster."),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(help="Address of the Dask scheduler: tcp://HOST:8786. With --engine dask."),
]


@contextmanager
def engine_for(
    name: EngineName, scheduler: str | None, study: Path | None
) -> "Iterator[Engine | None]":
    """Give the engine of the options; None = processes of this machine.

    Under `torchrun` all of its processes train together: the first one gets on with the command,
    the others help it inside this call and then exit.

    Args:
        name: of the engine.
        scheduler: its address.
        study: the study file; None = the command cannot run under `torchrun`.

    Raises:
        LabelweaveError: an address without ``--engine dask``, or the other way round; or `torchrun`
            where it does not fit.
    """
    from labelweave.errors import LabelweaveError
    from labelweave.experiments import DaskCluster, read_study_file
    from labelweave.experiments._torchrun import leading
    from labelweave.training._device import processes

    if name is EngineName.dask and scheduler is None:
        raise LabelweaveError(
            "--engine dask: found no scheduler, expected --scheduler tcp://HOST:8786"
        )
    if name is EngineName.local and scheduler is not None:
        raise LabelweaveError("--scheduler: found an address, expected it with --engine dask only")
    if processes() == 1:
        yield None if scheduler is None else DaskCluster(scheduler)
        return
    if study is None or scheduler is not None:
        raise LabelweaveError(
            "torchrun: expected it with 'labelweave run' or 'ablate', on no cluster"
        )
    with leading(read_study_file(study).training) as engine:
        if engine is None:
            raise typer.Exit(0)
        yield engine


def run_and_print(
    study: "Study",
    jobs: int | None,
    language: str | None = None,
    *,
    every: bool = False,
    formulas: bool = False,
    engine: "Engine | None" = None,
) -> None:
    """Run a study, print what it decided, write its report; exit 1 when runs failed.

    Args:
        study: the study.
        jobs: processes at the same time; None = one a core.
        language: of the report.
        every: print the table of all methods besides.
        formulas: write cells that start a formula into the CSV files as they are.
        engine: where to train, instead of processes of this machine.
    """
    from labelweave._messages import known_language
    from labelweave.report import print_decision, print_results, write_report

    language = known_language(language or study.config.language)  # before hours of training
    console = PrintableConsole()
    results = study.run(
        jobs=jobs,
        engine=engine,
        announce=partial(_announce, console),
        formulas=formulas,
    )
    drawn = partial(_drawn, jobs, study)
    write_report(results, study.output, language, drawn, formulas=formulas)
    if every:
        print_results(results, console)
        console.print()
    print_decision(results, console)
    report = study.output / "report.html"
    console.print(f"Report: {report}", soft_wrap=True, markup=False, highlight=False)
    report_failures(results)
    say(f"Next: labelweave finish {study.output} (the final model, fitted on all labelled rows)")


def _announce(
    console: "PrintableConsole", shares: "BatchShares", findings: "Sequence[DataFinding]"
) -> None:
    from labelweave.experiments._inspecting import finding_lines

    console.print("What a batch is made of:", shares)
    for line in finding_lines(findings[:FINDINGS]):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    if len(findings) > FINDINGS:
        console.print(f"{'':8} labelweave check shows {len(findings) - FINDINGS} more")


def _drawn(jobs: int | None, study: "Study", wanted: "Sequence[Picture]") -> list[str]:
    """Draw pictures in processes of this machine."""
    from labelweave.experiments._engines import LocalProcesses, Plan
    from labelweave.report._page import Picture, in_turn

    if len(wanted) < MANY:
        return in_turn(wanted)
    given = [(picture,) for picture in wanted]
    names = [f"picture{number}" for number in range(len(wanted))]
    plan = Plan(f"study '{study.config.name}': {{}}; {{}} pictures", study.output, names)
    found = dict(LocalProcesses(jobs).calls(Picture.drawn, given, plan))
    return [found[number] for number in range(len(wanted))]


def report_failures(results: "Results") -> None:
    """Print the runs that failed, and exit 1 where there are any."""
    for failure in results.failures:
        say(f"failed: {failure.method}, seed {failure.seed}: {failure.error}", err=True)
    if results.failures:
        raise typer.Exit(1)


def run(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Parallel processes; default: one per core.")
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help="Only these tasks, separated by commas; their results go to a separate folder."
        ),
    ] = None,
    next_: Annotated[
        bool,
        typer.Option(
            "--next",
            help="Add the most related task to the previous run and report what it adds. The "
            "first call runs the two or three tasks to start with.",
        ),
    ] = False,
    label_next: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of rows to suggest for labelling, in label_next.csv; 0 = none."
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Language of the report: en or ja; default: as in the study file."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print the table of all methods and tasks as well.")
    ] = False,
    formulas: Formulas = False,
    engine: EngineOption = EngineName.local,
    scheduler: SchedulerOption = None,
) -> None:
    """Run a study: train every method on every seed, compare them, and write the report.

    After an interruption the same command resumes. After a change of the study file it repeats
    only the runs that the change affects.

    **Examples**

    - `labelweave run study.yaml`
    - `labelweave run study.yaml --tasks species,shape`
    - `labelweave run study.yaml --next` : step by step, the most related tasks first
    - `labelweave run study.yaml --label-next 20` : the 20 rows to label first
    - `labelweave run study.yaml --language ja --all`
    - `labelweave run study.yaml --engine dask --scheduler tcp://10.0.0.1:8786` : on a cluster
    """
    from labelweave.errors import LabelweaveError
    from labelweave.experiments import Study
    from labelweave.experiments._compare import compare_sides, of_study
    from labelweave.experiments._stepwise import next_stage
    from labelweave.report import print_compared

    with engine_for(engine, scheduler, study) as runs_on:
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
            say(f"Step: {', '.join(stage.tasks)} ({stage.reason})\n")
        opened = Study.from_file(study, **changes)
        if opened.config.only:
            opened.command += f" --tasks {','.join(opened.config.only)}"
        run_and_print(opened, jobs, language, every=every, formulas=formulas, engine=runs_on)
    if stage is not None and stage.before is not None:
        say(f"\nEffect of adding '{stage.added}': B with it, A without it:")
        sides = of_study(stage.before, None), of_study(opened.output, None)
        found = [vars(each) for each in compare_sides(*sides)]
        print_compared(found, [side.name for side in sides], PrintableConsole())
    if stage is not None and stage.following is not None:
        after = stage.following
        say(f"\nNext: {after.task} ({after.reason}): labelweave run {study} --next")


def report(
    folder: Annotated[Path, typer.Argument(help="Results folder of a study: runs/NAME.")],
    language: Annotated[
        str | None,
        typer.Option(help="Language of the report: en or ja; default: as in the study file."),
    ] = None,
    formulas: Formulas = False,
) -> None:
    """Write the report of a study again from its results.json. Nothing is trained.

    **Example**

    - `labelweave report runs/leaves --language ja`
    """
    from labelweave.report import read_results, write_report

    for path in write_report(read_results(folder), folder, language, formulas=formulas):
        say(f"Written: {path}")


def compare(
    a: Annotated[Path, typer.Argument(help="Results folder of a study, or folder of a model.")],
    b: Annotated[Path, typer.Argument(help="The folder to compare it with.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Table (CSV, Excel, Parquet, ...) with inputs and labels to test models on."
        ),
    ] = None,
    method_a: Annotated[
        str | None,
        typer.Option(help="Method of the first; default: the one that its report recommends."),
    ] = None,
    method_b: Annotated[
        str | None,
        typer.Option(help="Method of the second; default: the one that its report recommends."),
    ] = None,
) -> None:
    """Compare two studies or two models on the same test rows, paired, for every task.

    Two studies must share their test rows. Two models are tested on the rows of --data that neither
    was trained on.

    **Examples**

    - `labelweave compare runs/leaves runs/leaves-2`
    - `labelweave compare runs/leaves runs/leaves --method-a multi_task --method-b full`
    - `labelweave compare old/model new/model --data labelled.csv`
    """
    from labelweave.errors import in_place
    from labelweave.experiments._compare import compare_sides, of_model, of_study, on_unseen_rows
    from labelweave.report import print_compared

    notes: list[str] = []
    if data is None:
        first, second = of_study(a, method_a), of_study(b, method_b)
    else:
        first, second = of_model(a, data, method_a), of_model(b, data, method_b)
        with in_place(data):
            first, second, notes = on_unseen_rows(first, second)
    found = compare_sides(first, second)
    print_compared([vars(each) for each in found], [first.name, second.name], PrintableConsole())
    for note in notes:
        say(f"note: {note}")


def ablate(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    origins: Annotated[
        str,
        typer.Option(
            "--from",
            help="Add rows with relations from these origins, separated by commas: knowledge, "
            "annotations, predictions, all.",
        ),
    ] = "",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Parallel processes; default: one per core.")
    ] = None,
    formulas: Formulas = False,
    engine: EngineOption = EngineName.local,
    scheduler: SchedulerOption = None,
) -> None:
    """Train the ablation: what each part of the network methods contributes.

    The table has a row for single-task, multi-task, co-annotation, distribution matching and both,
    in the forms of labelweave, of the paper and of its predecessors. Shares runs with
    `labelweave run`.

    **Examples**

    - `labelweave ablate study.yaml`
    - `labelweave ablate study.yaml --from predictions,all`
    """
    from labelweave.experiments import Study, run_ablation
    from labelweave.report import print_ablation, write_ablation

    asked = [origin.strip() for origin in origins.split(",") if origin.strip()]
    opened = Study.from_file(study)
    opened.command = f"labelweave ablate {study.name}" + (
        f" --from {','.join(asked)}" * bool(asked)
    )
    with engine_for(engine, scheduler, study) as runs_on:
        results = run_ablation(opened, asked, jobs=jobs, engine=runs_on)
    console = PrintableConsole()
    print_ablation(results, console)
    files = write_ablation(results, opened.output, formulas=formulas)
    console.print(
        f"\nTables: {', '.join(map(str, files))}", soft_wrap=True, markup=False, highlight=False
    )
    report_failures(results)


def tune(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of trials, including earlier calls; default: study file, else 50."
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which no new trial starts.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Parallel processes; default: 1.")
    ] = None,
    formulas: Formulas = False,
    engine: EngineOption = EngineName.local,
    scheduler: SchedulerOption = None,
) -> None:
    """Search the settings of a study on its validation rows. The test rows are not used.

    Maximises the mean gain over single-task, minus the loss on the worst task. After an
    interruption the same command resumes. Writes `study.tuned.yaml`, a study to run.

    **Examples**

    - `labelweave tune study.yaml --trials 20`
    - `labelweave tune study.yaml --timeout 3600 --workers 4`
    - `labelweave run study.tuned.yaml`
    - in the study file, to search the learning rate only:
      `tune: {search: {training.learning_rate: [0.001, 0.01], network: false, couplings: false}}`
    """
    from labelweave.experiments import Study, write_tuning
    from labelweave.experiments import tune as run_search
    from labelweave.report import print_tuning

    opened = Study.from_file(study)
    with engine_for(engine, scheduler, None) as runs_on:
        results = run_search(
            opened, trials=trials, timeout=timeout, workers=workers, engine=runs_on
        )
    console = PrintableConsole()
    print_tuning(results, console)
    tuned, *files = write_tuning(results, study, opened.output / "tuning", formulas=formulas)
    text = f"\nTuned: {tuned} (labelweave run {tuned})\nTrials: {', '.join(map(str, files))}"
    console.print(text, soft_wrap=True, markup=False, highlight=False)


class Demo(StrEnum):
    """The demonstrations."""

    leaves = "leaves"
    digits = "digits"


def demo(
    name: Annotated[Demo, typer.Argument(help="Data set of the demonstration.")] = Demo.leaves,
    out: Annotated[Path, typer.Option(help="Folder for tables, study file and results.")] = Path(
        "labelweave-demo"
    ),
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of seeds: repeated splits and trainings.")
    ] = 5,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Parallel processes; default: one per core.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print the table of all methods and tasks as well.")
    ] = False,
) -> None:
    """Show on real data what joining scattered labels gains, in a few minutes.

    **Examples**

    - `labelweave demo` : 32 leaf species and 8 attributes, no leaf labelled with both
    - `labelweave demo digits --seeds 3`
    """
    from labelweave.datasets import write_named
    from labelweave.experiments import Study

    path = write_named(name.value, out / name, seeds)
    say(f"Study: {path} (change it and try: labelweave run {path})")
    run_and_print(Study.from_file(path), jobs, every=every)
