"""Runs side by side, each in a process of its own, and those derived from them."""

from collections.abc import Mapping, Sequence
from typing import Any

from joblib import Parallel, cpu_count, delayed

from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.progress import runs_bar
from labelweave.study.runs import Run, derive, execute


def train_runs(
    plan: Mapping[str, Sequence[Run]],
    folds: Mapping[str, Sequence[Fold]],
    config: StudyConfig,
    jobs: int | None,
    progress: bool,
) -> list[dict[str, Any]]:
    """Train the runs that are not done, but none of a derived arm; return what went wrong.

    Args:
        plan: per arm its runs.
        folds: per arm their data, in the same order.
        config: the study's settings.
        jobs: processes side by side; None = one a core.
        progress: show a bar when on a terminal.
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
    workers = max(1, min(jobs or cpu_count(), len(waiting)))
    failures: list[dict[str, Any]] = []
    bar = runs_bar(progress)
    with bar:
        shown = bar.add_task(
            f"{config.name}: runs", total=len(pairs), completed=len(pairs) - len(waiting), last=""
        )
        parallel = Parallel(
            n_jobs=workers,
            return_as="generator_unordered",
            inner_max_num_threads=1 if workers > 1 else None,
            backend="loky",
        )
        calls = (delayed(_job)(run, fold, config) for run, fold in waiting)
        for run, error in parallel(calls):
            if error is not None:
                failures.append({"arm": run.arm, "seed": run.seed, "error": error})
            bar.update(shown, advance=1, last=f"{run.arm}, seed {run.seed}")
    return failures


def derive_runs(
    plan: Mapping[str, Sequence[Run]], folds: Sequence[Fold], config: StudyConfig
) -> None:
    """Write the runs of the derived arms whose base is done."""
    for arm, runs in plan.items():
        base = config.arm(arm).base
        if base is None:
            continue
        for run, start, fold in zip(runs, plan[base], folds, strict=True):
            if start.done and not run.done:
                derive(run, start, fold)


def _job(run: Run, fold: Fold, config: StudyConfig) -> tuple[Run, str | None]:
    return run, execute(run, fold, config)
