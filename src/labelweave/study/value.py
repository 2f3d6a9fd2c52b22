"""What joining is worth: labels and money saved, running cost, what to label, what to decide."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.evaluation import Replicates, main_metric
from labelweave.files import write_text
from labelweave.model import Model
from labelweave.relations import Origin, Relatedness, order_tasks
from labelweave.remarks import plain
from labelweave.report import best_coupled_arm, recommended_arm
from labelweave.study.arms import BASELINE
from labelweave.study.config import StudyConfig
from labelweave.study.curves import Point, TaskCurve, curve_folds, curve_to_dict, task_curve
from labelweave.study.decision import decide
from labelweave.study.fold import Fold
from labelweave.study.label_plan import ROWS_FILE, rows_to_label, task_plan, write_rows
from labelweave.study.loading import StudyData
from labelweave.study.money import money
from labelweave.study.planning import plan_run
from labelweave.study.pool import train_runs
from labelweave.study.results import replicates_of
from labelweave.study.running_cost import measure_costs
from labelweave.study.runs import Run
from labelweave.study.tracking import Tracking

COSTS_FILE = "costs.json"
Runs = Mapping[str, Sequence[Run]]


def check_value(config: StudyConfig, arms: Sequence[str], tasks: Sequence[str]) -> None:
    """Raise `LabelweaveError` for an arm or a task that value sections name and a study lacks."""
    section, prices = config.label_curves, config.prices
    asked = section.arm if section else None
    if asked is not None and asked not in arms:
        raise LabelweaveError(
            f"key 'label_curves.arm': arm '{asked}' is not compared, expected {listing(arms, 9)}"
            f"{nearest(asked, arms)}"
        )
    for name in prices.label if prices else ():
        if name not in tasks:
            raise LabelweaveError(
                f"key 'prices.label': no task '{name}', expected {listing(tasks)}"
                f"{nearest(name, tasks)}"
            )


def joint_arm(config: StudyConfig, results: Mapping[str, Any]) -> str | None:
    """Return the arm to hold against single-task networks, None where there is none.

    The one that the study file names, or the recommended one; where that is the baseline, the best
    of the others.
    """
    section = config.label_curves
    asked = section.arm if section else None
    if asked is not None:
        return asked if asked in results["arms"] else None
    chosen = recommended_arm(results)
    return chosen if chosen != BASELINE else best_coupled_arm(results)


def add_value(
    results: dict[str, Any],
    config: StudyConfig,
    data: StudyData,
    folds: Mapping[str, Sequence[Fold]],
    runs: Runs,
    output: Path,
    jobs: int | None,
    progress: bool,
    tracking: Tracking,
) -> None:
    """Add to a study's results what joining is worth; write ``label_next.csv`` and ``costs.json``.

    Trains the label curves' runs that are not there yet. Without a baseline or a joint arm nothing
    is added.

    Args:
        results: of the study; label curves, costs, money, label plan and decision are added.
        config: the study's settings.
        data: its data.
        folds: by arm the data that it was trained on, one a seed.
        runs: by arm its finished runs, in the same order.
        output: the study's folder.
        jobs: processes side by side; None = one a core.
        progress: show a bar when on a terminal.
        tracking: told of the label curves' runs.
    """
    arm = joint_arm(config, results)
    if arm is None or BASELINE not in runs:
        return
    level = config.statistics.level
    joint, single = (
        {task.name: replicates_of(task, runs[each], folds[each], config) for task in data.tasks}
        for each in (arm, BASELINE)
    )
    pairs = [(joint[n], single[n]) for n in joint if _has_data(joint[n]) and _has_data(single[n])]
    curves: dict[str, TaskCurve] = {}
    if config.label_curves:
        points = _points(config, folds[BASELINE], single, output, results, jobs, progress, tracking)
        curves = {j.task.name: task_curve(points[j.task.name], j) for j, _ in pairs}
        results["label_curves"] = {
            name: curve_to_dict(found, arm, config) for name, found in curves.items()
        }
    costs = _costs(config, arm, folds, runs, output)
    results["costs"] |= costs or {}
    results["money"] = money(config.prices, curves, costs, level)
    results["label_plan"] = _label_plan(config, data, folds[arm][0], runs[arm][0], curves, output)
    results["decision"] = decide(results, arm, pairs, curves, level)


def next_task(related: Mapping[Origin, Sequence[Relatedness]]) -> dict[str, Any] | None:
    """Return with which tasks to start and which to add then, None where nothing is known.

    From the first seed, and the widest evidence there is.
    """
    origins: tuple[Origin, ...] = ("all", "predictions", "annotations", "knowledge")
    found = next((related[origin][0] for origin in origins if related.get(origin)), None)
    if found is None:
        return None
    start = found.proposal.tasks
    order = order_tasks(found.ranking, start) if start else []
    return {
        "start": list(start),
        "why": found.proposal.reason,
        "order": [{"task": each.task, "adds": each.reason} for each in order if each.gain > 0],
    }


def _has_data(found: Replicates) -> bool:
    return not np.isnan(found.values[main_metric(found.task)]).any()


def _points(
    config: StudyConfig,
    folds: Sequence[Fold],
    now: Mapping[str, Replicates],
    output: Path,
    results: dict[str, Any],
    jobs: int | None,
    progress: bool,
    tracking: Tracking,
) -> dict[str, list[Point]]:
    """Train the runs of the label curves and return by task the measured points."""
    assert config.label_curves
    section = config.label_curves
    wanted = [each for fold in folds[: section.seeds] for each in curve_folds(fold, section.shares)]
    runs = [
        plan_run(BASELINE, each.fold, each.fold.fingerprint(), config, output) for each in wanted
    ]
    thinned = [each.fold for each in wanted]
    results["failures"] += train_runs(
        {BASELINE: runs}, {BASELINE: thinned}, config, jobs, progress, tracking
    )
    points = {}
    for name, measured in now.items():
        has = [int(fold.train.annotations.labelled(name).sum()) for fold in folds]
        points[name] = [Point(float(np.mean(has)), 1.0, measured)]
        for share in sorted({each.share for each in wanted}):
            at = [
                i
                for i, each in enumerate(wanted)
                if each.share == share and name in each.labels and runs[i].done
            ]
            if len(at) < min(section.seeds, len(folds)):  # some seed has no such point
                continue
            found = replicates_of(
                measured.task, [runs[i] for i in at], [thinned[i] for i in at], config
            )
            labels = float(np.mean([wanted[i].labels[name] for i in at]))
            if _has_data(found) and labels not in [point.labels for point in points[name]]:
                points[name].append(Point(labels, share, found))
    return points


def _costs(
    config: StudyConfig, arm: str, folds: Mapping[str, Sequence[Fold]], runs: Runs, output: Path
) -> dict[str, Any] | None:
    """Return what the first seed's models cost; measured once, and again when they change."""
    joint, single = runs[arm][0], runs[BASELINE][0]
    inputs = folds[arm][0].test.inputs
    models = joint.folder / "model", single.folder / "model"
    if not len(inputs) or not all((model / "model.json").exists() for model in models):
        return None
    made_of, path = [run.key for each in (arm, BASELINE) for run in runs[each]], output / COSTS_FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["runs"] == made_of:
            found: dict[str, Any] = kept["costs"]
            return found
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    spec = config.arm(arm)
    needs = [spec.base, BASELINE if spec.distils else None]
    before = [each for each in needs if each is not None and each in runs]
    seconds = {
        each: float(np.mean([run.record()["seconds"] for run in runs[each]]))
        for each in (arm, BASELINE, *before)
    }
    trained = seconds[arm] + sum(seconds[each] for each in before), seconds[BASELINE]
    found = plain(measure_costs(models[0], models[1], inputs, trained))
    write_text(path, json.dumps({"runs": made_of, "costs": found}, indent=1))
    return found


def _label_plan(
    config: StudyConfig,
    data: StudyData,
    fold: Fold,
    run: Run,
    curves: Mapping[str, TaskCurve],
    output: Path,
) -> dict[str, Any]:
    tasks = task_plan(curves, config.prices, config.statistics.level)
    plan = {"tasks": tasks, "rows_file": None, "rows": 0}
    if not config.label_next or not (run.folder / "model" / "model.json").exists():
        return plan
    wanted = {task.name: 1.0 for task in data.tasks}
    if tasks:
        priced = all(task["gain_per_price"] is not None for task in tasks)
        wanted = {
            task["task"]: task["gain_per_price"] if priced else task["gain_per_100"]["mean"]
            for task in tasks
        }
    model = Model.load(run.folder / "model")
    given = model.under_prior(model.probabilities(fold.train.inputs))
    features = model.features(fold.train.inputs)
    rows = rows_to_label(fold, given, features, data.collection, wanted, config.label_next)
    write_rows(rows, output)
    return plan | {"rows_file": ROWS_FILE, "rows": len(rows)}
