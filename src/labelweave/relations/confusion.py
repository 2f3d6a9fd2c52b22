"""How predictions err, counted on rows that were kept out of training."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.tasks import Multiclass


def confusion_counts(
    annotations: Annotations, predictions: Mapping[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.float64]]:
    """Return per task the counts of true x predicted labels, (K, K) or (L, 2, 2).

    Args:
        annotations: labels of n rows that were kept out of training.
        predictions: the probabilities of the same rows.
    """
    counts: dict[str, NDArray[np.float64]] = {}
    for task in annotations.tasks:
        codes, p = annotations.labels[task.name], predictions[task.name]
        if isinstance(task, Multiclass):
            counts[task.name] = np.zeros((task.width, task.width))
            seen = codes >= 0
            np.add.at(counts[task.name], (codes[seen], p[seen].argmax(axis=1)), 1)
        else:
            counts[task.name] = np.zeros((task.width, 2, 2))
            rows, labels = np.nonzero(codes >= 0)
            on = (p[rows, labels] >= 0.5).astype(np.int64)
            np.add.at(counts[task.name], (labels, codes[rows, labels], on), 1)
    return counts
