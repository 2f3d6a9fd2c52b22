"""Small problems of non-negative least squares, solved exactly, many at once."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from labelweave.balancing.gramian import factor

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
    return np.stack([nnls(root, row)[0] for row in wanted])


def shortest(Q: Matrix) -> NDArray[np.float64]:
    """Return the weights of the shortest convex combination, for inner products (k, k), (k,).

    min w' Q w + (sum w - 1)^2 over w >= 0 has the same direction, for it only scales the
    combination.
    """
    found = nonnegative(Q + 1, np.ones((1, len(Q))))[0]
    return np.asarray(found / found.sum())
