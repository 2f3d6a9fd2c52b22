"""The temperature of a task: how far its scores must be softened to be as sure as right."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

from labelweave.evaluation._checks import Floats, checked
from labelweave.tasks import Multiclass, Task

LEAST, MOST = 0.2, 20.0  # rows without an error, or all wrong, would go to 0 or infinity
TINY = 1e-6


def best_temperature(task: Task, probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Return the T for which softmax(scores / T) gives labelled elements the highest likelihood.

    Temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017,
    arXiv 1706.04599); a multilabel task has one T for the sigmoids of all its labels. Above 1: the
    probabilities were over-confident.

    Args:
        task: the task, its classes known.
        probabilities: (n, K) or (n, L), of rows kept out of the training.
        labels: codes (n,) or (n, L); -1 = missing.

    Returns:
        T, from 0.2 to 20; 1 where no element is labelled.

    Raises:
        LabelweaveError: shapes, codes or probabilities that do not fit the task.
    """
    given, codes, _ = checked(task, probabilities, labels)
    if not (codes >= 0).any():
        return 1.0
    scores = scores_of(task, given)

    def loss(log_temperature: float) -> float:
        softened = scores / np.exp(log_temperature)
        if isinstance(task, Multiclass):
            rows = np.flatnonzero(codes >= 0)
            return -float(log_softmax(softened[rows], axis=1)[range(len(rows)), codes[rows]].mean())
        signs = np.where(codes == 1, 1.0, -1.0)
        return -float(log_expit(signs * softened)[codes >= 0].mean())

    # in 1 / T the loss is convex, so in log T it has one minimum
    found = minimize_scalar(loss, bounds=(np.log(LEAST), np.log(MOST)), method="bounded")
    return float(np.exp(found.x))


def scores_of(task: Task, probabilities: Floats) -> Floats:
    """Return scores (n, width) of P(class) or P(label on), which are cut off at 1e-6."""
    if isinstance(task, Multiclass):
        return np.log(np.maximum(probabilities, TINY))
    clipped = np.clip(probabilities, TINY, 1 - TINY)
    return np.log(clipped) - np.log1p(-clipped)
