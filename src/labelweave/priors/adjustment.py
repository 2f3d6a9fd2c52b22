"""Probabilities under another class prior, and the prior of rows without labels.

A network trained on rows of one class prior predicts for rows of that prior. Where the classes are
as they were but their shares are not (label shift), Bayes' rule gives the probabilities for the new
shares, and EM the shares themselves (Saerens, Latinne, Decaestecker, "Adjusting the outputs of a
classifier to new a priori probabilities", Neural Computation 14, 2002).
"""

import numpy as np
from numpy.typing import NDArray

from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.floating]
Prior = NDArray[np.float64]
TINY = 1e-12
STEPS, TOLERANCE = 1000, 1e-6


def adjust(task: Task, probabilities: Floats, old: Prior, new: Prior) -> NDArray[np.float64]:
    """Return p(t|x) new(t) / old(t), normalised; for every label of a multilabel task on its own.

    Saerens et al., equation 2.4; in scores it is the logit adjustment of Menon et al., "Long-tail
    learning via logit adjustment", ICLR 2021.

    Args:
        task: the task.
        probabilities: (n, K) of the classes, or (n, L) of the labels being on, under `old`.
        old: (K,) shares of the classes, or (L,) of a label being on.
        new: the same, for which the result holds.
    """
    # a probability of exactly 0 must not outvote a share of 0
    p = np.clip(np.asarray(probabilities, dtype=np.float64), TINY, 1 - TINY)
    on = p * (new / np.maximum(old, TINY))
    if isinstance(task, Multiclass):
        return np.asarray(on / on.sum(axis=1, keepdims=True))
    off = (1 - p) * ((1 - new) / np.maximum(1 - old, TINY))
    return np.asarray(on / (on + off))


def estimate_prior(task: Task, probabilities: Floats, old: Prior) -> Prior:
    """Return the shares under which the rows predicted are likeliest, by EM; (K,) or (L,).

    Saerens et al., section 2.2, with one pseudo-row a class in the shares of `old`, so that a few
    rows move little. It trusts the probabilities: over-confident ones move the shares too little.

    Args:
        task: the task.
        probabilities: of n rows without labels, under `old`; n may be 0.
        old: (K,) shares of the classes, or (L,) of a label being on.
    """
    pseudo = pseudo_rows(task)
    prior = old
    for _ in range(STEPS):
        mass = adjust(task, probabilities, old, prior).sum(axis=0)
        after = (mass + pseudo * old) / (len(probabilities) + pseudo)
        change = np.abs(after - prior).max()
        prior = after
        if change < TOLERANCE:
            break
    return prior


def pseudo_rows(task: Task) -> int:
    """Return the number of pseudo-rows behind an estimated prior: one a class, two a label."""
    return task.width if isinstance(task, Multiclass) else 2
