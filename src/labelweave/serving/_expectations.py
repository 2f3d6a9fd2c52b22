"""What to expect of a final model: the figures of its study, or those of its out-of-fold rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.evaluation._comparison import Estimate, Replicates, TestResult
from labelweave.fitting._split import Rows
from labelweave.results import Cell, Results
from labelweave.serving._final import Expected

LEVEL, REPLICATES = 0.95, 1000


def expected_of_study(results: Results, method: str) -> list[Expected]:
    """Return what a study measured of a method on its test rows, a figure a task."""
    calibration, found = results.calibration.get(method, {}), []
    for task in results.tasks:
        cell, error = results.score(method, task), calibration.get(task.name)
        ece = None if error is None else error.ece.mean
        found.append(_expected(task.name, task.main_metric, cell, cell.n, ece))
    return found


def expected_out_of_fold(
    rows: Rows,
    probabilities: Mapping[str, NDArray[Any]],
    thresholds: Mapping[str, NDArray[np.float64]],
) -> list[Expected]:
    """Return the same of out-of-fold predictions, which no fit of the study has seen.

    The models of the folds have fewer rows than the final one, so the figures are a little low. One
    fit a fold does not show how fits vary: an interval is that of the rows only.

    Args:
        rows: n training rows with their labels and groups.
        probabilities: out-of-fold, by task (n, width).
        thresholds: of multilabel tasks.
    """
    found = []
    for task in rows.annotations.tasks:
        p, truth = probabilities[task.name], rows.annotations.labels[task.name]
        n = int((truth >= 0).sum())
        if not n:
            found.append(Expected(task=task.name, metric="", n=0))
            continue
        result = TestResult(p, truth, thresholds.get(task.name), rows.groups)
        measured = Replicates(task, [result], REPLICATES)
        figures = measured.summary(LEVEL)
        metric = measured.main_metric
        found.append(_expected(task.name, metric, figures[metric], n, figures["ece"].mean))
    return found


def _expected(
    task: str, metric: str, cell: Estimate | Cell, n: int | None, ece: float | None
) -> Expected:
    return Expected(
        task=task, metric=metric, mean=cell.mean, low=cell.low, high=cell.high, n=n,
        calibration_error=ece,
    )  # fmt: skip
