"""Fewer labels of a task, in a fixed order: more labels are always the former ones and others."""

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations, Codes
from labelweave.tasks import Multiclass


def label_order(
    annotations: Annotations, name: str, rows: NDArray[np.int64], source: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int64]:  # fmt: skip
    """Return `rows` in an order of which every beginning has its share of classes and sources.

    The rows of a stratum (source and class; of a multilabel task the rarest label that is on) are
    shuffled and spread evenly over the order. With two rows in each of many strata the first tenth
    holds one row of a fifth of them.

    Args:
        annotations: the labels of n rows.
        name: the task.
        rows: rows that carry its labels.
        source: the source of each of the n rows, (n,).
        seed: decides the order.
    """
    if not len(rows):
        return rows
    codes = annotations.labels[name][rows]
    classes = codes
    if not isinstance(annotations.task(name), Multiclass):
        on = codes == 1
        rarity = np.where(on, on.sum(axis=0), len(rows) + 1)
        classes = np.where(on.any(axis=1), rarity.argmin(axis=1), codes.shape[1])
    pairs = np.stack([source[rows], classes], axis=1)
    _, stratum, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(rows))
    stratum = stratum.ravel()[shuffled]
    by_stratum = np.argsort(stratum, kind="stable")
    rank = np.empty(len(rows))
    rank[by_stratum] = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = (rank + generator.random(len(sizes))[stratum]) / sizes[stratum]
    return rows[shuffled[np.argsort(place, kind="stable")]]


def only_rows(codes: Codes, rows: NDArray[np.int64]) -> Codes:
    """Return the labels of some rows, those of all others missing."""
    kept = np.full_like(codes, -1)
    kept[rows] = codes[rows]
    return kept
