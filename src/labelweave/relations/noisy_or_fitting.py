"""Maximum likelihood for a noisy-OR, one target label at a time."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from labelweave.errors import LabelweaveError
from labelweave.tasks import Multilabel

Floats = NDArray[np.float64]

HIGHEST = 1 - 1e-6  # of weights and leaks: a certain cause has no finite likelihood
TINY = 1e-12


def cause_values(name: str, source: Multilabel, values: ArrayLike, n: int) -> Floats:
    """Return labels or probabilities of the causes, (n, L_s), the missing ones at their mean.

    Raises:
        LabelweaveError: a wrong shape, or a value that is no probability and not -1.
    """
    p = np.array(values, dtype=np.float64)
    if p.shape != (n, source.width):
        raise LabelweaveError(
            f"noisy-OR {name}: found source values of shape {p.shape}, expected {(n, source.width)}"
        )
    known = p != -1
    wrong = known & ~((p >= 0) & (p <= 1))
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise LabelweaveError(
            f"noisy-OR {name}, row {row + 1}, '{source.names[column]}': found {p[row, column]:.4g},"
            " expected a probability from 0 to 1, or -1 = missing"
        )
    mean = np.where(known, p, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, p, mean)


def fit_label(
    p: Floats, on: NDArray[np.bool_], pseudo_off: Floats, pseudo_on: Floats
) -> tuple[Floats, float]:
    """Return the likeliest weights (L_s,) and leak of one target label.

    Args:
        p: (n, L_s) values of the causes.
        on: (n,) whether the label is on.
        pseudo_off: (L_s + 1,) further rows with one cause alone (last: without any) and label off.
        pseudo_on: the same with the label on.
    """

    def loss(parameters: Floats) -> tuple[float, Floats]:
        # a leak is a cause that is always there
        off = 1 - parameters * causes
        q_off = np.prod(off, axis=1)
        q_on = np.maximum(1 - q_off, TINY)
        rest, weight = 1 - parameters, np.maximum(parameters, TINY)
        value = -np.log(np.where(on, q_on, np.maximum(q_off, TINY))).sum()
        value -= (pseudo_off * np.log(rest) + pseudo_on * np.log(weight)).sum()
        slope = np.where(on, -q_off / q_on, 1.0)[:, None] * (causes / off)
        return float(value), slope.sum(axis=0) + pseudo_off / rest - pseudo_on / weight

    causes = np.concatenate([p, np.ones((len(p), 1))], axis=1)
    base = (on.sum() + 0.5) / (len(on) + 1)
    start = np.append(np.full(p.shape[1], 0.5 * base), 0.5 * base)
    bounds = [(0.0, HIGHEST)] * p.shape[1] + [(TINY, HIGHEST)]
    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1], float(found.x[-1])
