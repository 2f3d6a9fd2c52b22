"""Gradient methods: weights of the tasks' gradients from the inner products of these.

The Gramian G[t, s] = <g_t, g_s> of k gradients tells all that these methods look at: each result is
sum_t w_t g_t with weights w that depend on G alone. Here G is scaled to a mean diagonal of 1, and
the weights so that gradients of equal length that do not conflict get 1 each: changing the method
does not change the learning rate.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls

Gramian = NDArray[np.float64]
Weights = NDArray[np.float64]


def factor(gramian: Gramian) -> NDArray[np.float64]:
    """Return R with R' R = `gramian`: its columns stand for the gradients, (k, k)."""
    # by eigenvalues, since rounding can leave those of dependent gradients below 0
    values, vectors = np.linalg.eigh(gramian)
    return np.asarray(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)


def shortest(columns: NDArray[np.float64]) -> Weights:
    """Return the weights of the shortest convex combination of the columns of (r, k), (k,).

    min |R w|^2 + (sum w - 1)^2 over w >= 0 has the same direction, for it only scales the
    combination; it is a problem of non-negative least squares, solved exactly.
    """
    ones = np.ones((1, columns.shape[1]))
    found, _ = nnls(np.vstack([columns, ones]), np.append(np.zeros(len(columns)), 1.0))
    return np.asarray(found / found.sum())


def mgda(gramian: Gramian, step: int) -> Weights:
    """Find the shortest convex combination of the gradients, which conflicts with none of them.

    Sener and Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, eq. 3.
    """
    return len(gramian) * shortest(factor(gramian))


def cagrad(gramian: Gramian, step: int, c: float = 0.4) -> Weights:
    """Move the mean gradient by c times its length to where the worst task gains most.

    Liu et al., "Conflict-Averse Gradient Descent", NeurIPS 2021, algorithm 1: w minimises
    <g_w, g_0> + c |g_0| |g_w| over convex combinations g_w. The length is replaced by its
    quadratic upper bound, (|g_w|^2 / q + q) / 2 with q = |g_w| as it was, until that settles.
    """
    k = len(gramian)
    columns = factor(gramian)
    mean = columns.mean(axis=1)
    reach = c * float(np.linalg.norm(mean))
    if reach <= 0:
        return np.ones(k)
    weights = np.full(k, 1 / k)
    length = float(np.linalg.norm(mean))
    for _ in range(50):
        # <g_w, g_0> + t/2 |g_w|^2 is a squared length on the simplex, up to a constant
        t = reach / max(length, 1e-6)
        weights = shortest(columns + mean[:, None] / t)
        before, length = length, float(np.linalg.norm(columns @ weights))
        if abs(length - before) < 1e-4 * before:
            break
    return 1 + k * (reach / max(length, 1e-6)) * weights


def nash_mtl(gramian: Gramian, step: int) -> Weights:
    """Solve the bargain G w = 1 / w: every task gains the same share of its own.

    Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, claim 3.1. It is where
    w' G w / 2 - sum log w, a convex function, is smallest; found by Newton's method.
    """
    k = len(gramian)
    G = gramian + 1e-6 * np.eye(k)  # opposed gradients have no bargain
    w = 1 / np.sqrt(G.diagonal() + 1e-12)
    for _ in range(50):
        gradient = G @ w - 1 / w
        move = np.linalg.solve(G + np.diag(1 / w**2), gradient)
        # the function is self-concordant: this step stays inside and always descends
        decrement = max(float(gradient @ move), 0.0) ** 0.5
        w = w - move / (1 + decrement) if decrement > 0.25 else w - move
        if decrement < 1e-6:
            break
    return np.asarray(k * w / w.sum())


def pcgrad(gramian: Gramian, step: int) -> Weights:
    """Take what points against another gradient off each, task by task in random order.

    Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, algorithm 1. The order is
    drawn by the step, so that resuming needs no state.
    """
    k = len(gramian)
    rng = np.random.default_rng(step)
    kept = np.eye(k)
    rows = gramian.tolist()
    for own in kept:
        for other in rng.permutation(k):
            against = float(np.dot(rows[other], own))
            if against < 0:
                own[other] -= against / rows[other][other]
    return np.asarray(kept.sum(axis=0))


def config(gramian: Gramian, step: int) -> Weights:
    """Find the direction with the same angle to all gradients, as long as they are along it.

    Liu, Chu and Thuerey, "ConFIG: Towards Conflict-free Training of Physics Informed Neural
    Networks", ICLR 2025, equation 2.
    """
    lengths = np.sqrt(gramian.diagonal())
    cosines = gramian / np.outer(lengths, lengths)
    units = np.linalg.pinv(cosines, rcond=1e-6, hermitian=True).sum(axis=1)
    direction = units / lengths  # of the gradients
    squared = float(direction @ gramian @ direction)
    along = float((gramian @ direction).sum())
    return np.asarray(direction * along / max(squared, 1e-12))


def upgrad(gramian: Gramian, step: int) -> Weights:
    """Project every gradient to where it conflicts with none, and sum; by torchjd.

    Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024, equation 5.
    """
    from torchjd.aggregation import UPGradWeighting

    from labelweave.balancing.projector import projector

    ones = torch.ones(len(gramian), dtype=torch.float64)
    return _torchjd(UPGradWeighting(ones, projector=projector()), gramian)


def aligned_mtl(gramian: Gramian, step: int, scale: Any = "min") -> Weights:
    """Make the gradients' principal directions equally long; by torchjd.

    Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023,
    algorithm 1.
    """
    from torchjd.aggregation import AlignedMTLWeighting

    ones = torch.ones(len(gramian), dtype=torch.float64)
    return _torchjd(AlignedMTLWeighting(ones, scale_mode=scale), gramian)


def _torchjd(weighting: Any, gramian: Gramian) -> Weights:
    found: Weights = weighting(torch.from_numpy(gramian)).numpy()
    return found
