"""The value of joining: labels and money saved, running cost, what to label, what to decide."""

import json
import math
import os
import platform
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit

from labelweave._files import write_text
from labelweave._messages import Message, Text
from labelweave._parsing import read_json_object
from labelweave.data import Inputs
from labelweave.evaluation._comparison import Replicates
from labelweave.evaluation._label_curves import interval, mean_draws
from labelweave.evaluation._recommendation import decision
from labelweave.experiments._active_learning import (
    ROWS_FILE,
    left_uncertain,
    row_scores,
    rows_to_label,
    task_plan,
    worth,
    write_rows,
)
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._context import StudyContext
from labelweave.experiments._executor import train_runs
from labelweave.experiments._label_curves import (
    Point,
    TaskCurve,
    curve_splits,
    mean_saved,
    shown_curve,
    task_curve,
    tasks_that_save,
    total_saved,
)
from labelweave.experiments._label_tools import inputs_of, write_label_tools
from labelweave.experiments._results import replicates_of
from labelweave.experiments._runs import Run, plan_run
from labelweave.experiments._sections import PricesSection
from labelweave.experiments._source_files import read_sources
from labelweave.fitting._split import Split
from labelweave.fitting._stack import load_model
from labelweave.model import Model
from labelweave.results import (
    NETWORKS_ALONE,
    Failure,
    Finding,
    KeyFigure,
    LabelMoney,
    LabelPlan,
    Latency,
    MeanInterval,
    ModelCosts,
    Money,
    Recommendation,
    Results,
    RunningCosts,
    RunningMoney,
    plain,
    typed,
)

SECONDS = 3600


def money(
    prices: PricesSection | None,
    curves: Mapping[str, TaskCurve],
    costs: RunningCosts | None,
    level: float,
) -> Money | None:
    """Return the money that labels and running save, None where no price applies.

    The total is over the priced tasks on which a saving is shown (`total_saved`).

    Args:
        prices: of the study file.
        curves: by task its label curve.
        costs: as `measure_costs` returns them.
        level: that of the intervals.
    """
    if prices is None:
        return None
    priced = {name: price for name, price in prices.label.items() if name in curves}
    running = _running(prices, costs)
    if not priced and running is None:
        return None
    return Money(
        currency=prices.currency,
        labels={
            name: LabelMoney(price, mean_saved(price * curves[name].saved, level))
            for name, price in priced.items()
        },
        total=total_saved(curves, priced, level),
        running=running,
    )


def _running(prices: PricesSection, costs: RunningCosts | None) -> RunningMoney | None:
    hour, load = prices.hour, prices.predictions_a_year
    if costs is None or hour is None or load is None:
        return None
    if costs.ratio["throughput"].mean is None:  # the measurement contradicts itself
        return None
    rates = costs.joint.rows_per_second, costs.single.rows_per_second
    joint, single = (load / rate / SECONDS * hour if rate else 0.0 for rate in rates)
    return RunningMoney(
        joint=joint,
        single=single,
        saved=single - joint,
        unit="a year",
        assumption=Message(
            "assumption.cost_load", {"load": load, "hour": hour, "currency": prices.currency}
        ),
    )


BATCHES = (1, 256)
CALLS = {1: 240, 256: 64}
WARM_UP = 5
QUIET = 10  # percent: the quantile of times that other work on the machine disturbs least
BLOCKS = 8  # of successive calls; their ratios give the interval
VAGUE = 1.5  # an interval whose ends differ more than this from the mean is no measurement
SLACK = 1.2  # a larger batch may be measured as so much faster
MB = 1e6
ASSUMPTIONS = ("one_thread", "of_memory", "of_disk", "of_rows", "of_training")  # of `costs`


