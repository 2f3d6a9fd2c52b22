"""The results of a study: typed, written to and read from one JSON text with a format number."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labelweave._files import read_text, unreadable
from labelweave._messages import Message
from labelweave._parsing import parse_json
from labelweave.errors import LabelweaveError, in_place, listing, nearest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "BlindSpot",
    "Cell",
    "Cells",
    "ControlAhead",
    "Failure",
    "Finding",
    "Joining",
    "KeyFigure",
    "LabelCounts",
    "LossTerms",
    "MethodCosts",
    "Outcome",
    "Recommendation",
    "Results",
    "RunFacts",
    "RunningCosts",
    "TaskFacts",
    "Word",
    "read_results",
]

FORMAT = 2  # of results.json; raised when what a key means changes
# in the order in which reports show them
COUPLED = (
    "multi_task", "co_annotation", "distribution_matching", "full", "distillation", "coupled",
    "student",
)  # fmt: skip
CONTROLS = (
    "post_hoc", "strong_single_task", "best_single_task", "shuffled_relations", "oracle",
)  # fmt: skip
Word = Literal["gain", "negative transfer", "no difference", "not enough data"]
Joining = Literal["join", "join some", "do not join", "cannot tell"]
# a message, its text, code and values as JSON holds them, or a mere text
MessageLike = Any


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
        p: p-value of a difference.
        p_adjusted: the same, corrected for the number of tasks (Holm).
        detectable: the smallest true change that would have been found.
        effect: Cohen's h of a difference between shares.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    seeds: int | None = None
    values: tuple[float | None, ...] = ()
    counts: tuple[int, ...] = ()
    p: float | None = None
    p_adjusted: float | None = None
    detectable: float | None = None
    effect: float | None = None

    def __post_init__(self) -> None:
        """Set figures that are not finite to None."""
        for name in ("mean", "low", "high", "p", "p_adjusted", "detectable", "effect"):
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
    error: MessageLike


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
class RunningCosts:
    """What the joint model costs at prediction, against the single-task models.

    Attributes:
        joint: networks, parameters, disk_mb, memory_mb, latency_ms (by rows of a batch ``p50`` and
            ``p95``), rows_per_second and training_seconds.
        single: the same of the single-task models.
        ratio: joint over single: latency_1, latency_256, throughput, memory, disk, training.
        machine: cores and processor.
        assumptions: what the figures depend on.
    """

    joint: Mapping[str, Any]
    single: Mapping[str, Any]
    ratio: Mapping[str, float | None]
    machine: MessageLike = ""
    assumptions: tuple[MessageLike, ...] = ()


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
class Outcome:
    """On which tasks a method gains, harms or has too little data, with an example.

    Attributes:
        method: the method.
        gains: tasks with a gain.
        harmed: tasks with negative transfer.
        unclear: tasks without enough data.
        example: the task of the largest gain, or of the largest change where nothing is a gain;
            None = no task can be compared.
    """

    method: str
    gains: tuple[str, ...] = ()
    harmed: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    example: str | None = None


@dataclass(frozen=True)
class ControlAhead:
    """A control that has a higher mean than the recommended method: on how many tasks, where clear.

    Attributes:
        control: its name.
        tasks: number of tasks with a higher mean.
        apart: tasks on which the intervals do not overlap.
    """

    control: str
    tasks: int
    apart: tuple[str, ...] = ()


@dataclass(frozen=True)
class BlindSpot:
    """The least change that the study could have detected where a method shows none.

    Attributes:
        method: the best coupled method.
        tasks: number of tasks without a shown change.
        task: the one with the largest such change.
        detectable: that change, in the metric's unit.
        labels: its test labels.
        seeds: its seeds.
    """

    method: str
    tasks: int
    task: str
    detectable: float
    labels: int | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class KeyFigure:
    """One of the three figures: ``accuracy``, ``labels`` or ``cost``.

    Attributes:
        key: which.
        unit: fraction, points, labels, times, or a currency "a year".
        mean: the figure; None = not measured.
        low: lower end of its interval.
        high: upper end of its interval.
        assumption: what it depends on.
    """

    key: str
    unit: str = ""
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    assumption: MessageLike = ""


@dataclass(frozen=True)
class Finding:
    """A reason or a risk that does not follow from the fields: key and values of its text."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recommendation:
    """Which method to use, whether to join the tasks, and what that rests on.

    Attributes:
        method: the method to use.
        shown: the method that figures are about: `method`, or the best coupled one next to a
            baseline.
        best: the coupled method with the highest mean; None = none has data.
        verdict: whether to join.
        compared: whether the baseline has results to compare `best` with.
        means: mean main metric of the baseline and the coupled methods, over common tasks.
        of_best: outcome of `best`.
        of_method: outcome of `method`; None = it is the baseline.
        ruled_out: methods with negative transfer, and the tasks.
        networks: of `method` and of the baseline, where it takes fewer.
        shuffled: mean of shuffled_relations, where it does as well as `method`.
        controls: controls with a higher mean than `method` on some task.
        blind_spot: what the study could not have detected.
        figures: gain in accuracy, labels saved, running cost.
        held_out_rows: training rows, held out, that the choice rests on; 0 = on the test rows.
        equal: less simple methods that the rows show to be as good.
        reasons: more reasons.
        risks: more risks.
    """

    method: str
    shown: str
    best: str | None = None
    verdict: Joining = "cannot tell"
    compared: bool = False
    means: Mapping[str, float] = field(default_factory=dict)
    of_best: Outcome | None = None
    of_method: Outcome | None = None
    ruled_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    networks: tuple[int, int] | None = None
    shuffled: float | None = None
    controls: tuple[ControlAhead, ...] = ()
    blind_spot: BlindSpot | None = None
    figures: tuple[KeyFigure, ...] = ()
    held_out_rows: int = 0
    equal: tuple[str, ...] = ()
    reasons: tuple[Finding, ...] = ()
    risks: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Results:
    """The results of a study, as ``results.json`` holds them.

    Attributes:
        study: its name.
        tasks: its tasks.
        methods: by method, task and metric the estimates.
        baseline: the method that the others are compared with.
        differences: by method, task and metric the paired differences to the baseline.
        verdicts: by method and task.
        recommendation: which method to use, and why; None = not worked out yet.
        seeds: the seeds.
        runs: the finished runs.
        failures: the runs that failed.
        notes: what was left out.
        method_titles: what the methods are.
        coverage: which labels there are.
        relations: the tables that methods use (`labelweave.relations.relation_to_dict`).
        relatedness: by origin `Relatedness.to_dict` of the first seed.
        next_task: with which tasks to start, and which to add then; empty = not known.
        curves: by method the loss.
        left_behind: by method how each task was learnt.
        calibration: by method and task the calibration error and the bins of its diagram.
        label_curves: by task the label curve.
        label_plan: which labels to buy next.
        costs: by method what training costs.
        running: what prediction costs; None = not measured.
        money: what labels and running save; empty = no prices.
        prior: the class prior that predictions assume.
        splits: mean rows of each side.
        settings: the study file.
        environment: versions of Python and packages.
        command: how to run the study again.
        labelweave: the version that wrote the results.
        created: when.
        rows: of an ablation, the method, label, form and relations of each row.
    """

    study: str
    tasks: tuple[TaskFacts, ...]
    methods: Cells
    baseline: str = "single_task"
    differences: Cells = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, Word | None]] = field(default_factory=dict)
    recommendation: Recommendation | None = None
    seeds: tuple[int, ...] = ()
    runs: tuple[RunFacts, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[MessageLike, ...] = ()
    method_titles: Mapping[str, str] = field(default_factory=dict)
    coverage: LabelCounts = field(default_factory=LabelCounts)
    relations: tuple[Mapping[str, Any], ...] = ()
    relatedness: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    next_task: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, LossTerms] = field(default_factory=dict)
    left_behind: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calibration: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    label_curves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    label_plan: Mapping[str, Any] = field(default_factory=dict)
    costs: Mapping[str, MethodCosts] = field(default_factory=dict)
    running: RunningCosts | None = None
    money: Mapping[str, Any] = field(default_factory=dict)
    prior: MessageLike = ""
    splits: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    labelweave: str = ""
    created: str = ""
    rows: tuple[Mapping[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check what the types leave open.

        Raises:
            LabelweaveError: no task or method, an unknown task, or tables of another shape.
        """
        _check(self)

    @property
    def recommended(self) -> Recommendation:
        """The recommendation.

        Raises:
            LabelweaveError: it is not worked out yet.
        """
        if self.recommendation is None:
            raise LabelweaveError("results: no 'recommendation', expected one")
        return self.recommendation

    @property
    def level(self) -> float:
        """Coverage of the intervals."""
        return float((self.settings.get("statistics") or {}).get("level", 0.95))

    @property
    def coupled_methods(self) -> list[str]:
        """The methods that join the tasks and are no control, in usual order.

        ``full.predictions`` is the method ``full`` with relations from predictions.
        """
        found = [method for method in self.methods if method.partition(".")[0] in COUPLED]
        return sorted(found, key=lambda method: COUPLED.index(method.partition(".")[0]))

    @property
    def method_names(self) -> list[str]:
        """The methods: the baseline, the coupled methods, the others, and last the controls."""
        found = list(self.methods)
        first = [method for method in (self.baseline, *self.coupled_methods) if method in found]
        last = [method for method in CONTROLS if method in found and method not in first]
        return [*first, *(method for method in found if method not in (*first, *last)), *last]

    def score(self, method: str, task: TaskFacts) -> Cell:
        """Return the main metric of a method on a task."""
        return cell(self.methods, method, task.name, task.main_metric)

    def difference(self, method: str, task: TaskFacts) -> Cell:
        """Return the paired difference of the main metric to the baseline."""
        return cell(self.differences, method, task.name, task.main_metric)

    def verdict(self, method: str, task: TaskFacts) -> str | None:
        """Return the verdict of a method on a task, None for the baseline and where none is."""
        found = self.verdicts.get(method, {}).get(task.name)
        return None if method == self.baseline else found

    def tasks_with(self, method: str, word: str) -> tuple[str, ...]:
        """Return the names of the tasks on which a method has a verdict."""
        return tuple(task.name for task in self.tasks if self.verdict(method, task) == word)

    def best_methods(self, task: TaskFacts) -> list[str]:
        """Return the methods with the highest main metric on a task; the oracle is left out."""
        means = {
            method: self.score(method, task).mean for method in self.methods if method != "oracle"
        }
        top = max((mean for mean in means.values() if mean is not None), default=None)
        return [method for method, mean in means.items() if mean is not None and mean == top]

    def mean_scores(self, methods: Sequence[str]) -> dict[str, float]:
        """Return each method's mean main metric over the tasks on which all of them have data.

        Methods without any data are left out; without a common task the answer is empty.
        """
        scores: dict[str, dict[str, float]] = {}
        for method in methods:
            for task in self.tasks:
                mean = self.score(method, task).mean
                if mean is not None:
                    scores.setdefault(method, {})[task.name] = mean
        common = set.intersection(*map(set, scores.values())) if scores else set()
        if not common:
            return {}
        return {
            method: sum(of[name] for name in sorted(common)) / len(common)
            for method, of in scores.items()
        }

    def to_json(self) -> str:
        """Return the JSON text that `from_json` reads; messages stand as text, code and values."""
        return json.dumps({"format": FORMAT, **_bare(self)}, indent=1)

    @staticmethod
    def from_json(text: str | bytes) -> "Results":
        """Return the results of a JSON text.

        Raises:
            LabelweaveError: no JSON, another format, or a key that is missing or of a wrong kind;
                one line.
        """
        given = parse_json(text, "results")
        if not isinstance(given, dict):
            raise LabelweaveError(
                f"results: found {type(given).__name__}, expected a table with 'study', 'tasks', "
                "'methods'"
            )
        if given.get("format") != FORMAT:
            raise LabelweaveError(
                f"results, format: found {given.get('format', 'none')}, expected {FORMAT}; "
                "'labelweave run' writes them again"
            )
        return _typed(given)


def read_results(folder: str | Path) -> Results:
    """Return the results of a study's folder, from its ``results.json``.

    Raises:
        LabelweaveError: there is none, or it cannot be read as results; one line.
    """
    path = Path(folder) / "results.json"
    try:
        text = read_text(path)
    except NotADirectoryError:
        raise LabelweaveError(f"{folder}: a file, expected a study's results folder") from None
    except FileNotFoundError:
        raise LabelweaveError(
            f"{path}: no such file, expected the results of a study ('labelweave run')"
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None
    with in_place(path):
        return Results.from_json(text)


def cell(cells: Cells, method: str, task: str, metric: str) -> Cell:
    """Return a cell of a table; an empty one where there is none."""
    return cells.get(method, {}).get(task, {}).get(metric) or Cell()


def _check(results: Results) -> None:
    if not results.tasks or not results.methods:
        raise LabelweaveError(
            f"results: found {len(results.tasks)} tasks and {len(results.methods)} methods, "
            "expected at least one of each"
        )
    for i, relation in enumerate(results.relations, start=1):
        place = f"results, relation {i}"
        wanted = ("source", "target", "rows", "columns", "table")
        for key in wanted:
            if relation.get(key) is None:
                raise LabelweaveError(f"{place}: no '{key}'{nearest(key, {*relation} - {*wanted})}")
        lengths = [len(row) for row in relation["table"]]
        n, m = len(relation["rows"]), len(relation["columns"])
        if lengths != [m] * n or not n * m:
            raise LabelweaveError(
                f"{place}: table of {len(lengths)} rows of {listing(sorted(set(lengths)))} "
                f"columns, expected {n} rows and {m} columns as named"
            )
    for method, curve in results.curves.items():
        for term, values in curve.terms.items():
            if len(values) != len(curve.step):
                raise LabelweaveError(
                    f"results, curves of '{method}', '{term}': found {len(values)} values, "
                    f"expected {len(curve.step)}, one a step"
                )
    names = [task.name for task in results.tasks]
    for part in ("methods", "differences", "verdicts"):
        for method, of_method in getattr(results, part).items():
            for name in of_method:
                if name not in names:
                    raise LabelweaveError(
                        f"results, {part}, '{method}': found '{name}', expected one of "
                        f"{listing(names)}{nearest(name, names)}"
                    )


def _bare(value: Any) -> Any:
    """Return JSON-able values; what is no finite number becomes null."""
    if isinstance(value, Message):
        return {"text": str(value), **_bare(value.to_dict())}
    if is_dataclass(value):
        return {each.name: _bare(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _bare(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def _adapter() -> "TypeAdapter[Results]":
    from pydantic import TypeAdapter

    return TypeAdapter(Results)


def _typed(given: Mapping[str, Any]) -> Results:
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    raised = (first.get("ctx") or {}).get("error")
    if isinstance(raised, LabelweaveError):
        raise raised
    *path, last = first["loc"] or ("",)
    if first["type"] in ("missing", "missing_argument"):
        place = _place(path)
        siblings: Any = given
        for part in path:
            siblings = siblings[part]
        raise LabelweaveError(f"{place}: no '{last}'{nearest(last, siblings)}")
    place = _place([*path, last])
    found, wanted = first["input"], first["msg"].removeprefix("Input should be ")
    options = (first.get("ctx") or {}).get("expected", "").replace("'", "").replace(" or ", ", ")
    guess = nearest(found, options.split(", ")) if options else ""
    raise LabelweaveError(f"{place}: found {str(found)[:80]!r}, expected {wanted}{guess}")


def _place(path: Sequence[str | int]) -> str:
    """Return a place in words; entries of a list count from 1."""
    parts = [str(part + 1) if isinstance(part, int) else part for part in path]
    return ", ".join(["results", *parts])
