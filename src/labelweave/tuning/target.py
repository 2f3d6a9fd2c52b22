"""What a search makes large: the gain to single-task on validation rows, worst task included."""

from collections.abc import Mapping, Sequence

import numpy as np

from labelweave.evaluation import evaluate, main_metric
from labelweave.study.fold import Fold
from labelweave.study.runs import Run

Scores = Mapping[str, float | None]


def scores(run: Run, fold: Fold) -> dict[str, float | None]:
    """Return the main metric of every task on the rows that a run predicted."""
    given, labels = run.predictions(), fold.test.annotations
    return {
        task.name: evaluate(task, given[task.name], labels.labels[task.name])[main_metric(task)]
        for task in labels.tasks
    }


def gains(found: Sequence[Scores], baseline: Sequence[Scores]) -> dict[str, float]:
    """Return per task the mean over seeds of its score above the baseline's.

    Args:
        found: per seed the scores.
        baseline: those of the baseline, in the same order; tasks without a score are left out.
    """
    by_task: dict[str, list[float]] = {}
    for of_seed, base in zip(found, baseline, strict=True):
        for name, score in of_seed.items():
            before = base.get(name)
            if score is not None and before is not None:
                by_task.setdefault(name, []).append(score - before)
    return {name: float(np.mean(values)) for name, values in by_task.items()}


def objective(gained: Mapping[str, float], penalty: float = 1.0) -> float:
    """Return the mean gain, less `penalty` times what the worst task lost, if it lost.

    Args:
        gained: task to its gain; at least one.
        penalty: 0 or more.
    """
    values = list(gained.values())
    return float(np.mean(values)) + penalty * min(0.0, min(values))
