"""The search: trials at the same time, until there are enough or the time is over."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from labelweave._files import LARGEST_TEXT, read_text, write_csv, write_text
from labelweave._progress import runs_bar
from labelweave._search_space import Range
from labelweave._yaml import parse_yaml
from labelweave.errors import LabelweaveError, TrainingError
from labelweave.experiments._config import parse_study
from labelweave.experiments._engines import Engine, Plan, engine_of
from labelweave.experiments._study import Study
from labelweave.experiments._tuning_space import current, searched, with_settings
from labelweave.experiments._tuning_trials import (
    Job,
    Scores,
    ValidationStudy,
    default_method,
    open_search,
    pruner,
    run_trial,
    scores,
    stored,
)
from labelweave.fitting._split import Split

if TYPE_CHECKING:
    import optuna


def pareto_front(points: Mapping[int, Mapping[str, float]]) -> list[int]:
    """Return the numbers of the points that no other dominates, in order; of equal ones the first.

    Args:
        points: number to the gain of every task, higher is better.
    """
    front: list[int] = []
    for number, point in points.items():
        others = [other for key, other in points.items() if key != number]
        equal = any(dict(points[kept]) == dict(point) for kept in front)
        if not equal and not any(dominates(other, point) for other in others):
            front.append(number)
    return front


def dominates(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """Return whether `a` is better than `b` on some task and worse on none."""
    differences = np.array([a[name] - b[name] for name in b])
    return bool((differences >= 0).all() and (differences > 0).any())


def tune(
    study: Study,
    *,
    trials: int | None = None,
    timeout: float | None = None,
    workers: int | None = None,
    engine: Engine | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Search a study's settings on its validation rows; what was tried before is not tried again.

    Args:
        study: the study.
        trials: number of trials, those of earlier calls included; None = as the study says.
        timeout: seconds after which no trial begins; None = no limit.
        workers: processes at the same time; None = 1.
        engine: where the trials run, instead of processes of this machine.
        progress: show a bar when on a terminal.

    Returns:
        JSON-able: ``method``, ``seeds``, ``baseline`` (per task the mean score), ``trials``
        (number, state, value, gains and settings of each), ``front`` and ``best`` (numbers of
        trials), ``settings`` of the best, ``usual`` (the study's own values of these).

    Raises:
        LabelweaveError: nothing to search, no validation rows, a method that cannot be tuned, no
            optuna, or another process has the folder.
        TrainingError: the baseline failed, or every trial did.
        WriteError: a file cannot be written.
    """
    config = study.config
    runs_on = engine_of(workers if engine or workers else 1, engine)
    method = config.tune.method or default_method(
        config, bool(study.data.known or study.data.counted)
    )
    validation = ValidationStudy(study, method)
    space = searched(config, validation.tuned)
    if not space:
        raise LabelweaveError("key 'tune.search': nothing is left to be searched")
    wanted = config.tune.trials if trials is None else trials
    deadline = None if timeout is None else time.time() + timeout
    validation.splits()  # whatever the data do not allow is found before a folder is made
    with validation.working(runs_on, progress) as context:
        name = ""
        open_search(validation.output, "check")  # optuna is there, before anything is trained
        ready = validation.prepare(context)
        baseline = [scores(run, f) for run, f in zip(ready.baseline, ready.splits, strict=True)]
        _check_scores(baseline)
        name = _name(validation, ready.splits, space)
        search = open_search(validation.output, name, pruner=pruner(config))
        own = current(config, space)
        _take_up(search, None if own is None else stored(own, space))
        job = Job(
            validation.config, method, ready.splits, baseline, space, validation.output, name,
            deadline,
        )  # fmt: skip
        _run(job, len(settled(search)), wanted, runs_on, progress)
        done = settled(search)
    return _results(study, method, validation.config.seed_list(), baseline, space, own, done)


