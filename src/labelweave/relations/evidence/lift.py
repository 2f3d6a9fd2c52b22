"""What a relation's predictions gain on the observed labels, element by element."""

import numpy as np

from labelweave.relations.evidence.elements import Elements, Floats
from labelweave.relations.evidence.recalibration import TINY


def column_likelihood(p: Floats, elements: Elements) -> Floats:
    """Return the log-probability of every labelled element, each column by itself, (n, W).

    A class of a multiclass target is judged as "this class or another one". Missing elements are
    0. In nats.
    """
    # of the two outcomes only the observed one's logarithm is taken
    observed = np.where(elements.values == 1, p, 1 - p)
    return np.where(elements.seen, np.log(np.maximum(observed, TINY)), 0.0)


def row_likelihood(p: Floats, elements: Elements) -> tuple[Floats, Floats]:
    """Return every row's log-probability of its labels, (n,), and its number of elements, (n,).

    The row of a multiclass target is one element, that of a multilabel target as many as it has
    labels. In nats.
    """
    if elements.exclusive:
        observed = (p * elements.values).sum(axis=1)
        return np.log(np.maximum(observed, TINY)), np.ones(elements.rows)
    counts = elements.seen.sum(axis=1).astype(np.float64)
    return column_likelihood(p, elements).sum(axis=1), counts
