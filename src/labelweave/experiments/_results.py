"""From the runs of a study to its results: metrics, paired differences and verdicts."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from scipy.special import stdtrit

import labelweave
from labelweave.class_priors import assumed_prior
from labelweave.evaluation import (
    Difference,
    Estimate,
    TestResult,
    recommend,
    reliability,
    verdict,
)
from labelweave.evaluation._calibration import confidences
from labelweave.evaluation._comparison import Replicates
from labelweave.evaluation._metrics import HIGHER_IS_BETTER
from labelweave.experiments._checking import notes
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._runs import Run
from labelweave.fitting._methods import UNCOUPLED
from labelweave.fitting._split import Split
from labelweave.relations import Relatedness
from labelweave.relations._graph import order_tasks
from labelweave.relations._relate import Origin
from labelweave.relations._relatedness import relation_table
from labelweave.results import (
    AddedTask,
    Cell,
    Cells,
    Failure,
    LabelCounts,
    LossTerms,
    MethodCosts,
    MethodLearning,
    ReliabilityBin,
    Results,
    RunFacts,
    TaskCalibration,
    TaskFacts,
    TaskLearning,
    TaskOrder,
    Word,
    decision_baseline,
)
from labelweave.tasks import Task


def calibration(
    tasks: Sequence[Task],
    runs: Mapping[str, Sequence[Run]],
    splits: Sequence[Split],
    level: float,
) -> dict[str, dict[str, TaskCalibration]]:
    """Return per method and task the expected calibration error, and the bins of its diagram.

    The error is the mean of the seeds' errors with Student's t interval over them (null for one
    seed); the bins hold the elements of all seeds. A task without test labels is left out.

    Args:
        tasks: the tasks.
        runs: per method its runs, in the order of `splits`.
        splits: one split a seed.
        level: coverage of the intervals.
    """
    found: dict[str, dict[str, TaskCalibration]] = {}
    for method, of_method in runs.items():
        predictions = [run.predictions() for run in of_method]
        for task in tasks:
            by_seed = [
                confidences(task, predicted[task.name], split.test.annotations.labels[task.name])
                for predicted, split in zip(predictions, splits, strict=True)
            ]
            errors = [e for pair in by_seed if (e := reliability(*pair).ece) is not None]
            if errors:
                confidence, right = (np.concatenate(part) for part in zip(*by_seed, strict=True))
                pooled = reliability(confidence, right)
                bins = tuple(ReliabilityBin(*each) for each in pooled.bins)
                found.setdefault(method, {})[task.name] = TaskCalibration(_ece(errors, level), bins)
    return found


def _ece(values: Sequence[float], level: float) -> Cell:
    mean, size = float(np.mean(values)), len(values)
    if size == 1:
        return Cell(mean, seeds=size)
    t = abs(float(stdtrit(size - 1, (1 - level) / 2)))
    reach = t * float(np.std(values, ddof=1)) / size**0.5
    return Cell(mean, max(0.0, mean - reach), min(1.0, mean + reach), seeds=size)


STARVED = 0.2  # of an even share of the gradient
SLOW = 1.3  # times the mean inverse training rate
LEARNT = 0.9  # share of a constant predictor's loss that is gone: nothing is left to be learnt
UNDERFIT = 0.1  # share that is gone at the end, or less
OVERFIT = 0.1  # of score, lost from training to validation rows
LATE = 0.6  # share of the training before half of the way is done
CONFLICT = -0.2  # mean cosine of two tasks' gradients


def learning(runs: Mapping[str, Sequence[Run]]) -> dict[str, MethodLearning]:
    """Return by joint method how its runs learnt each task, means over the seeds.

    Args:
        runs: per method its finished runs.
    """
    found = {}
    for method, of_method in runs.items():
        records = [run.record().get("diagnostics") for run in of_method]
        known = [record for record in records if record]  # only joint methods have some
        if known:
            found[method] = _learning(known)
    return found


def _learning(records: Sequence[Mapping[str, Any]]) -> MethodLearning:
    names = list(records[0]["fits"])
    cosine = _mean([(record["gradients"] or {}).get("cosine") for record in records])
    tasks = {name: _task_learning(name, records) for name in names}
    for i, (name, facts) in enumerate(tasks.items()):
        others = [] if cosine is None else [(c, j) for j, c in enumerate(cosine[i]) if j != i]
        worst = min(((c, j) for c, j in others if c is not None), default=None)
        found = state(facts, len(names), None if worst is None else worst[0])
        tasks[name] = replace(facts, state=found)
        if worst is not None and found == "conflict":
            tasks[name] = replace(facts, state=found, other=names[worst[1]], cosine=worst[0])
    return MethodLearning(tasks, None if cosine is None else tuple(map(tuple, cosine)))


def _task_learning(name: str, records: Sequence[Mapping[str, Any]]) -> TaskLearning:
    fits = [record["fits"][name] for record in records]
    speeds = [record["speeds"].get(name) or {} for record in records]
    shares = [((record["gradients"] or {}).get("share") or {}).get(name) for record in records]
    rarest = min(fits, key=lambda fit: fit["rarest_labels"])
    sides = ("train", "validation")
    gone = {side: _mean([_gone(fit[side]) for fit in fits]) for side in sides}
    scores = {
        f"{side}_score": _mean([(fit[side] or {}).get("score") for fit in fits]) for side in sides
    }
    return TaskLearning(
        labels=round(float(np.mean([fit["labels"] for fit in fits]))),
        rarest=rarest["rarest"],
        rarest_labels=rarest["rarest_labels"],
        share=_mean(shares),
        rate=_mean([speed.get("rate") for speed in speeds]),
        half=_mean([speed.get("half") for speed in speeds]),
        **gone,
        **scores,
    )


def state(facts: TaskLearning, tasks: int, cosine: float | None = None) -> str:
    """Return what is wrong with how a task was learnt, in one word; the first that fits.

    - ``overfit``: validation rows score .1 below training rows, or are predicted worse than by the
      constant predictor.
    - ``starved``: less than a fifth of an even share of the gradient, though not all is learnt.
    - ``underfit``: at the end less than a tenth of a constant predictor's loss is gone.
    - ``slow``: half of the way is done only after .6 of the training, or the loss falls 1.3 times
      less than the mean, though not all is learnt.
    - ``conflict``: its gradient points away from another task's, though not all is learnt.
    - ``fine``: none of these.

    Args:
        facts: of the task.
        tasks: number of tasks.
        cosine: the smallest cosine with another task.
    """
    train, validation = facts.train, facts.validation
    before, after = facts.train_score, facts.validation_score
    unlearnt = train is not None and train < LEARNT
    if validation is not None and validation < 0 < (train or 0):
        return "overfit"
    if before is not None and after is not None and before - after > OVERFIT:
        return "overfit"
    if unlearnt and facts.share is not None and facts.share < STARVED / tasks:
        return "starved"
    if train is not None and train < UNDERFIT:
        return "underfit"
    late = facts.half is not None and facts.half > LATE
    if unlearnt and (late or (facts.rate is not None and facts.rate > SLOW)):
        return "slow"
    if unlearnt and cosine is not None and cosine < CONFLICT:
        return "conflict"
    return "fine"


def _gone(side: Mapping[str, float] | None) -> float | None:
    """Return the share of a constant predictor's loss that is gone; below 0 = worse than that."""
    if side is None or side["constant"] <= 0:
        return None
    return 1 - side["loss"] / side["constant"]