def settled(search: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """Return the trials that ended by themselves: complete, pruned or failed."""
    states = ("COMPLETE", "PRUNED")
    return [
        trial
        for trial in search.get_trials(deepcopy=False)
        if trial.state.name in states or "error" in trial.user_attrs
    ]


def _take_up(search: "optuna.Study", own: Mapping[str, Any] | None) -> None:
    """Let the first trial be the study's own settings, and those that were interrupted go on."""
    from optuna.trial import TrialState

    if own is not None and not search.get_trials(deepcopy=False):
        search.enqueue_trial(dict(own))
    for trial in search.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # this process has the folder: nobody works on it any more
        search.tell(trial.number, state=TrialState.FAIL)
        search.enqueue_trial(trial.params)


def _run(job: Job, done: int, wanted: int, engine: Engine, progress: bool) -> None:
    given = [(job, index) for index in range(done, wanted)]
    names = [f"trial{index}-{job.name}" for _, index in given]
    plan = Plan(f"study '{job.config.name}': {{}}; {{}} trials", job.folder, names)
    with runs_bar(progress) as bar:
        title = f"{job.config.name}: trials"
        shown = bar.add_task(title, total=wanted, completed=min(done, wanted), last="")
        try:
            for _, began in engine.calls(run_trial, given, plan):
                bar.update(shown, advance=int(began))
        except TrainingError as error:
            raise TrainingError(f"tuning: {str(error).replace('--jobs', '--workers')}") from None


def _name(validation: ValidationStudy, splits: Sequence[Split], space: Mapping[str, Range]) -> str:
    """Return the name of a search: the hash of all that its trials depend on."""
    config = validation.config
    left_out = {"tune", "output", "language", "prices", "label_next", "label_tools", "statistics"}
    content = [
        config.model_dump(exclude=left_out, mode="json"),
        [split.fingerprint() for split in splits],
        {key: repr(range_) for key, range_ in space.items()},
        config.tune.penalty,
    ]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _check_scores(baseline: Sequence[Scores]) -> None:
    if not any(score is not None for of_seed in baseline for score in of_seed.values()):
        raise LabelweaveError(
            "tuning needs validation rows with labels, found no label of any task on them"
        )


def _results(
    study: Study,
    method: str,
    seeds: Sequence[int],
    baseline: Sequence[Scores],
    space: Mapping[str, Range],
    own: Mapping[str, Any] | None,
    done: Sequence["optuna.trial.FrozenTrial"],
) -> dict[str, Any]:
    complete = {t.number: t for t in done if t.state.name == "COMPLETE"}
    if not complete:
        reasons = [t.user_attrs["error"] for t in done if "error" in t.user_attrs]
        raise TrainingError(
            f"every trial failed, the first: {reasons[0]}"
            if reasons
            else "no trial came to its end in the time given; the same command goes on"
        )
    best = max(complete.values(), key=lambda trial: (trial.value or 0.0, -trial.number))
    gained: dict[int, dict[str, float]] = {n: t.user_attrs["gains"] for n, t in complete.items()}
    return {
        "study": study.config.name,
        "method": method,
        "seeds": list(seeds),
        "penalty": study.config.tune.penalty,
        "baseline": _means(baseline),
        "space": {key: str(range_) for key, range_ in space.items()},
        "trials": [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "objective": trial.value,
                "gains": trial.user_attrs.get("gains", {}),
                "settings": trial.user_attrs.get("settings", {}),
                "error": trial.user_attrs.get("error"),
            }
            for trial in done
        ],
        "front": pareto_front(gained),
        "best": best.number,
        "settings": best.user_attrs["settings"],
        "usual": dict(own or {}),
    }


def _means(baseline: Sequence[Scores]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for of_seed in baseline:
        for name, score in of_seed.items():
            if score is not None:
                found.setdefault(name, []).append(score)
    return {name: sum(values) / len(values) for name, values in found.items()}


def write_tuning(
    results: Mapping[str, Any], study_file: Path, folder: Path, *, formulas: bool = False
) -> list[Path]:
    """Write ``study.tuned.yaml`` next to the study file, ``tuning.csv`` and ``tuning.json``.

    The tuned study has the best settings and another name, so that both can be compared.

    Args:
        results: of `tune`.
        study_file: the study file.
        folder: where to write the trials.
        formulas: leave settings that start a formula as they are in the CSV file.

    Returns:
        The files.
    """
    tuned = study_file.with_name(f"{study_file.stem}.tuned{study_file.suffix}")
    content = parse_yaml(read_text(study_file, LARGEST_TEXT), study_file)
    content = with_settings(content, results["settings"]) | {"name": f"{results['study']}-tuned"}
    parse_study(content, str(tuned))
    head = (
        f"# {study_file.name} with the settings of trial {results['best']}, the best of "
        f"{len(results['trials'])} on validation rows; written by labelweave tune\n"
    )
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None)
    write_text(tuned, head + text)
    table, whole = folder / "tuning.csv", folder / "tuning.json"
    write_csv(table, _table(results), formulas=formulas)
    write_text(whole, json.dumps(results, indent=1))
    return [tuned, table, whole]


def _table(results: Mapping[str, Any]) -> pd.DataFrame:
    tasks, keys = list(results["baseline"]), list(results["space"])
    rows = [
        [
            *(trial["trial"], trial["state"], trial["objective"]),
            int(trial["trial"] in results["front"]),
            *(trial["gains"].get(name) for name in tasks),
            *(trial["settings"].get(key) for key in keys),
        ]
        for trial in results["trials"]
    ]
    columns = ["trial", "state", "objective", "front", *(f"gain {name}" for name in tasks), *keys]
    return pd.DataFrame(rows, columns=columns, dtype=object)
