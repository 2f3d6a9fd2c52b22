"""A model card: what a model is, how good it was on which rows, and what was not measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

import labelweave
from labelweave.errors import printable
from labelweave.evaluation import TestResult, main_metric, summarise
from labelweave.evaluation._comparison import Estimate
from labelweave.tasks import Multiclass, Task
from labelweave.trust._calibration import calibration_figures
from labelweave.trust._fairness import FairnessReport
from labelweave.trust._predictions import AnyModel, Predictions, predictor_of
from labelweave.trust._privacy_file import Privacy
from labelweave.trust._sets import SetFigures

MANY = 20  # classes of a task that are listed
NOT_MEASURED = "not measured"


def model_card(
    model: AnyModel,
    rows: Predictions | None = None,
    *,
    name: str,
    license: str | None = None,
    data: Mapping[str, str] | None = None,
    intended_use: str | None = None,
    sets: Mapping[str, SetFigures] | None = None,
    groups: FairnessReport | None = None,
    membership: pd.DataFrame | None = None,
    privacy: Privacy | None = None,
) -> str:
    """Return a model card in Markdown, with the head that the Hugging Face Hub reads.

    It holds names of tasks, classes and columns, and figures; no row, no identifier and no text of
    the data. What is left out is "not measured".

    Args:
        model: a fitted classifier or a saved model.
        rows: test rows with labels; their intervals are of a bootstrap over groups of rows.
        name: the model's name.
        license: its licence, such as ``apache-2.0``.
        data: by data set that it learnt from its licence.
        intended_use: what it is for, and what not.
        sets: what `evaluate_sets` gives.
        groups: what `fairness` gives.
        membership: what `membership_advantage` gives.
        privacy: what a private model promises (``privacy.json``).
    """
    found = predictor_of(model)
    measured = {} if rows is None else {task.name: scored(task, rows) for task in rows.tasks}
    head = {
        "license": license or "unknown",
        "library_name": "labelweave",
        "pipeline_tag": "tabular-classification",
        "tags": ["multi-task-learning", "labelweave"],
        "datasets": list(data or {}),
        "model-index": [{"name": name, "results": [_result(*each) for each in measured.items()]}],
    }
    if not data:
        del head["datasets"]
    if not measured:
        del head["model-index"]
    parts = [
        "---", yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip(), "---", "",
        f"# {_text(name)}", "",
        f"A model of {len(found.tasks)} tasks, made with labelweave {labelweave.__version__}.", "",
        "## Intended use", "", _text(intended_use or "Not stated."), "",
        "## Tasks", "", *_table(["task", "kind", "classes or labels"], map(_task, found.tasks)),
        "## Test results", "", *_results(measured, rows),
        "## Calibration", "", *_calibration(rows),
        "## Conformal sets", "", *_sets(sets),
        "## Groups", "", *_groups(groups),
        "## Privacy", "", *_membership(membership), *_privacy(privacy),
        "## Training data", "",
        *(_table(["data set", "licence"], (data or {}).items()) if data else ["Not stated.", ""]),
    ]  # fmt: skip
    return "\n".join(parts)


def scored(task: Task, rows: Predictions) -> tuple[str, Estimate]:
    """Return a task's main metric on labelled rows: its name, and mean and interval."""
    result = TestResult(
        rows.probabilities[task.name], rows.annotations.labels[task.name],
        None if isinstance(task, Multiclass) else rows.thresholds.get(task.name), rows.group_codes,
    )  # fmt: skip
    metric = main_metric(task)
    return metric, summarise(task, [result])[metric]


def _result(name: str, scored: tuple[str, Estimate]) -> dict[str, Any]:
    metric, estimate = scored
    return {
        "task": {"type": "tabular-classification", "name": name},
        "dataset": {"type": "custom", "name": "test rows"},
        # the Hub takes numbers without intervals, or text
        "metrics": [{"type": metric, "name": metric, "value": _interval(estimate)}],
    }


def _interval(found: Estimate) -> str:
    if found.mean is None:
        return NOT_MEASURED
    if found.low is None or found.high is None:
        return f"{found.mean:.3f}"
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def _task(task: Task) -> list[str]:
    names = [str(name) for name in task.names]
    shown = ", ".join(names[:MANY]) + (f" and {len(names) - MANY} more" if names[MANY:] else "")
    return [task.name, type(task).__name__.lower(), shown]


def _results(scored: Mapping[str, tuple[str, Estimate]], rows: Predictions | None) -> list[str]:
    if rows is None:
        return [NOT_MEASURED.capitalize() + ".", ""]
    lines = ([name, metric, _interval(e), str(e.n)] for name, (metric, e) in scored.items())
    return _table(["task", "metric", "value (95 % interval)", "labels"], lines)


def _calibration(rows: Predictions | None) -> list[str]:
    if rows is None:
        return [NOT_MEASURED.capitalize() + ".", ""]
    lines = (
        [name, *(NOT_MEASURED if v is None else f"{v:.3f}" for v in (f.ece, f.brier, f.log_loss))]
        for name, f in calibration_figures(rows).items()
    )
    return _table(["question", "calibration error", "Brier score", "log-loss"], lines)


def _sets(sets: Mapping[str, SetFigures] | None) -> list[str]:
    if sets is None:
        return [NOT_MEASURED.capitalize() + ".", ""]
    lines = (
        [name, *(NOT_MEASURED if v is None else f"{v:.3f}" for v in (f.coverage, f.size)), str(f.n)]
        for name, f in sets.items()
    )
    return _table(["question", "coverage", "mean size", "labels"], lines)


def _groups(report: FairnessReport | None) -> list[str]:
    if report is None:
        return [NOT_MEASURED.capitalize() + ".", ""]
    lines = (
        [g["question"], g["class"], g["metric"], g["lowest"], g["highest"],
         f"{g['gap']:.3f} ({g['low']:.3f} to {g['high']:.3f})"]
        for g in report.gaps.to_dict("records")
    )  # fmt: skip
    head = ["question", "class", "metric", "lowest", "highest", "gap (95 % interval)"]
    return [f"Gaps between the groups of `{_text(report.column)}`:", "", *_table(head, lines)]


def _membership(found: pd.DataFrame | None) -> list[str]:
    if found is None:
        return [NOT_MEASURED.capitalize() + ".", ""]
    lines = (
        [m["task"], m["part"], NOT_MEASURED if pd.isna(m["advantage"])
         else f"{m['advantage']:.3f} ({m['low']:.3f} to {m['high']:.3f})"]
        for m in found.to_dict("records")
    )  # fmt: skip
    head = ["task", "part", "membership advantage (95 % interval)"]
    return ["How much better than chance a simple attack guesses who trained the model:", "",
            *_table(head, lines)]  # fmt: skip


def _privacy(found: Privacy | None) -> list[str]:
    if found is None:
        return ["Differential privacy: none promised.", ""]
    lines = ([name, f"{value:.2f}"] for name, value in found.epsilons.items())
    return [
        f"Differential privacy for a row of each source, delta {found.delta:.1g}. It is for the "
        "network, not for figures on this card.", "",
        *_table(["source", "epsilon"], lines),
    ]  # fmt: skip


def _table(head: Sequence[str], lines: Any) -> list[str]:
    found = [head, ["---"] * len(head), *lines]
    return [*("| " + " | ".join(_text(str(cell)) for cell in line) + " |" for line in found), ""]


def _text(value: str) -> str:
    shown = printable(value, 2000).replace("|", "\\|")
    return shown.replace("<", "&lt;")
