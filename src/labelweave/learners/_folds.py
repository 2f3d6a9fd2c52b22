"""Folds: which rows are predicted by models that did not see them."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass, Task

Codes = NDArray[np.integer]
Folds = NDArray[np.int64]

LARGE = 10_000  # from so many rows without groups on, every class (label pattern) goes in turn
ALWAYS = -1  # the fold of rows that every model is trained on


def assign_folds(task: Task, codes: Codes, groups: Codes | None, count: int, seed: int) -> Folds:
    """Return a fold of every row, (n,): 0 to count - 1, stratified by class, groups kept whole.

    A class whose labels all lie in one row (or one group) cannot be held out: a model without it
    knows nothing of the class. These rows get `ALWAYS` and are in every training part.

    Rows (groups) are assigned in random order, those of the rarest class first; each goes to the
    fold that has the fewest of its class, then to the smallest. Rows without a label of this task
    get folds as well, evenly.

    Args:
        task: the task.
        codes: its labels, (n,) or (n, L); -1 = missing.
        groups: (n,) group of every row; None = each row is alone.
        count: number of folds, at least 2.
        seed: decides the order.

    Raises:
        LabelweaveError: fewer than 2 folds, or groups of another length.
    """
    n = len(codes)
    if count < 2:
        raise LabelweaveError(f"folds of '{task.name}': found {count}, expected at least 2")
    if groups is not None and len(groups) != n:
        raise LabelweaveError(f"groups: found {len(groups)}, expected one a row, {n}")
    if n > LARGE and (groups is None or len(np.unique(groups)) == n):
        return _in_turn(task, codes, count, seed)
    group = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    strata = _strata(task, codes, group)
    size = strata.shape[0]
    order = np.random.default_rng(seed).permutation(size)
    # of every stratum the number of groups that hold it
    holders = np.bincount(strata.indices, minlength=strata.shape[1])
    rarest = np.full(size, n + 1)
    np.minimum.at(
        rarest, np.repeat(np.arange(size), np.diff(strata.indptr)), holders[strata.indices]
    )
    order = order[np.argsort(rarest[order], kind="stable")]
    fold = np.zeros(size, np.int64)
    filled = np.zeros((count, strata.shape[1]))
    rows = np.bincount(group, minlength=size)
    load = np.zeros(count)
    for g in order:
        inside = slice(strata.indptr[g], strata.indptr[g + 1])
        held, labels = strata.indices[inside], strata.data[inside]
        if (holders[held] == 1).any() and isinstance(task, Multiclass):
            fold[g] = ALWAYS
            continue
        # the rarest stratum decides, the load breaks ties
        first = filled[:, held[np.argmin(holders[held])]] if len(held) else np.zeros(count)
        best = np.lexsort((np.arange(count), load, first))[0]
        fold[g] = best
        filled[best, held] += labels
        load[best] += rows[g]
    return fold[group]


def _in_turn(task: Task, codes: Codes, count: int, seed: int) -> Folds:
    """Return folds assigned in turn within each class, or each pattern of labels."""
    stratum = codes if codes.ndim == 1 else np.unique(codes, axis=0, return_inverse=True)[1]
    stratum = np.asarray(stratum).reshape(-1)
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(stratum[order], kind="stable")]
    fold = np.empty(len(codes), np.int64)
    fold[order] = np.arange(len(codes)) % count
    if isinstance(task, Multiclass):
        alone = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=task.width) == 1)
        fold[np.isin(codes, alone)] = ALWAYS
    return fold


def _strata(task: Task, codes: Codes, group: Codes) -> sparse.csr_array:
    """Return how many labels of each class (or label value) every group holds, (groups, S)."""
    if isinstance(task, Multiclass):
        rows, column, width = np.flatnonzero(codes >= 0), codes[codes >= 0], task.width
    else:
        rows, labels = np.nonzero(codes >= 0)
        column, width = 2 * labels + codes[rows, labels], 2 * task.width
    size = int(group.max(initial=-1)) + 1
    places = np.ones(len(rows)), (group[rows], column)
    found = sparse.csr_array(places, shape=(size, width))  # adds up what lies in one place
    found.sort_indices()
    return found
