"""One trial of a search: settings asked for, trained, scored on validation rows, recorded."""

import json
import math
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labelweave._files import check_free, locked
from labelweave._search_space import Choice, Range
from labelweave.errors import LabelweaveError, Stopped, TrainingError
from labelweave.evaluation import evaluate, main_metric
from labelweave.experiments._config import StudyConfig, parse_study
from labelweave.experiments._context import StudyContext
from labelweave.experiments._engines import Engine
from labelweave.experiments._executor import train_runs
from labelweave.experiments._runs import Run, borrow, execute, plan_run
from labelweave.experiments._scheduler import find_related, plan_runs
from labelweave.experiments._study import Study
from labelweave.experiments._tuning_space import named, with_settings
from labelweave.fitting._methods import BASELINE, UNCOUPLED, Method
from labelweave.fitting._relating import with_findings
from labelweave.fitting._split import Split

if TYPE_CHECKING:
    import optuna

Scores = Mapping[str, float | None]


def scores(run: Run, split: Split) -> dict[str, float | None]:
    """Return the main metric of every task on the rows that a run predicted."""
    given, labels = run.predictions(), split.test.annotations
    return {
        task.name: evaluate(task, given[task.name], codes)[main_metric(task, codes)]
        for task in labels.tasks
        for codes in [labels.labels[task.name]]
    }


def gains(found: Sequence[Scores], baseline: Sequence[Scores]) -> dict[str, float]:
    """Return per task the mean over seeds of its score above the baseline's.

    Args:
        found: per seed the scores.
        baseline: those of the baseline, in the same order; tasks without a score are left out.
    """
    by_task: dict[str, list[float]] = {}
    for of_seed, base in zip(found, baseline, strict=True):
        for name, score in of_seed.items():
            before = base.get(name)
            if score is not None and before is not None:
                by_task.setdefault(name, []).append(score - before)
    return {name: float(np.mean(values)) for name, values in by_task.items()}


def objective(gained: Mapping[str, float], penalty: float = 1.0) -> float:
    """Return the mean gain, less `penalty` times what the worst task lost, if it lost.

    Args:
        gained: task to its gain; at least one.
        penalty: 0 or more.
    """
    values = list(gained.values())
    return float(np.mean(values)) + penalty * min(0.0, min(values))


NAME = "trials.db"
WAIT = 120  # seconds for another process that is writing