def measure_costs(
    joint: Path, single: Path, inputs: Inputs, seconds: tuple[float, float]
) -> RunningCosts:
    """Return what both models cost at prediction.

    Args:
        joint: folder of the joint model.
        single: folder of the single-task networks; both models take turns, call by call.
        inputs: encoded rows to predict, at least one.
        seconds: of training, joint and single.
    """
    models = Model.load(joint), Model.load(single)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        times = {size: _times(models, _batch(inputs, size), CALLS[size]) for size in BATCHES}
    finally:
        torch.set_num_threads(threads)
    folders = (joint, single)
    found = [
        _model_costs(
            models[i], folders[i], {size: times[size][i] for size in BATCHES}, inputs, seconds[i]
        )
        for i in range(2)
    ]
    timed = {f"latency_{size}": ratio_of_times(times[size]) for size in BATCHES}
    if not consistent(times):
        timed = dict.fromkeys(timed, MeanInterval())
    return RunningCosts(
        joint=found[0],
        single=found[1],
        ratio={
            **timed,
            "throughput": _inverse(timed[f"latency_{max(BATCHES)}"]),
            "memory": _ratio(found, lambda c: c.memory_mb),
            "disk": _ratio(found, lambda c: c.disk_mb),
            "training": _ratio(found, lambda c: c.training_seconds),
        },
        machine=machine(),
        assumptions=tuple(Message(f"costs.{each}") for each in ASSUMPTIONS),
    )


def ratio_of_times(times: NDArray[np.float64], level: float = 0.95) -> MeanInterval:
    """Return how the times of two models that took turns compare, the first over the second.

    Of each block of successive calls the quiet times (10 % quantile) are compared. Student's t over
    the blocks gives the interval of the mean logarithm. Empty where the interval is too wide.

    Args:
        times: milliseconds of every call, (2, calls).
        level: coverage of the interval.
    """
    quiet = [np.percentile(block, QUIET, axis=1) for block in np.array_split(times, BLOCKS, axis=1)]
    logs = np.log([joint / single for joint, single in quiet])
    t = abs(float(stdtrit(len(logs) - 1, (1 - level) / 2)))
    mean, reach = float(logs.mean()), t * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    if reach > math.log(VAGUE):
        return MeanInterval()
    return MeanInterval(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))


def consistent(times: Mapping[int, NDArray[np.float64]]) -> bool:
    """Return whether no model predicts a large batch faster than a small one.

    Args:
        times: by rows of a batch the milliseconds of every call, (models, calls).
    """
    quiet = [np.percentile(times[size], QUIET, axis=1) for size in sorted(times)]
    return all(bool((small <= SLACK * large).all()) for small, large in pairwise(quiet))


def _inverse(found: MeanInterval) -> MeanInterval:
    mean, low, high = (1 / end if end else None for end in (found.mean, found.high, found.low))
    return MeanInterval(mean, low, high)


