"""Training rows kept out in turn, to see how far predictions can be trusted."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelweave.data.stratification import deal, label_counts
from labelweave.study.fold import Fold, Rows

STREAM = 11  # random numbers of its own, not those that scatter labels


def kept_out(fold: Fold, parts: int) -> Iterator[tuple[Fold, NDArray[np.int64]]]:
    """Give for each part the fold that trains on the other parts and tests on it, and its rows.

    Every label is dealt evenly to the parts: of two rows of a class, one trains when the other is
    kept out. Rows of one group are kept out together.

    Args:
        fold: the data of one seed.
        parts: number of parts, at least 2.
    """
    _, unit = np.unique(fold.train.groups, return_inverse=True)
    labels = label_counts(fold.train.annotations, fold.source, unit)
    rng = np.random.default_rng([fold.seed, STREAM])
    part = deal(labels, np.bincount(unit), np.ones(parts, dtype=np.int64), rng)[unit]
    for number in range(parts):
        kept, out = np.flatnonzero(part != number), np.flatnonzero(part == number)
        inner = replace(
            fold, train=_some(fold.train, kept), source=fold.source[kept], everything=None,
            test=_some(fold.train, out), relations=(),
        )  # fmt: skip
        yield inner, out


def _some(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    return Rows(
        rows.inputs[chosen], rows.annotations[chosen], rows.index[chosen], rows.groups[chosen]
    )
