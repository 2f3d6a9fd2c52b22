"""Rows that are worth labelling and unlike each other: a greedy k-center weighted by a score."""

import numpy as np
from numpy.typing import NDArray

POOL = 2000  # rows of the highest scores that are looked at, at least
TIMES = 10  # and so many times the rows that are wanted
KNOWN = 5000  # labelled rows that are looked at, evenly

Floats = NDArray[np.floating]


def spread(score: Floats, features: Floats, known: Floats, count: int) -> NDArray[np.int64]:
    """Return rows in the order to label them, each the one of the greatest score times distance.

    The distance is to the nearest row that is labelled or chosen already: rows that the model is
    unsure of for the same reason stand close together, and one of them tells of the others (the
    k-center of Sener and Savarese, "Active learning for convolutional neural networks: a core-set
    approach", ICLR 2018, with a weight a row).

    Args:
        score: (n,), not negative; how much a row's label would tell by itself.
        features: (n, d) what the network makes of the rows.
        known: (m, d) the same of the rows that are labelled.
        count: how many rows to choose.
    """
    pool = np.argsort(-score, kind="stable")[: max(POOL, TIMES * count)]
    x, worth = np.asarray(features[pool], np.float64), np.array(score[pool], np.float64)
    nearest = np.full(len(pool), np.inf)
    known = np.asarray(known, np.float64)
    for row in known[np.linspace(0, len(known) - 1, min(len(known), KNOWN)).astype(int)]:
        nearest = np.minimum(nearest, _distance(x, row))
    if not len(known):
        nearest[:] = 1.0
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        value = worth * nearest
        value[chosen] = -1.0
        chosen.append(int(np.argmax(value)))
        nearest = np.minimum(nearest, _distance(x, x[chosen[-1]]))
    return pool[chosen]


def _distance(x: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(((x - row) ** 2).sum(axis=1)))
