"""Runs side by side, each in its own process, and those derived from them."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from joblib import cpu_count, delayed

from labelweave._processes import worker_pool
from labelweave._progress import runs_bar
from labelweave.errors import LabelweaveWarning, TrainingError
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._context import StudyContext
from labelweave.experiments._runs import Run, derive, execute
from labelweave.fitting._split import Split

KILLED = "its process was killed, perhaps for lack of memory; try fewer processes (--jobs 1)"
T = TypeVar("T")


def side_by_side(
    call: Callable[..., T], given: Sequence[tuple[Any, ...]], jobs: int | None, title: str
) -> Iterator[tuple[int, T]]:
    """Give the number and the result of every call, as it ends.

    When the system kills a process all of them are lost: what has not ended is called again in new
    ones, until two pools in a row end none. So a call must go on, or find its result, where one
    before it was killed.

    Args:
        call: what to call; one that is left has changed nothing but files.
        given: of every call its arguments.
        jobs: processes side by side; None = one a core.
        title: of a warning, with places for what happened and for how many calls are left:
            "study 'a': {}; {} runs".

    Raises:
        TrainingError: processes were killed again and again.
    """
    waiting, chances = dict(enumerate(given)), 2
    while waiting:
        before = len(waiting)
        try:
            for number, found in _pooled(call, waiting, jobs):
                del waiting[number]
                yield number, found
            return
        except BrokenProcessPool:
            chances = chances - 1 if len(waiting) == before else 2
            if not chances:
                raise TrainingError(KILLED) from None
            if waiting:
                killed = "a worker process was killed, perhaps for lack of memory"
                message = f"{title.format(killed, len(waiting))} go on in new ones"
                warnings.warn(message, LabelweaveWarning, stacklevel=4)


def _pooled(
    call: Callable[..., T], waiting: dict[int, tuple[Any, ...]], jobs: int | None
) -> Iterator[tuple[int, T]]:
    workers = max(1, min(jobs or cpu_count(), len(waiting)))
    parallel = worker_pool(workers, threads=1 if workers > 1 else None)
    # a list: what has ended leaves `waiting` while the others are called
    calls = [delayed(_numbered)(number, call, each) for number, each in waiting.items()]
    found: Iterator[tuple[int, T]] = parallel(calls)
    yield from found


def _numbered(number: int, call: Callable[..., T], given: tuple[Any, ...]) -> tuple[int, T]:
    return number, call(*given)


Pair = tuple[Run, Split]


def train_runs(
    context: StudyContext,
    plan: Mapping[str, Sequence[Run]],
    splits: Mapping[str, Sequence[Split]],
) -> list[dict[str, Any]]:
    """Train the runs that are not done, but none of a derived method; return what went wrong.

    Args:
        context: the study at work.
        plan: per method its runs.
        splits: per method their data, in the same order.

    Raises:
        WriteError: a file cannot be written.
    """
    config, tracking = context.config, context.tracking
    # methods that differ in name only share a folder, and are trained once
    pairs = {
        run.folder: (run, split)
        for method, runs in plan.items()
        if config.method(method).kind != "derived"
        for run, split in zip(runs, splits[method], strict=True)
    }
    if not pairs:
        return []
    waiting = [(run, split) for run, split in pairs.values() if not run.done]
    # one network a task takes longest: start those first, so that no core waits at the end
    waiting.sort(key=lambda pair: config.method(pair[0].method).kind != "single")
    failures: list[dict[str, Any]] = []
    with runs_bar(context.progress) as bar:
        shown = bar.add_task(
            f"{config.name}: runs", total=len(pairs), completed=len(pairs) - len(waiting), last=""
        )
        for run, split in pairs.values():
            if run.done:  # trained before, perhaps by a call that was killed before it noted it
                tracking.note(run, split)
        for run, error in _trained(waiting, config, context.jobs):
            if error is None:
                tracking.note(run, pairs[run.folder][1])
            else:
                failures.append({"method": run.method, "seed": run.seed, "error": error})
            bar.update(shown, advance=1, last=f"{run.method}, seed {run.seed}")
    return failures


def derive_runs(
    context: StudyContext, plan: Mapping[str, Sequence[Run]], splits: Sequence[Split]
) -> None:
    """Write the runs of the derived methods whose base is done."""
    for method, runs in plan.items():
        base = context.config.method(method).base
        if base is None:
            continue
        for run, start, split in zip(runs, plan[base], splits, strict=True):
            if start.done and not run.done:
                derive(run, start, split)
            if run.done:
                context.tracking.note(run, split)


def _trained(
    waiting: Sequence[Pair], config: StudyConfig, jobs: int | None
) -> Iterator[tuple[Run, str | None]]:
    """Give every run as it ends, with what went wrong."""
    left = dict(enumerate(waiting))
    title = f"study '{config.name}': {{}}; {{}} runs"
    try:
        given = [(run, split, config) for run, split in waiting]
        for number, error in side_by_side(_job, given, jobs, title):
            yield left.pop(number)[0], error
    except TrainingError as error:
        yield from ((run, str(error)) for run, _ in left.values())


def _job(run: Run, split: Split, config: StudyConfig) -> str | None:
    # where its process was killed after it, but before its answer arrived
    return None if run.done else execute(run, split, config)
