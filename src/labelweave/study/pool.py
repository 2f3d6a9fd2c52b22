"""Runs side by side, each in a process of its own, and those derived from them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labelweave.errors import TrainingError
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.progress import runs_bar
from labelweave.study.runs import Run, derive, execute
from labelweave.study.tracking import Tracking
from labelweave.study.workers import side_by_side

Pair = tuple[Run, Fold]


def train_runs(
    plan: Mapping[str, Sequence[Run]],
    folds: Mapping[str, Sequence[Fold]],
    config: StudyConfig,
    jobs: int | None,
    progress: bool,
    tracking: Tracking,
) -> list[dict[str, Any]]:
    """Train the runs that are not done, but none of a derived arm; return what went wrong.

    Args:
        plan: per arm its runs.
        folds: per arm their data, in the same order.
        config: the study's settings.
        jobs: processes side by side; None = one a core.
        progress: show a bar when on a terminal.
        tracking: told of every run that is done.

    Raises:
        WriteError: a file cannot be written.
    """
    # arms that differ in name only share a folder, and are trained once
    pairs = {
        run.folder: (run, fold)
        for arm, runs in plan.items()
        if config.arm(arm).kind != "derived"
        for run, fold in zip(runs, folds[arm], strict=True)
    }
    if not pairs:
        return []
    waiting = [(run, fold) for run, fold in pairs.values() if not run.done]
    # one network a task takes longest: start those first, so that no core waits at the end
    waiting.sort(key=lambda pair: config.arm(pair[0].arm).kind != "single")
    failures: list[dict[str, Any]] = []
    bar = runs_bar(progress)
    with bar:
        shown = bar.add_task(
            f"{config.name}: runs", total=len(pairs), completed=len(pairs) - len(waiting), last=""
        )
        for run, fold in pairs.values():
            if run.done:  # trained before, perhaps by a call that was killed before it told
                tracking.note(run, fold)
        for run, error in _trained(waiting, config, jobs):
            if error is None:
                tracking.note(run, pairs[run.folder][1])
            else:
                failures.append({"arm": run.arm, "seed": run.seed, "error": error})
            bar.update(shown, advance=1, last=f"{run.arm}, seed {run.seed}")
    return failures


def derive_runs(
    plan: Mapping[str, Sequence[Run]],
    folds: Sequence[Fold],
    config: StudyConfig,
    tracking: Tracking,
) -> None:
    """Write the runs of the derived arms whose base is done."""
    for arm, runs in plan.items():
        base = config.arm(arm).base
        if base is None:
            continue
        for run, start, fold in zip(runs, plan[base], folds, strict=True):
            if start.done and not run.done:
                derive(run, start, fold)
            if run.done:
                tracking.note(run, fold)


def _trained(
    waiting: Sequence[Pair], config: StudyConfig, jobs: int | None
) -> Iterator[tuple[Run, str | None]]:
    """Give every run as it ends, with what went wrong."""
    left = dict(enumerate(waiting))
    told = f"study '{config.name}': {{}}; {{}} runs"
    try:
        given = [(run, fold, config) for run, fold in waiting]
        for number, error in side_by_side(_job, given, jobs, told):
            yield left.pop(number)[0], error
    except TrainingError as error:
        yield from ((run, str(error)) for run, _ in left.values())


def _job(run: Run, fold: Fold, config: StudyConfig) -> str | None:
    # where its process was killed after it, but before the answer was heard
    return None if run.done else execute(run, fold, config)
