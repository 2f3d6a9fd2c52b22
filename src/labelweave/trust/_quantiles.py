"""The quantile of conformal prediction, for rows that come in groups."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError

Floats = NDArray[np.float64]

SLACK = 1e-9  # sums of shares miss their total by rounding


def least_labels(coverage: float) -> int:
    """Return the number of labels (groups of rows) below which no coverage can be promised.

    Of n rows the threshold is the score of rank ``ceil((n + 1) coverage)``, so n must reach it.
    """
    return max(1, math.ceil(coverage / (1 - coverage) - SLACK))


def conformal_threshold(
    scores: Floats,
    coverage: float,
    groups: NDArray[np.int64] | None = None,
    weights: Floats | None = None,
) -> float:
    """Return the threshold below which a new row's score lies with the wanted probability.

    Split conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random
    World", 2005). Of G groups each weighs 1 / (G + 1), shared by its rows, and the rest is the new
    group's, which may lie anywhere: the promise holds for a random row of a new group (Lee, Barber
    and Willett, "Distribution-free inference with hierarchical data", arXiv 2306.06342). Without
    groups it is the score of rank ceil((n + 1) coverage). With weights the promise is for rows with
    other shares of the classes, as far as the weights know these (Podkopaev and Ramdas,
    "Distribution-free uncertainty quantification for classification under label shift", UAI 2021);
    the new group weighs as much as the mean one.

    Args:
        scores: (n,) the higher the stranger.
        coverage: between 0 and 1.
        groups: (n,) the group of every row; None = every row by itself.
        weights: (n,) how much each row counts (`share_weights`); None = all alike.

    Returns:
        The threshold; infinite where the groups are too few (`least_labels`).
    """
    if not len(scores):
        return math.inf
    if groups is None:
        weight, count = np.ones(len(scores)), len(scores)
    else:
        _, code, size = np.unique(groups, return_inverse=True, return_counts=True)
        weight, count = 1.0 / size[code], len(size)
    if weights is not None:
        weight = weight * weights
    weight = weight * (count / ((count + 1) * weight.sum()))
    order = np.argsort(scores, kind="stable")
    reached = np.flatnonzero(np.cumsum(weight[order]) >= coverage - SLACK)
    return float(scores[order[reached[0]]]) if len(reached) else math.inf


def share_weights(codes: NDArray[Any], shares: Floats) -> Floats:
    """Return how much each label counts where rows have other shares of the classes; mean 1.

    Args:
        codes: (n,) classes.
        shares: (S,) of the classes among the rows that the labels stand for.
    """
    weight = np.where(counts := np.bincount(codes, minlength=len(shares)), shares, 0.0)
    found = (weight / np.maximum(counts, 1))[codes]
    mean = found.mean() if len(found) else 0.0
    return np.asarray(found / mean if mean > 0 else np.ones(len(codes)))


def check_coverage(coverage: float) -> float:
    """Return a coverage, checked.

    Raises:
        LabelweaveError: it does not lie between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise LabelweaveError(f"coverage: found {coverage}, expected a number between 0 and 1")
    return float(coverage)
