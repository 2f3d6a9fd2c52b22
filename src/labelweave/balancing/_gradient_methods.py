"""The tasks' gradients at the shared features, without a backward pass for each.

The heads are one matrix, so the gradient that reaches the features F through the head of task t is
D_t W_t: the columns of D = d loss / d scores that are the task's, times its rows of the weights. It
holds the task's supervised loss and its share of every coupling; the rows of all tasks sum to the
gradient of the total.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def segments_of(widths: Sequence[int]) -> Tensor:
    """Return which column of the scores is whose task's, (sum of widths, m), 1 or 0."""
    owner = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(list(widths)))
    return torch.nn.functional.one_hot(owner, len(widths)).float()


def task_gramian(scores_gradient: Tensor, weight: Tensor, segments: Tensor) -> Tensor:
    """Return the inner products of the tasks' gradients at the features, (m, m).

    <D_t W_t, D_s W_s> = sum over i of t and j of s of (D' D)[i, j] (W W')[i, j].

    Args:
        scores_gradient: D, (n, W).
        weight: of the heads, (W, features).
        segments: of `segments_of`, (W, m).
    """
    products = (scores_gradient.T @ scores_gradient) * (weight @ weight.T)
    return segments.T @ products @ segments


def combined(scores_gradient: Tensor, weight: Tensor, segments: Tensor, weights: Tensor) -> Tensor:
    """Return sum_t weights[t] D_t W_t, (n, features)."""
    return (scores_gradient * (segments @ weights)) @ weight


def routed(scores: Tensor, features: Tensor, back: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the scores, from whose gradient the features are to get theirs by `back`.

    For scores of detached features: the layer between then computes no gradient for the features
    that would be thrown away, only that of its weights.
    """
    return _Joined.apply(scores, features, back)  # type: ignore[no-any-return, no-untyped-call]


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, features: Tensor, back: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.back = back
        return scores.view_as(scores)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        return gradient, ctx.back(gradient), None


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


Matrix = NDArray[np.float64]
Sides = NDArray[np.bool_]
ROUNDS = 8
TINY = 1e-12  # a slope of rounding


def nonnegative(Q: Matrix, B: Matrix) -> Matrix:
    """Return argmin z' Q z / 2 - b' z over z >= 0 for each row b of `B`, (n, k).

    A guess of where z is above 0 makes z a solution of equations; what contradicts the guess, a z
    below 0 or a slope below 0 where z is 0, changes sides, until nothing does: then z is optimal
    (block principal pivoting: Júdice and Pires, Computers & Operations Research 21, 1994). It
    mostly takes one or two rounds; where it does not end, Lawson and Hanson's method does.

    Args:
        Q: positive semi-definite, (k, k), of about 1.
        B: (n, k), each row in the range of `Q`.
    """
    above = B > 0
    try:
        for _ in range(ROUNDS):
            z = solved(Q, B, above)
            slope = z @ Q.T - B
            found = sides(z, slope, above)
            if (found == above).all():
                if (np.abs(slope[above]) <= TINY).all():
                    return z
                break  # Q is all but singular
            above = found
    except np.linalg.LinAlgError:
        pass
    return lawson_hanson(Q, B)


def solved(Q: Matrix, B: Matrix, above: Sides) -> Matrix:
    """Return z with Q z = b where `above`, and 0 elsewhere, for each row of `B`, (n, k).

    Raises:
        LinAlgError: it is not unique.
    """
    equations = np.where(above[:, :, None] & above[:, None, :], Q, np.eye(len(Q)))
    return np.asarray(np.linalg.solve(equations, np.where(above, B, 0.0)[:, :, None])[:, :, 0])


def sides(z: Matrix, slope: Matrix, above: Sides) -> Sides:
    """Return where z is to be above 0: not where it is below, but where it would fall from 0."""
    return np.where(above, z > 0, slope < -TINY)


def lawson_hanson(Q: Matrix, B: Matrix) -> Matrix:
    """Return the same as `nonnegative`, by its definition as least squares, for any such `Q`."""
    root = factor(Q)
    wanted = B @ np.linalg.pinv(root, rcond=1e-8)  # root' wanted = b
    from scipy.optimize import nnls  # takes half a second to load

    return np.stack([nnls(root, row)[0] for row in wanted])


def shortest(Q: Matrix) -> NDArray[np.float64]:
    """Return the weights of the shortest convex combination, for inner products (k, k), (k,).

    min w' Q w + (sum w - 1)^2 over w >= 0 has the same direction, for it only scales the
    combination.
    """
    found = nonnegative(Q + 1, np.ones((1, len(Q))))[0]
    return np.asarray(found / found.sum())


def cagrad(gramian: Gramian, step: int, c: float = 0.4) -> Weights:
    """Move the mean gradient by c times its length to where the worst task gains most.

    Liu et al., "Conflict-Averse Gradient Descent", NeurIPS 2021, algorithm 1: w minimises
    <g_w, g_0> + c |g_0| |g_w| over convex combinations g_w; what is added to g_0 is g_z with
    z = t w of the length c |g_0|.
    """
    along, reach = gramian.mean(axis=1), c * max(float(gramian.mean()), 0.0) ** 0.5
    if reach <= 0:
        return np.ones(len(gramian))
    z = added_directly(gramian, along, reach)
    return 1 + len(gramian) * (added_by_bounds(gramian, along, reach) if z is None else z)


def added_directly(gramian: Gramian, along: Weights, reach: float) -> Weights | None:
    """Return the z of CAGrad by its conditions, (k,), or None where that leads nowhere.

    Where z > 0, G z + <g_i, g_0> is the same number u for all i, so that z is linear in u and the
    length gives u. Where z = 0 it is no less than u. What contradicts changes sides, as in
    `nonnegative`.
    """
    above = along[None] <= along.min()  # the task that gains least by g_0
    both = np.stack([np.ones(len(gramian)), along])
    try:
        for _ in range(ROUNDS):
            one, other = solved(gramian, both, above)
            ones, others = float(one.sum()), float(other.sum())
            square = others**2 + ones * (reach**2 - float(other @ along))
            if ones <= 0 or square <= 0:
                return None
            u = (others + square**0.5) / ones
            z = u * one - other
            slope = gramian @ z + along - u
            found = sides(z, slope, above)
            if (found == above).all():
                return z if (np.abs(slope[above[0]]) <= TINY).all() else None
            above = found
    except np.linalg.LinAlgError:
        pass
    return None


def added_by_bounds(gramian: Gramian, along: Weights, reach: float) -> Weights:
    """Return the z of CAGrad for any Gramian, (k,).

    The length of g_w is replaced by its quadratic upper bound, (|g_w|^2 / q + q) / 2 with
    q = |g_w| as it was, until that settles.
    """
    mean = float(along.mean())
    length = mean**0.5
    for _ in range(50):
        # <g_w, g_0> + t/2 |g_w|^2 is a squared length on the simplex, up to a constant
        t = reach / max(length, 1e-6)
        weights = shortest(gramian + (along[:, None] + along) / t + mean / t**2)
        before, length = length, max(float(weights @ gramian @ weights), 0.0) ** 0.5
        if abs(length - before) < 1e-4 * before:
            break
    return np.asarray(reach / max(length, 1e-6) * weights)


def mgda(gramian: Gramian, step: int) -> Weights:
    """Find the shortest convex combination of the gradients, which conflicts with none of them.

    Sener and Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, eq. 3.
    """
    return len(gramian) * shortest(gramian)


def nash_mtl(gramian: Gramian, step: int) -> Weights:
    """Solve the bargain G w = 1 / w: every task gains the same relative share.

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
