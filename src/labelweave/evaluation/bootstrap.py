"""The bootstrap over groups of rows: every metric recomputed under many weightings of the rows."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.errors import LabelweaveError
from labelweave.evaluation._checks import Floats
from labelweave.evaluation.metrics import metric_names, weighted_metrics
from labelweave.tasks import Task

# weights held as floats at a time: 4 MB, which stays in the processor's cache
CHUNK = 2**19


@lru_cache(maxsize=1)  # the arms and tasks of a study ask for the same, one after the other
def group_weights(groups: int, replicates: int, seed: int) -> NDArray[np.uint16]:
    """Return how often each of G groups is drawn in each resampling of G groups, shape (B, G).

    The weights depend on the arguments alone, so that all arms of a study are measured on the same
    resamplings. A group of one row is a row; the rows of a larger one all get the group's weight.
    Drawing rows anew within drawn groups would count their variance twice (Davison & Hinkley,
    "Bootstrap Methods and their Application", 1997, 3.8; Field & Welsh, "Bootstrapping clustered
    data", 2007).

    Args:
        groups: G, the number of groups.
        replicates: B, the number of resamplings.
        seed: the seed of the whole comparison.

    Returns:
        The weights, not to be written to.
    """
    generator = np.random.default_rng([seed, groups])
    weights = np.empty((replicates, groups), dtype=np.uint16)
    for row in weights if groups else ():
        row[:] = np.bincount(generator.integers(groups, size=groups), minlength=groups)
    weights.flags.writeable = False
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
