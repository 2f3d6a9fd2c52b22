"""The bootstrap over groups of rows, in bounded memory."""

import numpy as np
from numpy.typing import NDArray

from labelweave.evaluation._comparison import CHUNK, bootstrap_weights
from labelweave.evaluation._metrics import CalibrationError

Floats = NDArray[np.float64]


class Resampling:
    """Resamplings of groups of rows, the same for whatever is measured on the rows.

    Args:
        codes: (n,) the group of every row, from 0.
        replicates: B, the number of resamplings.
        seed: their seed.
    """

    def __init__(self, codes: NDArray[np.int64], replicates: int, seed: int) -> None:
        self.codes, self.groups = codes, int(codes.max(initial=-1)) + 1
        self.weights = bootstrap_weights(self.groups, replicates, seed)

    def means(self, values: Floats, base: NDArray[np.bool_] | Floats) -> Floats:
        """Return the mean of values (n,), over rows weighted by base (n,), in each resampling.

        NaN where none of these rows is drawn.
        """
        weight = np.asarray(base, np.float64)
        sums = np.stack(
            [np.bincount(self.codes, each, self.groups) for each in (weight * values, weight)],
            axis=1,
        )
        found = np.concatenate(
            [np.zeros((0, 2)), *(part.astype(np.float64) @ sums for part in self._parts())]
        )
        empty = np.full(len(found), np.nan)
        return np.asarray(np.divide(found[:, 0], found[:, 1], out=empty, where=found[:, 1] > 0))

    def errors(self, error: CalibrationError, rows: NDArray[np.int64]) -> Floats:
        """Return a calibration error of some rows in each resampling.

        Args:
            error: of the elements of these rows, one each.
            rows: their places.
        """
        parts = [
            error(np.ascontiguousarray(part[:, self.codes[rows]].T, np.float64))
            for part in self._parts(max(self.groups, len(rows)))
        ]
        return np.concatenate([np.zeros(0), *parts])

    def interval(
        self, values: Floats, base: NDArray[np.bool_] | Floats, level: float
    ) -> tuple[float, float]:
        """Return the percentile interval of the mean, see `means`."""
        return ends(self.means(values, base), level)

    def _parts(self, width: int | None = None) -> list[NDArray[np.uint16]]:
        step = max(1, CHUNK // max(1, width or self.groups))
        return [self.weights[i : i + step] for i in range(0, len(self.weights), step)]


def ends(drawn: Floats, level: float) -> tuple[float, float]:
    """Return the percentiles between which a share `level` of the drawn values lies."""
    low, high = np.nanquantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
