"""Gradient methods: weights of the tasks' gradients from the inner products of these.

Each result is sum_t w_t g_t with weights w that depend on the Gramian G alone. Here G is scaled to
a mean diagonal of 1, and the weights so that gradients of equal length that do not conflict get 1
each: changing the method does not change the learning rate.
"""

from typing import Literal

import numpy as np

from labelweave.balancing.gramian import Gramian, Weights, cosines_of
from labelweave.balancing.nonnegative import nonnegative, shortest


def mgda(gramian: Gramian, step: int) -> Weights:
    """Find the shortest convex combination of the gradients, which conflicts with none of them.

    Sener and Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, eq. 3.
    """
    return len(gramian) * shortest(gramian)


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
    rows = gramian.tolist()  # for a few numbers, lists are faster
    weights = [1.0] * k
    for own in rows:
        inner = own  # products of what is kept of the gradient with all gradients
        for other in rng.permutation(k).tolist():
            if inner[other] < 0:
                share = inner[other] / rows[other][other]
                weights[other] -= share
                inner = [a - share * b for a, b in zip(inner, rows[other], strict=True)]
    return np.array(weights)


def config(gramian: Gramian, step: int) -> Weights:
    """Find the direction with the same angle to all gradients, as long as they are along it.

    Liu, Chu and Thuerey, "ConFIG: Towards Conflict-free Training of Physics Informed Neural
    Networks", ICLR 2025, equation 2.
    """
    cosines, lengths = cosines_of(gramian)
    values, vectors = np.linalg.eigh(cosines)
    inverse = 1 / np.where(values > 1e-6 * values[-1], values, np.inf)  # of Moore and Penrose
    direction = vectors @ (inverse * vectors.sum(axis=0)) / lengths  # of the gradients
    squared = float(direction @ gramian @ direction)
    along = float((gramian @ direction).sum())
    return np.asarray(direction * along / max(squared, 1e-12))


def upgrad(gramian: Gramian, step: int) -> Weights:
    """Project every gradient to where it conflicts with none, and sum.

    Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024, equation 5: the
    projection of g_i is g_i + sum_j z_j g_j with the z >= 0 that make it shortest.
    """
    cosines, lengths = cosines_of(gramian)
    z = nonnegative(cosines, -cosines)
    return np.asarray(1 + lengths @ z / lengths)


def aligned_mtl(
    gramian: Gramian, step: int, scale: Literal["min", "median", "rmse"] = "min"
) -> Weights:
    """Make the gradients' principal directions equally long.

    Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023,
    algorithm 1: with the smallest of their squared lengths, the (lower) median or the mean.
    """
    values, vectors = np.linalg.eigh(gramian)
    real = values > values[-1] * len(values) * np.finfo(np.float64).eps
    values, vectors = values[real], vectors[:, real]
    middle = values[(len(values) - 1) // 2]
    length = {"min": values[0], "median": middle, "rmse": values.mean()}[scale]
    return np.asarray(vectors @ (np.sqrt(length / values) * vectors.sum(axis=0)))
