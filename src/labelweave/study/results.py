"""From the runs of a study to its results: metrics, paired differences and verdicts."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from pydantic import BaseModel

import labelweave
from labelweave.evaluation import (
    HIGHER_IS_BETTER,
    Estimate,
    Replicates,
    TestResult,
    holm,
    main_metric,
    metric_names,
    verdict,
)
from labelweave.priors import assumed_prior
from labelweave.relations import relation_to_dict
from labelweave.report import recommended_arm
from labelweave.study.arms import BASELINE, UNCOUPLED
from labelweave.study.calibration import calibration
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.left_behind import left_behind
from labelweave.study.notes import notes
from labelweave.study.runs import Run
from labelweave.tasks import Task

PACKAGES = ("torch", "lightning-fabric", "numpy", "pandas", "scikit-learn")


def collect(
    config: StudyConfig,
    folds: Sequence[Fold],
    runs: Mapping[str, Sequence[Run]],
    failures: Sequence[Mapping[str, Any]],
    command: str,
) -> dict[str, Any]:
    """Return the results of a study, JSON-able, in the form that the report takes.

    Args:
        config: the study's settings.
        folds: one fold a seed.
        runs: per arm its runs that ended well, in the order of `folds`; an arm that failed on some
            seed is left out.
        failures: what went wrong: arm, seed, error.
        command: how to reproduce the results.
    """
    tasks = folds[0].train.annotations.tasks
    replicates = {
        arm: {task.name: replicates_of(task, list(of_arm), folds, config) for task in tasks}
        for arm, of_arm in runs.items()
    }
    level = config.statistics.level
    summaries = {
        arm: {
            name: {metric: _row(e) for metric, e in r.summary(level).items()}
            for name, r in by_task.items()
        }
        for arm, by_task in replicates.items()
    }
    differences, verdicts = _against_baseline(tasks, replicates, level)
    results = {
        "study": config.name,
        "labelweave": labelweave.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seeds": [fold.seed for fold in folds],
        "baseline": BASELINE,
        "tasks": [
            {
                "name": task.name,
                "kind": task.kind,
                "names": list(task.names),
                "main_metric": main_metric(task),
            }
            for task in tasks
        ],
        "arm_titles": {arm: config.arm(arm).title for arm in runs},
        "arms": summaries,
        "differences": differences,
        "verdicts": verdicts,
        "prior": assumed_prior(config.label_shift.prediction, tasks).remark(),
        "coverage": folds[0].coverage().to_dict(),
        "relations": [relation_to_dict(relation) for relation in folds[0].relations],
        "runs": [
            {"arm": run.arm, "seed": run.seed, "key": run.key, "folder": run.folder.name}
            for of_arm in runs.values()
            for run in of_arm
        ],
        "curves": {arm: curve for arm, of_arm in runs.items() if (curve := _curve(of_arm))},
        "left_behind": left_behind(runs),
        "costs": {arm: _costs(of_arm) for arm, of_arm in runs.items()},
        "splits": {
            side: round(float(np.mean([len(getattr(fold, side).index) for fold in folds])))
            for side in ("train", "validation", "test")
        },
        "settings": _settings(config.model_copy(update={"tracking": []})),
        "environment": environment(),
        "notes": notes(folds),
        "failures": list(failures),
        "command": command,
    }
    shown = dict.fromkeys((BASELINE, UNCOUPLED, recommended_arm(results)))
    of_shown = {arm: runs[arm] for arm in shown if arm in runs}
    return results | {"calibration": calibration(tasks, of_shown, folds, level)}


def _settings(value: Any) -> Any:
    """Return a section as the study file would say it, without keys that say nothing.

    An option of a coupling that is null says something, and stays.
    """
    if isinstance(value, list):
        return [_settings(entry) for entry in value]
    if not isinstance(value, BaseModel):
        return value
    fields = type(value).model_fields.items()
    told = {field.alias or name: getattr(value, name) for name, field in fields}
    return {name: _settings(entry) for name, entry in told.items() if entry is not None}


def environment() -> dict[str, str]:
    """Return the versions that results depend on; nothing that names a person or a machine."""
    packages = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "system": platform.system(), **packages}


def replicates_of(
    task: Task, runs: Sequence[Run], folds: Sequence[Fold], config: StudyConfig
) -> Replicates:
    """Return the metrics of finished runs on the test rows of their folds."""
    results = [
        TestResult(
            run.predictions()[task.name],
            fold.test.annotations.labels[task.name],
            run.record()["thresholds"].get(task.name),
            fold.test.groups,
        )
        for run, fold in zip(runs, folds, strict=True)
    ]
    return Replicates(task, results, config.statistics.replicates)


def _row(estimate: Estimate) -> dict[str, Any]:
    # lists, as they come back from JSON
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(estimate).items()
    }


def _against_baseline(
    tasks: Sequence[Task], replicates: Mapping[str, Mapping[str, Replicates]], level: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return differences and verdicts of every arm; p-values are adjusted over the tasks."""
    differences: dict[str, Any] = {}
    verdicts: dict[str, Any] = {}
    baseline = replicates.get(BASELINE)
    if baseline is None:
        return differences, verdicts
    for arm, by_task in replicates.items():
        if arm == BASELINE:
            continue
        found = {
            name: r.difference(baseline[name], level, len(tasks)) for name, r in by_task.items()
        }
        metrics = {metric for task in tasks for metric in metric_names(task)}
        adjusted = {
            metric: holm({n: d[metric].p_value for n, d in found.items() if metric in d})
            for metric in metrics
        }
        differences[arm] = {
            name: {
                metric: {**_row(d), "p": d.p_value, "p_adjusted": adjusted[metric].get(name)}
                for metric, d in by_metric.items()
            }
            for name, by_metric in found.items()
        }
        verdicts[arm] = {
            task.name: verdict(
                found[task.name][main_metric(task)],
                adjusted[main_metric(task)].get(task.name),
                lower_is_better=not HIGHER_IS_BETTER[main_metric(task)],
                level=level,
            )
            for task in tasks
        }
    return differences, verdicts


def _curve(runs: Sequence[Run]) -> dict[str, Any] | None:
    curves = [curve for run in runs if (curve := run.record()["curve"])]
    if not curves:
        return None
    # early stopping ends seeds at different steps
    length = min(len(curve["step"]) for curve in curves)
    # nor do the estimated relations of all seeds couple the same tasks
    names = dict.fromkeys(name for curve in curves for name in curve["terms"])
    found = {
        name: [curve["terms"][name][:length] for curve in curves if name in curve["terms"]]
        for name in names
    }
    terms = {name: np.mean(values, axis=0).tolist() for name, values in found.items()}
    return {"step": curves[0]["step"][:length], "terms": terms}


def _costs(runs: Sequence[Run]) -> dict[str, Any]:
    records = [run.record() for run in runs]
    return {
        "seconds": float(np.mean([record["seconds"] for record in records])),
        "parameters": records[0]["parameters"],
        "networks": records[0]["networks"],
    }
