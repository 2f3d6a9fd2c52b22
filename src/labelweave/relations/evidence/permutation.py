"""Two permutation nulls: labels exchanged between rows, and rows of the table between classes.

Both ask how often chance reaches the fit of the relation: the covariance of its predictions q with
what the benchmark leaves unexplained of the labels, in standard deviations of the labels, summed
over the columns. It is the score statistic for "q adds nothing".
"""

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.evidence.elements import Elements, Floats

ROWS = 10_000  # the null of more rows is narrower, and no relation worth having needs that
SAME = 0.1  # an exchange that moves the table less than this share of the usual is no exchange


def residuals(elements: Elements, benchmark: Floats) -> Floats:
    """Return label minus benchmark, centred and scaled to variance one per column, (n, W).

    Missing elements are 0, and so is a column without variation.
    """
    seen = elements.seen
    count = np.maximum(seen.sum(axis=0), 1)
    gap = np.where(seen, elements.values - benchmark, 0.0)
    gap = np.where(seen, gap - gap.sum(axis=0) / count, 0.0)
    spread = np.sqrt((gap**2).sum(axis=0) / count)
    return np.where(spread > 0, gap / np.where(spread > 0, spread, 1.0), 0.0)


def rows_exchanged(
    scores: Floats,
    residual: Floats,
    groups: NDArray[np.int64],
    permutations: int,
    generator: np.random.Generator,
) -> float:
    """Return the p-value under the null that predictions and labels are independent.

    The labels are dealt out to other rows, group after group in random order, so that rows that
    belong together stay neighbours (without groups this is a plain permutation).

    Args:
        scores: (n, W) the relation's predictions.
        residual: (n, W) of `residuals`.
        groups: (n,) the group of every row, 0 to G - 1.
        permutations: number of random exchanges; the smallest p-value is 1 / (permutations + 1).
        generator: draws them, and 10,000 rows when there are more.
    """
    count = int(groups.max()) + 1
    order = np.argsort(generator.permutation(count)[groups], kind="stable")[:ROWS]
    p, r, g = scores[order], residual[order], groups[order]
    fit = float((p * r).sum())
    reached = 0
    for _ in range(permutations):
        left, right = (np.argsort(generator.permutation(count)[g], kind="stable") for _ in range(2))
        reached += float((p[left] * r[right]).sum()) >= fit
    return (1 + reached) / (1 + permutations)


def classes_exchanged(
    table: Floats,
    source_probabilities: Floats,
    residual: Floats,
    permutations: int,
    generator: np.random.Generator,
) -> float | None:
    """Return the p-value under the null that the table's rows belong to the classes by chance.

    A shuffled table can pass `rows_exchanged`: some classes keep a fitting row by luck. It cannot
    fit better than most other shuffled tables do. Exchanges that leave the table nearly as it is
    do not count. With two or three classes there are few others, and the test catches little.

    Args:
        table: (K, W), unknown entries filled.
        source_probabilities: (n, K).
        residual: (n, W) of `residuals`.
        permutations: number of random exchanges.
        generator: draws them.

    Returns:
        The p-value, or None when all rows of the table are alike.
    """
    # the fit is linear in the table, so that an exchange costs K x W and not n x K x W
    affinity = source_probabilities.T @ residual
    orders = [generator.permutation(len(table)) for _ in range(permutations)]
    moved = np.array([((table[order] - table) ** 2).sum() for order in orders])
    fits = np.array([(table[order] * affinity).sum() for order in orders])
    other = moved > SAME * moved.mean()
    if not other.any():
        return None
    reached = int((fits[other] >= (table * affinity).sum()).sum())
    return (1 + reached) / (1 + int(other.sum()))