def _mean(values: Sequence[Any]) -> Any:
    """Return the mean of those that are there, entry by entry; None where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if isinstance(known[0], list):
        return [_mean(entries) for entries in zip(*known, strict=True)]
    return float(np.mean(known))


PACKAGES = ("torch", "lightning-fabric", "numpy", "pandas", "scikit-learn")


def collect(
    config: StudyConfig,
    splits: Sequence[Split],
    runs: Mapping[str, Sequence[Run]],
    failures: Sequence[Mapping[str, Any]],
    related: Mapping[Origin, Sequence[Relatedness]],
    command: str,
    held_out: Mapping[str, NDArray[np.float64]] | None = None,
) -> Results:
    """Return the results of a study, with the recommendation that follows from them.

    Args:
        config: the study's settings.
        splits: one split a seed.
        runs: per method its runs that ended well, in the order of `splits`; a method that failed on
            some seed is left out.
        failures: what went wrong: method, seed, error.
        related: by origin the estimated relations, one a seed.
        command: how to reproduce the results.
        held_out: by method the scores of training rows that were held out; None = not known.
    """
    tasks = splits[0].train.annotations.tasks
    replicates = {
        method: {task.name: replicates_of(task, list(of_method), splits, config) for task in tasks}
        for method, of_method in runs.items()
    }
    metrics = {name: of.main_metric for name, of in next(iter(replicates.values())).items()}
    level = config.statistics.level
    summaries = {method: summarised(by_task, level) for method, by_task in replicates.items()}
    baseline = decision_baseline(runs)
    differences, verdicts = against(baseline, tasks, replicates, level)
    curves = {method: _curve(of_method) for method, of_method in runs.items()}
    results = Results(
        study=config.name,
        labelweave=labelweave.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seeds=tuple(split.seed for split in splits),
        baseline=baseline,
        tasks=tuple(
            TaskFacts(task.name, metrics[task.name], task.kind, tuple(task.names)) for task in tasks
        ),
        method_titles={method: config.method(method).title for method in runs},
        methods=summaries,
        differences=differences,
        verdicts=verdicts,
        prior=assumed_prior(config.label_shift.prediction, tasks).message(),
        coverage=_counts(splits[0]),
        relations=tuple(relation_table(relation) for relation in splits[0].relations),
        relatedness={
            origin: by_seed[0].summary() for origin, by_seed in related.items() if by_seed
        },
        task_order=task_order(related),
        runs=tuple(
            RunFacts(run.method, run.seed, run.key, run.folder.name)
            for of_method in runs.values()
            for run in of_method
        ),
        curves={method: curve for method, curve in curves.items() if curve},
        learning=learning(runs),
        costs={method: _costs(of_method) for method, of_method in runs.items()},
        splits={
            side: round(float(np.mean([len(getattr(split, side).index) for split in splits])))
            for side in ("train", "validation", "test")
        },
        settings=_settings(config.model_copy(update={"tracking": []})),
        environment=environment(),
        notes=tuple(notes(splits)),
        failures=tuple(Failure(f["method"], f["seed"], f["error"]) for f in failures),
        command=command,
    )
    found = recommend(results, held_out)
    shown = dict.fromkeys((baseline, UNCOUPLED, found.method))
    of_shown = {method: runs[method] for method in shown if method in runs}
    return replace(
        results,
        recommendation=found,
        calibration=calibration(tasks, of_shown, splits, level),
    )


def _counts(split: Split) -> LabelCounts:
    found = split.coverage().to_dict()
    return LabelCounts(
        tuple(found["sources"]), tuple(found["tasks"]), found["rows"], found["labelled"],
        found["per_class"], tuple(tuple(row) for row in found["co_labelled"]),
    )  # fmt: skip


def task_order(related: Mapping[Origin, Sequence[Relatedness]]) -> TaskOrder | None:
    """Return with which tasks to start and which to add then, None where nothing is known.

    From the first seed, and the widest evidence there is.
    """
    origins: tuple[Origin, ...] = ("all", "predictions", "annotations", "knowledge")
    found = next((related[origin][0] for origin in origins if related.get(origin)), None)
    if found is None:
        return None
    start = found.proposal.tasks
    order = order_tasks(found.ranking, start) if start else []
    then = tuple(AddedTask(each.task, each.reason) for each in order if each.gain > 0)
    return TaskOrder(start, found.proposal.reason, then)


def _settings(value: Any) -> Any:
    """Return a section as the study file would say it, without keys that say nothing.

    An option of a coupling that is null says something, and stays.
    """
    if isinstance(value, list):
        return [_settings(entry) for entry in value]
    if not isinstance(value, BaseModel):
        return value
    fields = type(value).model_fields.items()
    settings = {field.alias or name: getattr(value, name) for name, field in fields}
    return {name: _settings(entry) for name, entry in settings.items() if entry is not None}


def environment() -> dict[str, str]:
    """Return the versions that results depend on; nothing that names a person or a machine."""
    packages = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "system": platform.system(), **packages}


def replicates_of(
    task: Task, runs: Sequence[Run], splits: Sequence[Split], config: StudyConfig
) -> Replicates:
    """Return the metrics of finished runs on the test rows of their splits."""
    results, folds = tested(task, runs, splits), config.split.folds
    return Replicates(task, results, config.statistics.replicates, folds=folds)


def tested(task: Task, runs: Sequence[Run], splits: Sequence[Split]) -> list[TestResult]:
    """Return what finished runs predict for the test rows of their splits."""
    return [
        TestResult(
            run.predictions()[task.name],
            split.test.annotations.labels[task.name],
            run.record()["thresholds"].get(task.name),
            split.test.groups,
        )
        for run, split in zip(runs, splits, strict=True)
    ]


def summarised(by_task: Mapping[str, Replicates], level: float) -> dict[str, dict[str, Cell]]:
    """Return by task and metric a method's cells."""
    return {
        name: {metric: _cell(e) for metric, e in r.summary(level).items()}
        for name, r in by_task.items()
    }


