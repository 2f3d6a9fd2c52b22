"""How far a head's probabilities are to be believed: p^power, normalised.

A power below 1 makes an over-confident head more cautious. It is started from a confusion matrix
where there is one, and learnt along with the table.
"""

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.estimation.columns import Matrix

LEAST, MOST = 0.05, 2.0  # limits of a power
STEP = 0.2  # the most that one Newton step changes


def newton_step(
    power: NDArray[np.float64], slope: NDArray[np.float64], curvature: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the powers after one guarded Newton step up a concave log-likelihood.

    Args:
        power: the powers so far, any shape.
        slope: first derivative of the log-likelihood, same shape.
        curvature: minus its second derivative, same shape, not negative.
    """
    step = slope / np.maximum(curvature, 1e-9)
    return np.asarray(np.clip(power + np.clip(step, -STEP, STEP), LEAST, MOST))


def matched_power(log_p: NDArray[np.floating], counts: Matrix) -> float:
    """Return the power at which a head is as confident, on average, as it is accurate.

    Args:
        log_p: (n, C) log-probabilities of the rows to be used.
        counts: (C, C) true class x predicted class, on labelled rows kept out of training. Only
            the accuracy is taken from it: a whole matrix from few rows proved too noisy.

    Returns:
        The power, from 0.05 to 2; 1 where there is nothing to match.
    """
    if not len(log_p) or not counts.sum() > 0:
        return 1.0
    accuracy = np.trace(counts) / counts.sum()
    low, high = LEAST, MOST
    for _ in range(20):
        middle = 0.5 * (low + high)
        scores = middle * log_p
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        confidence = float((weights.max(axis=1) / weights.sum(axis=1)).mean())
        low, high = (middle, high) if confidence < accuracy else (low, middle)
    return 0.5 * (low + high)