def machine() -> Message:
    """Return the number of cores and the processor's model, nothing that names a machine."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    except OSError:
        pass
    cores = os.cpu_count() or 1
    return Message("costs.machine", {"n": cores, "model": model})


def _batch(inputs: Inputs, size: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(inputs[np.resize(np.arange(len(inputs)), size)])


def _times(models: Sequence[Model], batch: NDArray[np.float32], calls: int) -> NDArray[np.float64]:
    """Return the milliseconds of every call, (models, calls)."""
    found = np.empty((len(models), calls))
    for call in range(-WARM_UP, calls):
        for number, model in enumerate(models):
            started = time.perf_counter()
            model.probabilities(batch)
            if call >= 0:
                found[number, call] = 1000 * (time.perf_counter() - started)
    return found


def _model_costs(
    model: Model,
    folder: Path,
    times: dict[int, NDArray[np.float64]],
    inputs: Inputs,
    seconds: float,
) -> ModelCosts:
    tensors = [t for network in model.networks for t in network.state_dict().values()]
    latency = {
        str(size): Latency(*(float(each) for each in np.percentile(taken, (QUIET, 50, 95))))
        for size, taken in times.items()
    }
    quiet = float(np.percentile(times[max(BATCHES)], QUIET))
    layers = _largest_layer(model, _batch(inputs, max(BATCHES)))
    return ModelCosts(
        networks=len(model.networks),
        parameters=sum(p.numel() for network in model.networks for p in network.parameters()),
        disk_mb=sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / MB,
        memory_mb=(sum(t.numel() * t.element_size() for t in tensors) + layers) / MB,
        latency_ms=latency,
        rows_per_second=1000 * max(BATCHES) / quiet,
        training_seconds=seconds,
    )


def _largest_layer(model: Model, batch: NDArray[np.float32]) -> int:
    """Return the bytes of the inputs and outputs of the layer that has most of them."""
    largest = 0

    def look(_: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal largest
        held = [t for t in (*inputs, output) if isinstance(t, torch.Tensor)]
        largest = max(largest, sum(t.numel() * t.element_size() for t in held))

    hooks = [
        module.register_forward_hook(look)
        for network in model.networks
        for module in network.modules()
        if not list(module.children())
    ]
    model.probabilities(batch)
    for hook in hooks:
        hook.remove()
    return largest


def _ratio(costs: Sequence[ModelCosts], part: Callable[[ModelCosts], float | None]) -> MeanInterval:
    joint, single = part(costs[0]), part(costs[1])
    return MeanInterval(joint / single if single and joint is not None else None)


def with_value(
    results: Results,
    method: str,
    pairs: Sequence[tuple[Replicates, Replicates]],
    curves: Mapping[str, TaskCurve],
    level: float,
) -> Recommendation:
    """Return the recommendation with the value of joining: figures, more reasons and risks.

    Args:
        results: of the study, with its running costs and money as far as there are any.
        method: the joint method.
        pairs: of every task with data, the joint method's metrics and the baseline's.
        curves: by task its label curve.
        level: that of the intervals.
    """
    unclear = results.tasks_with(method, "not enough data")
    guessed = [name for name, curve in curves.items() if curve.needed[0] > curve.points[-1].labels]
    risks = [Finding("not_enough_data", {"tasks": list(unclear)})] if unclear else []
    risks += [Finding("extrapolated", {"tasks": guessed})] if guessed else []
    found = results.recommended
    return replace(
        found,
        shown=method,
        verdict=found.verdict
        if method == found.shown
        else decision(results, method, separate=False),
        figures=(_accuracy(pairs, level), _labels(curves, level), _cost(results)),
        reasons=tuple(_labels_saved(curves, level)),
        risks=tuple(risks),
    )


def _accuracy(pairs: Sequence[tuple[Replicates, Replicates]], level: float) -> KeyFigure:
    gains: list[NDArray[np.float64]] = []
    for joint, single in pairs:
        metric = joint.main_metric
        gains.append(
            mean_draws(
                joint.values[metric] - single.values[metric],
                joint.replicates[metric] - single.replicates[metric],
                joint.folds,
            )
        )
    value = mean_saved(np.clip(np.mean(gains, axis=0), -1, 1), level) if gains else None
    return _figure("accuracy", "fraction", value, Message("assumption.accuracy"))


def _labels(curves: Mapping[str, TaskCurve], level: float) -> KeyFigure:
    on = len(tasks_that_save(curves, level))
    assumption: Text = Message("assumption.labels_shown", {"shown": on, "n": len(curves)})
    if not curves:
        assumption = ""
    value = total_saved(curves, dict.fromkeys(curves, 1.0), level)
    if curves and value is None:
        assumption = Message("assumption.labels_not_shown", {"n": len(curves)})
    return _figure("labels", "labels", value, assumption)


def _figure(key: str, unit: str, found: MeanInterval | None, assumption: Text) -> KeyFigure:
    value = found or MeanInterval()
    return KeyFigure(key, unit, value.mean, value.low, value.high, assumption)


def _cost(results: Results) -> KeyFigure:
    money = results.money
    ratio = results.running.ratio.get("throughput") if results.running else None
    if results.running and (ratio is None or ratio.mean is None):
        return _figure("cost", SPEED, None, Message("assumption.cost_unclear"))
    if money and money.running:
        unit = f"{money.currency} {money.running.unit}"
        return KeyFigure("cost", unit, money.running.saved, assumption=money.running.assumption)
    if ratio is None:
        return KeyFigure("cost")
    return _figure("cost", SPEED, ratio, Message("assumption.cost_speed"))


def _labels_saved(curves: Mapping[str, TaskCurve], level: float) -> list[Finding]:
    found = []
    for name in tasks_that_save(curves, level):
        saved = curves[name].saved
        low, _ = interval(saved, level)
        known = bool(np.isfinite(saved[0]))
        values = {
            "task": name, "saved": float(saved[0]) if known else None, "low": low,
            "has": curves[name].has,
        }  # fmt: skip
        found.append(Finding("labels_saved", values))
    return found


COSTS_FILE = "costs.json"
SPEED = "times the rows per second"  # the unit of the running cost
Runs = Mapping[str, Sequence[Run]]


def joint_method(config: StudyConfig, results: Results) -> str | None:
    """Return the method to hold against single-task networks, None where there is none.

    The one that the study file names, or the recommended one; where that is the baseline, the best
    of the others.
    """
    section = config.label_curves
    asked = section.method if section else None
    if asked is not None:
        return asked if asked in results.methods else None
    found = results.recommended
    return found.method if found.method != results.baseline else found.best


def add_value(
    context: StudyContext,
    results: Results,
    splits: Mapping[str, Sequence[Split]],
    runs: Runs,
) -> Results:
    """Return a study's results with the value of joining added.

    Writes ``label_next.csv`` and ``costs.json``. Trains the label curves' runs that are not there
    yet. Without a baseline or a joint method nothing is added.

    Args:
        context: the study at work.
        results: of the study.
        splits: by method the data that it was trained on, one a seed.
        runs: by method its finished runs, in the same order.
    """
    config, data, output = context.config, context.data, context.folder
    method = joint_method(config, results)
    baseline = results.baseline
    if method is None or baseline not in runs:
        return results
    level = config.statistics.level
    joint, single = (
        {task.name: replicates_of(task, runs[each], splits[each], config) for task in data.tasks}
        for each in (method, baseline)
    )
    pairs = [(joint[n], single[n]) for n in joint if _has_data(joint[n]) and _has_data(single[n])]
    curves: dict[str, TaskCurve] = {}
    if config.label_curves:
        points, failures = _points(context, baseline, splits[baseline], single)
        curves = {j.task.name: task_curve(points[j.task.name], j) for j, _ in pairs}
        results = replace(
            results,
            failures=results.failures + failures,
            label_curves={
                name: shown_curve(found, method, config) for name, found in curves.items()
            },
        )
    running = _costs(config, method, splits, runs, output)
    plan = _label_plan(context, splits[method][0], runs[method][0], curves)
    results = replace(
        results,
        running=running,
        money=money(config.prices, curves, running, level),
        label_plan=plan,
    )
    return replace(results, recommendation=with_value(results, method, pairs, curves, level))


def _has_data(found: Replicates) -> bool:
    return not np.isnan(found.values[found.main_metric]).any()


def _points(
    context: StudyContext,
    baseline: str,
    splits: Sequence[Split],
    now: Mapping[str, Replicates],
) -> tuple[dict[str, list[Point]], tuple[Failure, ...]]:
    """Train the runs of the label curves; return by task the measured points, and failures."""
    config, output = context.config, context.folder
    assert config.label_curves
    section = config.label_curves
    wanted = [
        each for split in splits[: section.seeds] for each in curve_splits(split, section.shares)
    ]
    runs = [
        plan_run(baseline, each.split, each.split.fingerprint(), config, output) for each in wanted
    ]
    thinned = [each.split for each in wanted]
    failed = train_runs(context, {baseline: runs}, {baseline: thinned})
    points = {}
    for name, measured in now.items():
        has = [int(split.train.annotations.labelled(name).sum()) for split in splits]
        points[name] = [Point(float(np.mean(has)), 1.0, measured)]
        for share in sorted({each.share for each in wanted}):
            at = [
                i
                for i, each in enumerate(wanted)
                if each.share == share and name in each.labels and runs[i].done
            ]
            if len(at) < min(section.seeds, len(splits)):  # some seed has no such point
                continue
            found = replicates_of(
                measured.task, [runs[i] for i in at], [thinned[i] for i in at], config
            )
            labels = float(np.mean([wanted[i].labels[name] for i in at]))
            if _has_data(found) and labels not in [point.labels for point in points[name]]:
                points[name].append(Point(labels, share, found))
    return points, tuple(Failure(f["method"], f["seed"], f["error"]) for f in failed)


def _costs(
    config: StudyConfig,
    method: str,
    splits: Mapping[str, Sequence[Split]],
    runs: Runs,
    output: Path,
) -> RunningCosts | None:
    """Return what the first seed's networks cost; measured once, and again when they change.

    The joint network is held against the networks alone, also where the decision compares with
    the best learners alone: these run on several libraries.
    """
    if NETWORKS_ALONE not in runs:
        return None
    joint, single = runs[method][0], runs[NETWORKS_ALONE][0]
    inputs = splits[method][0].test.inputs
    models = joint.folder / "model", single.folder / "model"
    networks = config.method(method).kind in ("joint", "student")
    if not (networks and len(inputs)) or not all((m / "model.json").exists() for m in models):
        return None
    made_of, path = (
        [run.key for each in (method, NETWORKS_ALONE) for run in runs[each]],
        output / COSTS_FILE,
    )
    try:
        kept = read_json_object(path)
        if kept["runs"] == made_of:
            return typed(RunningCosts, kept["costs"], COSTS_FILE)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    spec = config.method(method)
    needs = [spec.base, spec.teacher]
    before = [each for each in needs if each is not None and each in runs]
    seconds = {
        each: float(np.mean([run.record()["seconds"] for run in runs[each]]))
        for each in (method, NETWORKS_ALONE, *before)
    }
    trained = seconds[method] + sum(seconds[each] for each in before), seconds[NETWORKS_ALONE]
    found = measure_costs(models[0], models[1], inputs, trained)
    write_text(path, json.dumps({"runs": made_of, "costs": plain(found)}, indent=1))
    return found


def _label_plan(
    context: StudyContext, split: Split, run: Run, curves: Mapping[str, TaskCurve]
) -> LabelPlan:
    config, data = context.config, context.data
    tasks = task_plan(curves, config.prices, config.statistics.level)
    plan = LabelPlan(tasks)
    if not config.label_next or not (run.folder / "model" / "model.json").exists():
        return plan
    model = load_model(run.folder / "model")
    decided: list[Mapping[str, NDArray[Any]]] = []

    def predict(rows: slice) -> dict[str, NDArray[np.float32]]:
        given = model.under_prior(model.probabilities(split.train.inputs[rows]))
        if config.label_tools:
            decided.append(model.decide(given))
        return given

    scores = row_scores(split, predict, at_once=model.prior.name == "rows")
    if tasks:
        value = worth(tasks)
        wanted = {task.task: value(task) for task in tasks}
    else:  # no label curves
        wanted = left_uncertain(split, scores)
    features = model.features(split.train.inputs)
    rows = rows_to_label(split, scores, features, data.collection, wanted, config.label_next)
    write_rows(rows, context.folder, formulas=context.formulas)
    if config.label_tools:
        schema = model.encoder.schema
        excluded = [] if schema is None else schema.named("excluded")
        predicted = {name: np.concatenate([part[name] for part in decided]) for name in decided[0]}
        _write_for_tools(context, split, rows, predicted, excluded)
    return LabelPlan(tasks, ROWS_FILE, len(rows))


def _write_for_tools(
    context: StudyContext,
    split: Split,
    rows: pd.DataFrame,
    predicted: Mapping[str, NDArray[Any]],
    excluded: Collection[str],
) -> None:
    config, collection = context.config, context.data.collection
    names = np.array(collection.names, dtype=object)[collection.source[split.train.index]]
    numbers = collection.numbers[split.train.index].tolist()
    places = {at: i for i, at in enumerate(zip(names, numbers, strict=True))}
    media: dict[str, str] = {}
    for kind in ("image", "text"):
        section = getattr(config.inputs, kind)
        media |= {} if section is None else {section.column: kind}
    sources = read_sources(config, context.root)
    write_label_tools(
        config.label_tools, rows, predicted,
        [places[at] for at in zip(rows["source"], rows["row"], strict=True)],
        context.data.tasks, inputs_of(sources, collection.tasks, media, excluded),
        config.name,
        context.folder,
    )  # fmt: skip
