"""The figures in results: metrics, runs, costs, labels, calibration, how tasks were learnt."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labelweave._messages import Text
from labelweave.results._relations import MeanInterval, Numbers


@dataclass(frozen=True)
class TaskFacts:
    """A task: its name, the metric that verdicts go by, its kind, and its classes or labels."""

    name: str
    main_metric: str
    kind: str = ""
    names: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A metric of a method on a task, or its paired difference to the baseline; None = no data.

    Attributes:
        mean: the mean over the seeds, in the metric's own unit.
        low: lower end of the interval.
        high: upper end of the interval.
        n: test elements behind it.
        seeds: seeds behind it.
        values: the value of every seed.
        counts: test elements of every seed.
        raw_low: lower end of a difference's interval by itself; `low` and `high` hold together
            over the tasks.
        raw_high: upper end of it.
        p: p-value of a difference, by itself.
        p_adjusted: the same, for all tasks together (Bonferroni).
        detectable: the smallest true change that would have been found; None = no possible one.
        effect: Cohen's h of a difference between shares.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    seeds: int | None = None
    values: tuple[float | None, ...] = ()
    counts: tuple[int, ...] = ()
    raw_low: float | None = None
    raw_high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    detectable: float | None = None
    effect: float | None = None

    def __post_init__(self) -> None:
        """Set figures that are not finite to None."""
        for name in (
            "mean", "low", "high", "raw_low", "raw_high", "p", "p_adjusted", "detectable", "effect",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                object.__setattr__(self, name, None)


Cells = Mapping[str, Mapping[str, Mapping[str, Cell]]]  # by method, task and metric


@dataclass(frozen=True)
class RunFacts:
    """A finished run: its method, seed, key (hash of its content) and folder."""

    method: str
    seed: int
    key: str
    folder: str


@dataclass(frozen=True)
class Failure:
    """A run that failed: its method, seed and error."""

    method: str
    seed: int
    error: Text


@dataclass(frozen=True)
class LossTerms:
    """Mean weighted terms of a method's training loss, by step."""

    step: tuple[int, ...]
    terms: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class MethodCosts:
    """What training a method costs: seconds (mean over the seeds), parameters, networks."""

    seconds: float | None = None
    parameters: int | None = None
    networks: int | None = None


@dataclass(frozen=True)
class Latency:
    """Milliseconds that the prediction of a batch takes: 10 %, 50 % and 95 % quantile."""

    p10: float | None = None
    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True)
class ModelCosts:
    """What a model costs at prediction.

    Attributes:
        networks: number of networks.
        parameters: number of parameters.
        disk_mb: megabytes of its folder.
        memory_mb: megabytes of the weights and of the largest layer.
        latency_ms: by rows of a batch.
        rows_per_second: in the largest batch, by the 10 % quantile of its times.
        training_seconds: seconds of training.
    """

    networks: int | None = None
    parameters: int | None = None
    disk_mb: float | None = None
    memory_mb: float | None = None
    latency_ms: Mapping[str, Latency] = field(default_factory=dict)
    rows_per_second: float | None = None
    training_seconds: float | None = None


@dataclass(frozen=True)
class RunningCosts:
    """What the joint model costs at prediction, against the single-task models.

    Attributes:
        joint: of the joint model.
        single: of the single-task models.
        ratio: joint over single: latency_1, latency_256, throughput, with intervals; memory, disk,
            training. A measurement that contradicts itself has none.
        machine: cores and processor.
        assumptions: what the figures depend on.
    """

    joint: ModelCosts
    single: ModelCosts
    ratio: Mapping[str, MeanInterval]
    machine: Text = ""
    assumptions: tuple[Text, ...] = ()


