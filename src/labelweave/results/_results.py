"""The results of a study, from metrics to the recommendation, read and written as JSON."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from labelweave._files import read_text, unreadable, write_text
from labelweave._messages import Text
from labelweave._parsing import parse_json
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.results._by_task import Check, InputsMeasured, TaskDetails
from labelweave.results._figures import (
    AblationRow,
    Cell,
    Cells,
    Failure,
    LabelCounts,
    LabelPlan,
    LossTerms,
    MethodCosts,
    MethodLearning,
    Money,
    RunFacts,
    RunningCosts,
    TaskCalibration,
    TaskFacts,
    TaskLabelCurve,
)
from labelweave.results._groups import GroupEffects
from labelweave.results._json import plain, typed
from labelweave.results._recommendation import Recommendation
from labelweave.results._relations import RelatednessSummary, RelationTable, TaskOrder
from labelweave.results._teaching import Teaching

FORMAT = 3  # of results.json; raised when what a key means changes
# in the order in which reports show them
COUPLED = (
    "multi_task", "co_annotation", "distribution_matching", "full", "distillation", "coupled",
    "student",
)  # fmt: skip
CONTROLS = (
    "post_hoc", "strong_single_task", "best_single_task", "shuffled_relations", "oracle",
)  # fmt: skip
ALONE = "best_single_task"  # what a careful user would do without joining
NETWORKS_ALONE = "single_task"
Word = Literal["gain", "negative transfer", "no difference", "not enough data"]


@dataclass(frozen=True)
class Results:
    """The results of a study, as ``results.json`` holds them.

    Attributes:
        study: its name.
        tasks: its tasks.
        methods: by method, task and metric the estimates.
        baseline: the method that the others are compared with (`decision_baseline`).
        differences: by method, task and metric the paired differences to the baseline.
        verdicts: by method and task.
        recommendation: which method to use, and why; None = not worked out yet.
        seeds: the seeds.
        runs: the finished runs.
        failures: the runs that failed.
        notes: what was left out.
        method_titles: what the methods are.
        coverage: which labels there are.
        relations: the tables that methods use.
        relatedness: by origin how the tasks relate, on the first seed.
        task_order: with which tasks to start, and which to add then; None = not known.
        curves: by method the loss.
        learning: by joint method how each task was learnt.
        calibration: by method and task.
        details: by task what the shown method does, class by class.
        inputs: which inputs matter to each task; None = not measured.
        checks: by ``privacy``, ``private``, ``exchange``, ``fairness``, ``audit`` and
            ``monitoring`` what was measured.
        label_curves: by task the label curve.
        label_plan: which labels to buy next.
        costs: by method what training costs.
        running: what prediction costs; None = not measured.
        money: what labels and running save; None = no prices.
        prior: the class prior that predictions assume.
        splits: mean rows of each side.
        settings: the study file.
        environment: versions of Python and packages.
        command: how to run the study again.
        labelweave: the version that wrote the results.
        created: when.
        rows: of an ablation.
        groups: what joining did to each group of a column; None = no column is named.
        teaching: which task taught which; None = no method keeps a coupled stack.
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
    notes: tuple[Text, ...] = ()
    method_titles: Mapping[str, str] = field(default_factory=dict)
    coverage: LabelCounts = field(default_factory=LabelCounts)
    relations: tuple[RelationTable, ...] = ()
    relatedness: Mapping[str, RelatednessSummary] = field(default_factory=dict)
    task_order: TaskOrder | None = None
    curves: Mapping[str, LossTerms] = field(default_factory=dict)
    learning: Mapping[str, MethodLearning] = field(default_factory=dict)
    calibration: Mapping[str, Mapping[str, TaskCalibration]] = field(default_factory=dict)
    details: Mapping[str, TaskDetails] = field(default_factory=dict)
    inputs: InputsMeasured | None = None
    checks: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)
    label_curves: Mapping[str, TaskLabelCurve] = field(default_factory=dict)
    label_plan: LabelPlan = field(default_factory=LabelPlan)
    costs: Mapping[str, MethodCosts] = field(default_factory=dict)
    running: RunningCosts | None = None
    money: Money | None = None
    prior: Text = ""
    splits: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    labelweave: str = ""
    created: str = ""
    rows: tuple[AblationRow, ...] = ()
    groups: GroupEffects | None = None
    teaching: Teaching | None = None

    def __post_init__(self) -> None:
        """Check what the types leave open.

        Raises:
            LabelweaveError: no task or method, an unknown task, or curves of another length.
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
        """The methods: those of the tasks alone, the coupled ones, the others, the controls."""
        found = list(self.methods)
        order = dict.fromkeys((self.baseline, NETWORKS_ALONE, *self.coupled_methods))
        first = [method for method in order if method in found]
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
        return json.dumps({"format": FORMAT, **plain(self)}, indent=1)

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
        return typed(Results, given, "results")


def decision_baseline(methods: Collection[str]) -> str:
    """Return the method that a study's decision compares with.

    The best learners of each task alone (``best_single_task``), which a careful user would have
    without joining; where these were not trained, the networks alone (``single_task``).

    Args:
        methods: the names of the methods that were trained.
    """
    return ALONE if ALONE in methods else NETWORKS_ALONE


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


def keep_check(folder: str | Path, name: str, checks: Sequence[Check]) -> bool:
    """Keep what a check measured in the ``results.json`` of a study, for its report.

    Args:
        folder: the study's results folder.
        name: ``private``, ``exchange``, ``fairness``, ``audit`` or ``monitoring``; what was kept of
            it before is replaced.
        checks: the figures.

    Returns:
        Whether the folder is that of a study; if it is none, nothing is kept.

    Raises:
        LabelweaveError: the results cannot be read, or not be written.
    """
    path = Path(folder) / "results.json"
    if not path.is_file():
        return False
    results = read_results(folder)
    kept = replace(results, checks={**results.checks, name: tuple(checks)})
    write_text(path, kept.to_json())
    return True


def cell(cells: Cells, method: str, task: str, metric: str) -> Cell:
    """Return a cell of a table; an empty one where there is none.

    Args:
        cells: the table.
        method: its method.
        task: its task.
        metric: its metric.
    """
    return cells.get(method, {}).get(task, {}).get(metric) or Cell()


def _check(results: Results) -> None:
    if not results.tasks or not results.methods:
        raise LabelweaveError(
            f"results: found {len(results.tasks)} tasks and {len(results.methods)} methods, "
            "expected at least one of each"
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
