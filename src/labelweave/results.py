"""What a study found: `results.json`, checked, and the figures in it by method and task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from labelweave.errors import LabelweaveError, listing, nearest

VERDICTS = ("gain", "negative transfer", "no difference", "not enough data")
COUPLED = (
    "multi_task", "co_annotation", "distribution_matching", "full", "distillation", "coupled",
    "student",
)  # fmt: skip
CONTROLS = (
    "post_hoc", "strong_single_task", "best_single_task", "shuffled_relations", "oracle",
)  # fmt: skip

_COVERAGE: dict[str, Any] = {
    "sources": [], "tasks": [], "rows": {}, "labelled": {}, "per_class": {}, "co_labelled": [],
}  # fmt: skip
_OPTIONAL: dict[str, Any] = {
    "labelweave": "", "created": "", "seeds": [], "baseline": "single_task", "method_titles": {},
    "differences": {}, "verdicts": {}, "coverage": {}, "relations": [], "relatedness": {},
    "curves": {}, "costs": {}, "prior": "",
    "splits": {}, "settings": {}, "environment": {}, "notes": [], "failures": [], "command": "",
    "label_curves": {}, "calibration": {}, "money": {}, "label_plan": {}, "next_task": {},
    "decision": {}, "left_behind": {},
}  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; None where the results hold no finite number ("no data").

    Args:
        mean: the mean, or mean paired difference, in the metric's own unit.
        low: lower end of the interval.
        high: upper end of the interval.
        n: test rows behind it.
        seeds: seeds behind it.
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
    p: float | None = None
    p_adjusted: float | None = None
    detectable: float | None = None
    effect: float | None = None


def checked(results: Any) -> dict[str, Any]:
    """Return the results with empty values for the optional keys that are missing or null.

    Raises:
        LabelweaveError: a key without which there is no report is missing, a table names an
            unknown task, or a verdict is not one of the four.
    """
    filled = _OPTIONAL | _require("results", results, "study", "tasks", "methods")
    if not filled["tasks"] or not filled["methods"]:
        raise LabelweaveError(
            f"results: found {len(filled['tasks'])} tasks and {len(filled['methods'])} methods, "
            "expected at least one of each"
        )
    for i, task in enumerate(filled["tasks"], start=1):
        _require(f"results, task {i}", task, "name", "main_metric")
    filled["coverage"] = _COVERAGE | filled["coverage"]
    for source in filled["coverage"]["sources"]:
        if not isinstance(source, str):
            raise LabelweaveError(
                f"results, coverage, sources: found {type(source).__name__}, expected names"
            )
    for i, relation in enumerate(filled["relations"], start=1):
        place = f"results, relation {i}"
        _require(place, relation, "source", "target", "rows", "columns", "table")
        lengths = [len(row) for row in relation["table"]]
        n, m = len(relation["rows"]), len(relation["columns"])
        if lengths != [m] * n or not n * m:
            raise LabelweaveError(
                f"{place}: table of {len(lengths)} rows of {listing(sorted(set(lengths)))} "
                f"columns, expected {n} rows and {m} columns as named"
            )
    for method, curve in filled["curves"].items():
        _require(f"results, curves of '{method}'", curve, "step", "terms")
        for term, values in curve["terms"].items():
            if len(values) != len(curve["step"]):
                raise LabelweaveError(
                    f"results, curves of '{method}', '{term}': found {len(values)} values, "
                    f"expected {len(curve['step'])}, one a step"
                )
    names = [task["name"] for task in filled["tasks"]]
    for part in ("methods", "differences", "verdicts"):
        for method, cells in filled[part].items():
            for name in cells:
                _expect(f"results, {part}, '{method}'", name, names)
    for method, verdicts in filled["verdicts"].items():
        for name, verdict in verdicts.items():
            if verdict is not None:
                _expect(f"results, verdict of '{method}' on '{name}'", verdict, list(VERDICTS))
    return filled


def _require(place: str, found: Any, *keys: str) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise LabelweaveError(
            f"{place}: found {type(found).__name__}, expected a table with {listing(keys)}"
        )
    for key in keys:
        if found.get(key) is None:
            raise LabelweaveError(f"{place}: no '{key}'{nearest(key, set(found) - set(keys))}")
    return {key: value for key, value in found.items() if value is not None}


def _expect(place: str, found: object, options: Sequence[str]) -> None:
    if found not in options:
        raise LabelweaveError(
            f"{place}: found '{found}', expected one of {listing(options)}{nearest(found, options)}"
        )


def method_names(results: Mapping[str, Any]) -> list[str]:
    """Return the methods: the baseline, the coupled methods, the others, and last the controls."""
    found = list(results["methods"])
    first = [
        method for method in (results["baseline"], *coupled_methods(results)) if method in found
    ]
    last = [method for method in CONTROLS if method in found and method not in first]
    return [*first, *(method for method in found if method not in (*first, *last)), *last]


def coupled_methods(results: Mapping[str, Any]) -> list[str]:
    """Return the methods that train one network for all tasks and are no control, in usual order.

    ``full.predictions`` is the method ``full`` with relations from predictions.
    """
    found = [method for method in results["methods"] if method.partition(".")[0] in COUPLED]
    return sorted(found, key=lambda method: COUPLED.index(method.partition(".")[0]))


def estimate(
    results: Mapping[str, Any], part: str, method: str, task: str, metric: str
) -> Estimate:
    """Return one cell of `part`, which is "methods" or "differences".

    Raises:
        LabelweaveError: a value is neither a number nor null.
    """
    cell = results[part].get(method, {}).get(task, {}).get(metric) or {}
    values = {name: cell.get(name) for name in Estimate.__dataclass_fields__}
    for name, value in values.items():
        if value is not None and not isinstance(value, Real):
            raise LabelweaveError(
                f"results, {part}, '{method}', '{task}', '{metric}': {name} is '{value}', "
                "expected a number or null"
            )
        if value is not None and not math.isfinite(value):
            values[name] = None
    return Estimate(**values)


def score(results: Mapping[str, Any], method: str, task: Mapping[str, Any]) -> Estimate:
    """Return the main metric of a method on a task."""
    return estimate(results, "methods", method, task["name"], task["main_metric"])


def difference(results: Mapping[str, Any], method: str, task: Mapping[str, Any]) -> Estimate:
    """Return the paired difference of the main metric to the baseline."""
    return estimate(results, "differences", method, task["name"], task["main_metric"])


def verdict(results: Mapping[str, Any], method: str, task: Mapping[str, Any]) -> str | None:
    """Return the verdict of a method on a task, None for the baseline and where there is none."""
    found: str | None = results["verdicts"].get(method, {}).get(task["name"])
    return None if method == results["baseline"] else found


def tasks_with(results: Mapping[str, Any], method: str, word: str) -> list[str]:
    """Return the names of the tasks on which a method has the verdict `word`."""
    return [t["name"] for t in results["tasks"] if verdict(results, method, t) == word]


def best_methods(results: Mapping[str, Any], task: Mapping[str, Any]) -> list[str]:
    """Return the methods with the highest main metric on a task; the oracle does not compete."""
    means = {
        method: score(results, method, task).mean
        for method in results["methods"]
        if method != "oracle"
    }
    top = max((mean for mean in means.values() if mean is not None), default=None)
    return [method for method, mean in means.items() if mean is not None and mean == top]


def mean_scores(results: Mapping[str, Any], methods: Sequence[str]) -> dict[str, float]:
    """Return each method's mean main metric over the tasks on which all of them have data.

    Methods without any data are left out; without a shared task the answer is empty.
    """
    scores: dict[str, dict[str, float]] = {}
    for method in methods:
        for task in results["tasks"]:
            mean = score(results, method, task).mean
            if mean is not None:
                scores.setdefault(method, {})[task["name"]] = mean
    shared = set.intersection(*map(set, scores.values())) if scores else set()
    if not shared:
        return {}
    return {
        method: sum(of[t] for t in sorted(shared)) / len(shared) for method, of in scores.items()
    }


def main_metrics(results: Mapping[str, Any]) -> str:
    """Return the usual main metric, and the others with their tasks: "accuracy; f1 of 'edge'"."""
    metrics: dict[str, list[str]] = {}
    for task in results["tasks"]:
        metrics.setdefault(task["main_metric"], []).append(task["name"])
    usual = max(metrics, key=lambda metric: len(metrics[metric]))
    others = [f"{metric} of {listing(of)}" for metric, of in metrics.items() if metric != usual]
    return "; ".join([usual, *others])


def interval_level(results: Mapping[str, Any]) -> str:
    """Return the intervals' coverage in words, "95 %" unless the study's settings say otherwise."""
    statistics = results["settings"].get("statistics") or {}
    return f"{100 * statistics.get('level', 0.95):g} %"
