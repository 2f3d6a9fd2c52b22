"""Shares of the sources by which all tasks have equally many labels in a batch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from labelweave.annotations import Annotations
from labelweave.balancing.sampling import Rows

TIE = 1e-2  # how strongly shares are drawn to those of the rows where the tasks leave a choice


def elements_per_row(sources: Sequence[Rows], annotations: Annotations) -> NDArray[np.float64]:
    """Return the mean number of labelled elements of a source's row, (tasks, sources)."""
    columns = []
    for task in annotations.tasks:
        seen = annotations.observed(task.name)
        per_row = seen if seen.ndim == 1 else seen.sum(axis=1)
        columns.append([float(per_row[rows].mean()) for rows in sources])
    return np.array(columns)


def label_shares(sources: Sequence[Rows], annotations: Annotations) -> NDArray[np.float64]:
    """Return the shares of the sources, (S,), by which the tasks come nearest to equal counts.

    With A[t, d] labelled elements of task t in a row of source d, min |A x - 1|^2 over x >= 0 and
    shares x / sum x: relative differences count, whatever the batch size. Sources that label the
    same share it by their rows. A source without any label keeps the share of its rows, for the
    couplings. A source may get nothing, where all that it labels is plentiful elsewhere.

    Args:
        sources: the row indices of each source, none empty.
        annotations: the labels of the rows; tasks without any label do not count.
    """
    sizes = np.array([len(rows) for rows in sources], dtype=np.float64)
    rows: NDArray[np.float64] = sizes / sizes.sum()
    A = elements_per_row(sources, annotations)
    A = A[A.sum(axis=1) > 0]
    labelled = A.sum(axis=0) > 0
    if not labelled.any():
        return rows
    A, own = A[:, labelled], rows[labelled]
    per_batch = A @ own
    # the row shares, as near to it as can be
    start = own * per_batch.sum() / (per_batch @ per_batch)
    # per unit of x, so that sources with many labels a row are not held back less
    tie = TIE * np.diag(np.linalg.norm(A, axis=0))
    x, _ = nnls(np.vstack([A, tie]), np.concatenate([np.ones(len(A)), tie @ start]))
    shares = rows.copy()
    shares[labelled] = own.sum() * x / x.sum()
    return shares