@dataclass(frozen=True)
class LabelCounts:
    """Which labels there are (first seed): by source, by task and class, and of two tasks."""

    sources: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    labelled: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    per_class: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    co_labelled: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of about one confidence: mean confidence, share correct, number of elements."""

    confidence: float
    correct: float
    n: int


@dataclass(frozen=True)
class TaskCalibration:
    """Expected calibration error over the seeds, and the bins of the reliability diagram."""

    ece: Cell
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class CurvePoint:
    """A point of a label curve: labels, their share of today's, and the metric."""

    labels: float
    share: float
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class TaskLabelCurve:
    """Single-task models by their number of labels, and where the joint method stands.

    Attributes:
        metric: the main metric.
        method: the joint method.
        has: labels today.
        points: the measured points, labels rising.
        fit: the fitted curve as (labels, metric).
        joint: the joint method's metric.
        needed: labels that a single-task model needs to match it.
        beyond: labels up to which the curve goes on, where it does not bound `needed`.
        saved: `needed` less `has`; None = beyond what the curve can show.
        note: how far the curve reaches.
    """

    metric: str
    method: str
    has: int
    points: tuple[CurvePoint, ...]
    fit: tuple[tuple[float, float], ...]
    joint: MeanInterval
    needed: MeanInterval
    beyond: float | None = None
    saved: MeanInterval | None = None
    note: Text = ""


@dataclass(frozen=True)
class PlannedTask:
    """A task to label next.

    Attributes:
        task: the task.
        rank: from 1, the best buy first.
        labels_now: labels today.
        gain_per_100: expected gain of 100 more labels.
        price: of a label; None = not given.
        gain_per_price: expected gain for the price of one; None = no price.
        reason: in words.
    """

    task: str
    rank: int
    labels_now: int
    gain_per_100: MeanInterval
    price: float | None = None
    gain_per_price: float | None = None
    reason: Text = ""


@dataclass(frozen=True)
class LabelPlan:
    """Which labels to buy next: tasks in order, and the file that names rows."""

    tasks: tuple[PlannedTask, ...] = ()
    rows_file: str | None = None
    rows: int = 0


@dataclass(frozen=True)
class LabelMoney:
    """The price of a task's label, and what its saved labels are worth."""

    price: float
    saved: MeanInterval | None = None


@dataclass(frozen=True)
class RunningMoney:
    """Running costs of the joint and the single-task models, and what joining saves."""

    joint: float
    single: float
    saved: float
    unit: str
    assumption: Text = ""


@dataclass(frozen=True)
class Money:
    """What labels and running save, in a currency.

    Attributes:
        currency: of all amounts.
        labels: by task with a price.
        total: saved labels of all tasks on which a saving is shown; None = no prices of labels.
        running: None = no prices of running.
    """

    currency: str
    labels: Mapping[str, LabelMoney] = field(default_factory=dict)
    total: MeanInterval | None = None
    running: RunningMoney | None = None


@dataclass(frozen=True, kw_only=True)
class TaskLearning:
    """How a joint method learnt a task; means over the seeds, None = not measured.

    Attributes:
        labels: training labels.
        rarest: the class or label with the fewest.
        rarest_labels: its labels.
        share: of the gradient.
        rate: inverse training rate (`labelweave.training.speeds`).
        half: share of the training until half of the way is done.
        train: share of a constant predictor's loss that is gone on training rows; below 0 = worse.
        validation: the same on validation rows.
        train_score: accuracy, or macro F1 of several labels, on training rows.
        validation_score: the same on validation rows.
        state: ``fine``, or what is wrong: ``overfit``, ``starved``, ``underfit``, ``slow``,
            ``conflict``.
        other: the task in conflict.
        cosine: of both tasks' gradients.
    """

    labels: int = 0
    rarest: Any = ""
    rarest_labels: int = 0
    share: float | None = None
    rate: float | None = None
    half: float | None = None
    train: float | None = None
    validation: float | None = None
    train_score: float | None = None
    validation_score: float | None = None
    state: str = "fine"
    other: str | None = None
    cosine: float | None = None


@dataclass(frozen=True)
class MethodLearning:
    """How a joint method learnt its tasks, and the mean cosines between their gradients."""

    tasks: Mapping[str, TaskLearning]
    cosine: Numbers | None = None


@dataclass(frozen=True)
class AblationRow:
    """A row of an ablation: method, what is trained, form of the couplings, relations."""

    method: str
    label: str
    form: str = ""
    relations: str = ""
