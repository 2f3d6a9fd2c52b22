"""The half of the rows that relations are judged on."""

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations

STREAM = 7


def held_out_half(
    annotations: Annotations, groups: NDArray[np.int64] | None, seed: int
) -> NDArray[np.bool_]:
    """Return a random half of the rows, whole groups."""
    units = np.arange(len(annotations)) if groups is None else np.asarray(groups)
    distinct, unit = np.unique(units, return_inverse=True)
    half = np.zeros(len(distinct), np.bool_)
    # a stream of its own: scattered labels are drawn by the same seed, and must not decide this
    rng = np.random.default_rng([seed, STREAM])
    half[rng.permutation(len(distinct))[: len(distinct) // 2]] = True
    return np.asarray(half[unit])


def without_labels(
    annotations: Annotations, targets: set[str], rows: NDArray[np.bool_]
) -> Annotations:
    """Return the annotations with the target labels of some rows taken away."""
    labels = dict(annotations.labels)
    for name in targets:
        labels[name] = labels[name].copy()
        labels[name][rows] = -1
    return Annotations(annotations.tasks, labels)
