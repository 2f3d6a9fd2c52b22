"""Bootstrap intervals of means, with the rows of one group drawn together.

A mean of many rows needs no resampling of the rows: they are summed into at most 1,000 blocks of
whole groups, drawn at random, and the blocks are resampled. Their sums vary exactly as much.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from labelweave.relations.evidence.elements import Floats

BLOCKS = 1000


class Resampling:
    """The same bootstrap resamplings for every mean over the same rows.

    Args:
        groups: (n,) the group of every row, 0 to G - 1.
        replicates: number of resamplings.
        level: of the intervals, between 0 and 1.
        generator: makes the blocks and draws.
    """

    def __init__(
        self,
        groups: NDArray[np.int64],
        replicates: int,
        level: float,
        generator: np.random.Generator,
    ) -> None:
        count = int(groups.max()) + 1
        size = min(count, BLOCKS)
        block = (generator.permutation(count) % size)[groups]
        n = len(groups)
        self._sums = csr_array((np.ones(n), (block, np.arange(n))), shape=(size, n))
        self._weights = generator.multinomial(size, np.full(size, 1 / size), replicates)
        self._tails = ((1 - level) / 2, (1 + level) / 2)

    def mean(self, totals: Floats, counts: Floats) -> tuple[Floats, Floats, Floats]:
        """Return sum(totals) / sum(counts) over the rows and its interval, each (W,).

        Args:
            totals: (n, W).
            counts: (n, W), how many elements an entry of `totals` is the sum of.

        Returns:
            mean, low and high; NaN for a column without elements.
        """
        above, below = np.asarray(self._sums @ totals), np.asarray(self._sums @ counts)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = above.sum(axis=0) / below.sum(axis=0)
            drawn = (self._weights @ above) / (self._weights @ below)
        # a resampling may miss all elements of a rare column
        drawn = np.where(np.isfinite(drawn), drawn, mean)
        low, high = np.quantile(drawn, self._tails, axis=0)
        return mean, low, high
