"""One trial of a search: settings asked for, trained, scored on validation rows, told."""

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelweave.errors import Stopped, TrainingError
from labelweave.spaces import Choice, Range
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.orphan import end_with
from labelweave.study.planning import plan_run
from labelweave.study.runs import Run, execute
from labelweave.study.study_file import parse_study
from labelweave.tuning.search import named, with_settings
from labelweave.tuning.storage import opened
from labelweave.tuning.target import Scores, gains, objective, scores

if TYPE_CHECKING:
    import optuna

STARTUP = 5  # trials that are trained to their end before the others are compared with them


@dataclass(frozen=True)
class Job:
    """What every trial needs to know.

    Attributes:
        config: the study's settings.
        arm: the arm to be tuned.
        folds: the data of every seed, validation rows in the place of test rows.
        baseline: per seed the baseline's scores.
        space: the space.
        folder: the search's folder.
        name: of the search in the database.
        deadline: the time after which no trial begins; None = there is none.
        parent: the process that ends with this one.
    """

    config: StudyConfig
    arm: str
    folds: list[Fold]
    baseline: Sequence[Scores]
    space: Mapping[str, Range]
    folder: Path
    name: str
    deadline: float | None
    parent: int


def run_trial(job: Job, index: int) -> bool:
    """Run one trial; return whether there was time for it.

    Args:
        job: what all trials share.
        index: of the trial in the search; decides its random numbers.

    Raises:
        WriteError: a file cannot be written.
        KeyboardInterrupt: after Ctrl-C, when the state of the training is saved.
    """
    import optuna

    end_with(job.parent)
    if job.deadline is not None and time.time() > job.deadline:
        return False
    tune = job.config.tune
    sampler = optuna.samplers.TPESampler(seed=tune.seed * 1_000_003 + index)
    study = opened(job.folder, job.name, sampler, pruner(job.config))
    trial = study.ask()
    settings = suggested(trial, job.space)
    trial.set_user_attr("settings", settings)
    try:
        gained = _gained(job, settings, trial)
    except Stopped:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return True
    except TrainingError as failure:
        trial.set_user_attr("error", str(failure))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return True
    trial.set_user_attr("gains", gained)
    study.tell(trial, objective(gained, tune.penalty))
    return True


def suggested(trial: "optuna.Trial", space: Mapping[str, Range]) -> dict[str, Any]:
    """Return the settings that a trial is to try."""
    settings: dict[str, Any] = {}
    for key, range_ in space.items():
        of = named(key)
        if of is not None and settings.get(of[0]) != of[1]:
            continue  # an option of what this trial does not use
        if isinstance(range_, Choice):
            values = [json.dumps(value) for value in range_.values]
            settings[key] = json.loads(trial.suggest_categorical(key, values))
        else:
            settings[key] = trial.suggest_float(key, range_.low, range_.high, log=range_.log)
    return settings


def stored(point: Mapping[str, Any], space: Mapping[str, Range]) -> dict[str, Any]:
    """Return a point of a space as `suggested` asks the database for it."""
    return {
        key: json.dumps(value) if isinstance(space[key], Choice) else value
        for key, value in point.items()
    }


def pruner(config: StudyConfig) -> "optuna.pruners.BasePruner":
    """Return what ends trials that are below the median of the others at the same evaluation."""
    import optuna

    if not config.tune.pruning:
        return optuna.pruners.NopPruner()
    warm_up = math.ceil(config.training.evaluations / 4) + 1  # evaluations count from 1
    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=warm_up)


def _gained(job: Job, settings: Mapping[str, Any], trial: "optuna.Trial") -> dict[str, float]:
    config = configured(job.config, settings)
    found: list[Scores] = []
    for number, fold in enumerate(job.folds):
        run = plan_run(job.arm, fold, fold.fingerprint(), config, job.folder)
        if not run.done:
            watch = _watcher(job, trial, number)
            try:
                error = execute(run, fold, config, watch=watch)
            except Stopped:
                _remove(run)
                raise
            if error is not None:
                raise TrainingError(error)
        found.append(scores(run, fold))
    return gains(found, job.baseline)


def configured(config: StudyConfig, settings: Mapping[str, Any]) -> StudyConfig:
    """Return a study's settings with those of a trial."""
    return parse_study(with_settings(config.model_dump(exclude_unset=True, mode="json"), settings))


def _watcher(
    job: Job, trial: "optuna.Trial", number: int
) -> Callable[[int, Mapping[str, float | None]], None]:
    """Return what tells the search of every evaluation, and stops a trial that it gives up."""

    def watch(evaluation: int, found: Mapping[str, float | None]) -> None:
        gained = gains([found], [job.baseline[number]])
        if not gained:
            return
        step = number * job.config.training.evaluations + evaluation
        trial.report(objective(gained, job.config.tune.penalty), step)
        if trial.should_prune():
            raise Stopped

    return watch


def _remove(run: Run) -> None:
    shutil.rmtree(run.folder.with_name(run.folder.name + ".partial"), ignore_errors=True)
