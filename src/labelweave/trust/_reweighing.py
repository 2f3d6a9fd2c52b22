"""Weights of training rows under which a label does not depend on the group."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass
from labelweave.trust._sets import segment_names


def group_weights(labels: Annotations, name: str, by: ArrayLike) -> NDArray[np.float64]:
    """Return weights that make a task's label independent of the group, for ``sample_weight``.

    A labelled row weighs P(group) P(label) / P(group, label), estimated on the labelled rows
    (Kamiran and Calders, "Data preprocessing techniques for classification without discrimination",
    Knowledge and Information Systems 33, 2012). Rows without the label or a group weigh 1; the mean
    of the others is 1. Whether groups may be treated by different weights is a question of law.

    Args:
        labels: of n training rows.
        name: a multiclass task, or one of a single label.
        by: (n,) the group of every row.

    Returns:
        (n,) weights above 0.

    Raises:
        LabelweaveError: a task of several labels, another number of groups than rows, or no
            labelled row with a group.
    """
    task = labels.task(name)
    if not isinstance(task, Multiclass) and task.width != 1:
        raise LabelweaveError(
            f"task '{name}': found {task.width} labels, expected classes or a single label"
        )
    codes = np.asarray(labels.labels[name], np.int64).reshape(len(labels))
    names = np.array([each or "" for each in segment_names(by, len(labels))])
    seen = (codes >= 0) & (names != "")
    if not seen.any():
        raise LabelweaveError(f"task '{name}': found no labelled row with a group")
    _, group = np.unique(names[seen], return_inverse=True)
    _, label = np.unique(codes[seen], return_inverse=True)
    counts = np.zeros((group.max() + 1, label.max() + 1))
    np.add.at(counts, (group, label), 1)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    weights = np.ones(len(labels))
    weights[seen] = expected[group, label] / counts[group, label]
    weights[seen] /= weights[seen].mean()
    return weights