def open_search(
    folder: Path,
    name: str,
    sampler: "optuna.samplers.BaseSampler | None" = None,
    pruner: "optuna.pruners.BasePruner | None" = None,
) -> "optuna.Study":
    """Return the search of that name in a folder's database, made where there is none.

    Raises:
        LabelweaveError: the package optuna is missing, or the file is no database of searches.
    """
    try:
        import optuna
        from sqlalchemy.exc import DatabaseError
    except ImportError:
        raise LabelweaveError(
            "tuning needs the package optuna, which is not installed; "
            "install it with: pip install 'labelweave[tune]'"
        ) from None

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder / NAME
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": WAIT}}
            )
            return optuna.create_study(
                storage=storage, study_name=name, sampler=sampler, pruner=pruner,
                direction="maximize", load_if_exists=True,
            )  # fmt: skip
    except (DatabaseError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise LabelweaveError(
            f"{path}: cannot be used as a database of trials ({reason}); remove it to start anew"
        ) from None


STARTUP = 5  # trials that are trained to their end before the others are compared with them


@dataclass(frozen=True)
class Job:
    """What every trial needs to know.

    Attributes:
        config: the study's settings.
        method: the method to be tuned.
        splits: the data of every seed, validation rows in the place of test rows.
        baseline: per seed the baseline's scores.
        space: the space.
        folder: the search's folder.
        name: of the search in the database.
        deadline: the time after which no trial begins; None = there is none.
    """

    config: StudyConfig
    method: str
    splits: list[Split]
    baseline: Sequence[Scores]
    space: Mapping[str, Range]
    folder: Path
    name: str
    deadline: float | None


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

    if job.deadline is not None and time.time() > job.deadline:
        return False
    tune = job.config.tune
    sampler = optuna.samplers.TPESampler(seed=tune.seed * 1_000_003 + index)
    study = open_search(job.folder, job.name, sampler, pruner(job.config))
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
    for number, split in enumerate(job.splits):
        run = plan_run(job.method, split, split.fingerprint(), config, job.folder)
        if not run.done:
            watch = _watcher(job, trial, number)
            try:
                error = execute(run, split, config, watch=watch)
            except Stopped:
                _remove(run)
                raise
            if error is not None:
                raise TrainingError(error)
        found.append(scores(run, split))
    return gains(found, job.baseline)


def configured(config: StudyConfig, settings: Mapping[str, Any]) -> StudyConfig:
    """Return a study's settings with those of a trial."""
    return parse_study(with_settings(config.model_dump(exclude_unset=True, mode="json"), settings))


def _watcher(
    job: Job, trial: "optuna.Trial", number: int
) -> Callable[[int, Mapping[str, float | None]], None]:
    """Return what reports every evaluation to the search, and stops a trial that it gives up."""

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


FOLDER = "tuning"


@dataclass(frozen=True)
class TrialData:
    """What the trials of a search share.

    Attributes:
        splits: the data of every seed, the relations of the method included.
        baseline: their runs of the method ``single_task``.
    """

    splits: list[Split]
    baseline: list[Run]


class ValidationStudy(Study):
    """A study whose validation rows stand in the place of its test rows.

    Its runs are in the folder ``tuning`` of the study's own folder. Those that the study has
    trained already are not trained again: their networks predict the validation rows.

    Args:
        study: the study; its test rows only enter the names of its runs.
        method: the method to be tuned.

    Raises:
        LabelweaveError: a method that cannot be tuned.
    """

    def __init__(self, study: Study, method: str) -> None:
        self.original = study
        self.tuned = tunable(study.config, method)
        entry = next((e for e in study.config.methods if getattr(e, "called", e) == method), method)
        seeds = study.config.seed_list()[: study.config.tune.seeds]
        only_this = {"methods": [entry], "seeds": seeds, "tracking": [], "label_curves": False}
        super().__init__(study.config.model_copy(update=only_this), study.folder, data=study.data)

    @property
    def output(self) -> Path:
        """The folder that holds the search."""
        return self.original.output / FOLDER

    def _split(self, seed: int) -> Split:
        split = super()._split(seed)
        if not len(split.validation.index):
            raise LabelweaveError(
                "tuning needs validation rows, found none: set 'split: {validation: 0.2}', or give "
                "a source 'split: validation'"
            )
        return replace(split, test=split.validation)

    @contextmanager
    def working(self, engine: Engine, progress: bool) -> Iterator[StudyContext]:
        """Keep the study's folder, and the search's, for this process."""
        check_free(self.original.output)
        with locked(self.original.output), self._working(engine, progress) as context:
            yield context

    def prepare(self, context: StudyContext) -> TrialData:
        """Train what is not there of the baseline, and of what relations are estimated from."""
        splits = self.splits()
        names = [BASELINE, *([UNCOUPLED] if self.tuned.estimated else [])]
        plan = plan_runs(dict.fromkeys(names, splits), self.config, self.output)
        self._borrow(plan, splits)
        failures = train_runs(context, plan, dict.fromkeys(names, splits))
        if failures:
            raise TrainingError(f"{failures[0]['method']}: {failures[0]['error']}")
        if self.tuned.estimated is not None:
            by_seed = find_related(context, self.methods, splits, plan)[self.tuned.estimated]
            splits = [
                with_findings(split, found, self.tuned)
                for split, found in zip(splits, by_seed, strict=True)
            ]
        return TrialData(splits, plan[BASELINE])

    def _borrow(self, plan: Mapping[str, Sequence[Run]], splits: Sequence[Split]) -> None:
        """Take over the runs that the study itself has trained."""
        original = self.original
        if not (original.output / "runs").is_dir():
            return
        for i, split in enumerate(splits):
            own = original._split(split.seed)
            prints = own.fingerprint()
            for method, runs in plan.items():
                found = plan_run(method, own, prints, self.config, original.output)
                if found.done and not runs[i].done:
                    borrow(runs[i], found, split)


def tunable(config: StudyConfig, name: str) -> Method:
    """Return a method that can be tuned: one joint network that no other network teaches.

    Raises:
        LabelweaveError: another method.
    """
    method = config.method(name)
    if method.kind != "joint" or method.all_labels or method.relations != "given":
        raise LabelweaveError(
            f"method '{name}' cannot be tuned: expected one that trains one network for all tasks, "
            "and is no control"
        )
    if method.teacher is not None:
        raise LabelweaveError(
            f"method '{name}' cannot be tuned: another method teaches it; tune another one"
        )
    return method


def default_method(config: StudyConfig, related: bool) -> str:
    """Return the method to tune where the study names none: its last coupled one.

    Args:
        config: the study's settings.
        related: whether the study has relations.
    """
    names: list[str] = []
    for name in config.method_list(related):
        method: Any = config.method(name)
        if method.kind == "joint" and not (
            method.teacher is not None or method.all_labels or method.relations != "given"
        ):
            names.append(name)
    return names[-1] if names else UNCOUPLED
