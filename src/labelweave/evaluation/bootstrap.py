"""The bootstrap over rows: every metric recomputed under the row weights of many resamplings."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.errors import LabelweaveError
from labelweave.evaluation._checks import Floats
from labelweave.evaluation.metrics import metric_names, weighted_metrics
from labelweave.tasks import Task

# weights held as floats at a time: 4 MB, which stays in the processor's cache
CHUNK = 2**19


def row_weights(n: int, replicates: int, seed: int, index: int) -> NDArray[np.uint16]:
    """Return how often each of n rows is drawn in each resampling of n rows, shape (B, n).

    The weights depend on the arguments alone, so that every arm of a study that is measured on
    the same rows is measured on the same resamplings of them.

    Args:
        n: the number of rows.
        replicates: B, the number of resamplings.
        seed: the seed of the whole comparison.
        index: which run of the study (position of its seed), so that runs differ.
    """
    generator = np.random.default_rng([seed, index, n])
    weights = np.empty((replicates, n), dtype=np.uint16)
    for row in weights if n else ():
        row[:] = np.bincount(generator.integers(n, size=n), minlength=n)
    return weights


def replicate_metrics(
    task: Task,
    probabilities: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike,
    thresholds: ArrayLike | None = None,
) -> dict[str, Floats]:
    """Return every metric of `evaluate` under B weightings of the rows, each (B,), NaN = no data.

    A row of weight w counts as w copies of itself. Weightings are worked off in chunks, so memory
    beyond the input stays at a few times 4 MB plus one weighting.

    Args:
        task: the task, its classes known.
        probabilities: (n, K) or (n, L), as in `evaluate`.
        labels: codes (n,) or (n, L); -1 = missing.
        weights: (B, n), not negative.
        thresholds: (L,) or one number, multilabel tasks only (default 0.5).

    Raises:
        LabelweaveError: weights of a wrong shape or below 0, or input that does not fit the task.
    """
    metrics = weighted_metrics(task, probabilities, labels, thresholds)
    n, given = len(np.atleast_1d(labels)), np.asarray(weights)
    if given.ndim != 2 or given.shape[1] != n:
        raise LabelweaveError(
            f"task '{task.name}': found weights of shape {given.shape}, expected (replicates, {n})"
        )
    if given.size and not given.min() >= 0:
        raise LabelweaveError(
            f"task '{task.name}': found a weight of {given.min()}, expected none below 0"
        )
    step = max(1, CHUNK // max(1, n))
    # rows first: the sums then run along contiguous memory
    parts = [
        metrics(np.ascontiguousarray(given[start : start + step].T, dtype=np.float64))
        for start in range(0, len(given), step)
    ]
    return {name: np.concatenate([[], *(p[name] for p in parts)]) for name in metric_names(task)}
