"""CAGrad, a gradient method with a problem of its own."""

import numpy as np

from labelweave.balancing.gramian import Gramian, Weights
from labelweave.balancing.nonnegative import ROUNDS, TINY, shortest, sides, solved


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
