"""Runs at the same time on the study's engine, and those derived from them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labelweave._progress import runs_bar
from labelweave.errors import TrainingError
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._context import StudyContext
from labelweave.experiments._engines import Plan
from labelweave.experiments._runs import Run, derive, execute, take_part
from labelweave.fitting._split import Split
from labelweave.training._device import is_first

Pair = tuple[Run, Split]
LONGEST = ("stack", "single")  # libraries of learners; one network a task


def _place(kind: str) -> int:
    """Return the place of a method's kind in the order in which runs start."""
    return LONGEST.index(kind) if kind in LONGEST else len(LONGEST)


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
    # what takes longest starts first, so that no core waits at the end
    waiting.sort(key=lambda pair: _place(config.method(pair[0].method).kind))
    failures: list[dict[str, Any]] = []
    with runs_bar(context.progress) as bar:
        shown = bar.add_task(
            f"{config.name}: runs", total=len(pairs), completed=len(pairs) - len(waiting), last=""
        )
        for run, split in pairs.values():
            if run.done:  # trained before, perhaps by a call that was killed before it noted it
                tracking.note(run, split)
        for run, error in _trained(waiting, context):
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


def _trained(waiting: Sequence[Pair], context: StudyContext) -> Iterator[tuple[Run, str | None]]:
    """Give every run as it ends, with what went wrong."""
    left, config = dict(enumerate(waiting)), context.config
    names = [run.folder.name for run, _ in waiting]
    plan = Plan(f"study '{config.name}': {{}}; {{}} runs", context.folder, names)
    try:
        given = [(run, split, config) for run, split in waiting]
        for number, error in context.engine.calls(_job, given, plan):
            yield left.pop(number)[0], error
    except TrainingError as error:
        yield from ((run, str(error)) for run, _ in left.values())


def _job(run: Run, split: Split, config: StudyConfig) -> str | None:
    if not is_first():
        take_part(run, split, config)
        return None
    # where its process was killed after it, but before its answer arrived
    return None if run.done else execute(run, split, config)
