"""Inner products of gradients.

The Gramian G[t, s] = <g_t, g_s> of k gradients tells all that the gradient methods look at.
"""

import numpy as np
from numpy.typing import NDArray

Gramian = NDArray[np.float64]
Weights = NDArray[np.float64]


def factor(gramian: Gramian) -> NDArray[np.float64]:
    """Return R with R' R = `gramian`: its columns stand for the gradients, (k, k)."""
    # by eigenvalues, since rounding can leave those of dependent gradients below 0
    values, vectors = np.linalg.eigh(gramian)
    return np.asarray(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)


def cosines_of(gramian: Gramian) -> tuple[Gramian, Weights]:
    """Return the cosines between gradients (k, k), and their lengths (k,)."""
    lengths = np.sqrt(gramian.diagonal())
    return gramian / np.outer(lengths, lengths), lengths