def _cell(found: Estimate) -> Cell:
    cell = Cell(found.mean, found.low, found.high, found.n, found.seeds, found.values, found.counts)
    if not isinstance(found, Difference):
        return cell
    return replace(
        cell, raw_low=found.raw_low, raw_high=found.raw_high, p=found.p_value,
        p_adjusted=found.p_adjusted, detectable=found.detectable, effect=found.effect,
    )  # fmt: skip


def against(
    baseline: str,
    tasks: Sequence[Task],
    replicates: Mapping[str, Mapping[str, Replicates]],
    level: float,
) -> tuple[Cells, dict[str, dict[str, Word | None]]]:
    """Return differences and verdicts of every method against the baseline.

    The intervals of a method hold together over the tasks that have test labels. Without runs of
    the baseline both are empty.
    """
    differences: dict[str, dict[str, dict[str, Cell]]] = {}
    verdicts: dict[str, dict[str, Word | None]] = {}
    other = replicates.get(baseline)
    if other is None:
        return differences, verdicts
    tests = max(1, sum(any(measured.counts) for measured in other.values()))
    for method, by_task in replicates.items():
        if method == baseline:
            continue
        found = {name: r.difference(other[name], level, tests) for name, r in by_task.items()}
        differences[method] = {
            name: {metric: _cell(d) for metric, d in by_metric.items()}
            for name, by_metric in found.items()
        }
        verdicts[method] = {
            task.name: verdict(
                found[task.name][other[task.name].main_metric],
                lower_is_better=not HIGHER_IS_BETTER[other[task.name].main_metric],
            )
            for task in tasks
        }
    return differences, verdicts


def _curve(runs: Sequence[Run]) -> LossTerms | None:
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
    terms = {name: tuple(np.mean(values, axis=0).tolist()) for name, values in found.items()}
    return LossTerms(tuple(curves[0]["step"][:length]), terms)


def _costs(runs: Sequence[Run]) -> MethodCosts:
    records = [run.record() for run in runs]
    seconds = float(np.mean([record["seconds"] for record in records]))
    return MethodCosts(seconds, records[0]["parameters"], records[0]["networks"])
