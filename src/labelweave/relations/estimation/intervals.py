"""From counts to tables with intervals."""

import numpy as np
from scipy.special import betaincinv

from labelweave.relations.estimation.columns import TINY, Columns, Matrix

LEVEL = 0.95


def intervals(columns: Columns, counts: Matrix) -> tuple[Matrix, Matrix]:
    """Return the credible interval (.95) of every column, two (K, W) arrays.

    Each entry of a Dirichlet row is Beta distributed: a of its own against b of the other columns.
    A block without counts has the interval from 0 to 1.
    """
    total = np.asarray(columns.sums(counts), dtype=np.float64)
    rest = columns.spread(total) - counts
    own, others = np.maximum(counts, TINY), np.maximum(rest, TINY)
    tail = (1 - LEVEL) / 2
    spoken = columns.spread(total) > 0
    low = np.where(spoken, betaincinv(own, others, tail), 0.0)
    high = np.where(spoken, betaincinv(own, others, 1 - tail), 1.0)
    return low, high
