"""The calibration of a study's arms on the test rows, for the report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from labelweave.evaluation import confidences, reliability
from labelweave.study.fold import Fold
from labelweave.study.runs import Run
from labelweave.tasks import Task


def calibration(
    tasks: Sequence[Task],
    runs: Mapping[str, Sequence[Run]],
    folds: Sequence[Fold],
    level: float,
) -> dict[str, Any]:
    """Return per arm and task the expected calibration error, and the bins of its diagram.

    The error is the mean of the seeds' errors with Student's t interval over them (null for one
    seed); the bins hold the elements of all seeds. A task without test labels is left out.

    Args:
        tasks: the tasks.
        runs: per arm its runs, in the order of `folds`.
        folds: one fold a seed.
        level: coverage of the intervals.
    """
    found: dict[str, Any] = {}
    for arm, of_arm in runs.items():
        predictions = [run.predictions() for run in of_arm]
        for task in tasks:
            by_seed = [
                confidences(task, predicted[task.name], fold.test.annotations.labels[task.name])
                for predicted, fold in zip(predictions, folds, strict=True)
            ]
            errors = [e for pair in by_seed if (e := reliability(*pair).ece) is not None]
            if errors:
                confidence, right = (np.concatenate(part) for part in zip(*by_seed, strict=True))
                pooled = reliability(confidence, right)
                cell = {"ece": _interval(errors, level), "bins": [list(b) for b in pooled.bins]}
                found.setdefault(arm, {})[task.name] = cell
    return found


def _interval(values: Sequence[float], level: float) -> dict[str, Any]:
    mean, size = float(np.mean(values)), len(values)
    ends: dict[str, float | None] = {"low": None, "high": None}
    if size > 1:
        t = abs(float(stdtrit(size - 1, (1 - level) / 2)))
        reach = t * float(np.std(values, ddof=1)) / size**0.5
        ends = {"low": max(0.0, mean - reach), "high": min(1.0, mean + reach)}
    return {"mean": mean, **ends, "seeds": size}
