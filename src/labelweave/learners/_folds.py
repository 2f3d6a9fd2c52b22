"""Folds: which rows are predicted by models that did not see them."""

import numpy as np
from numpy.typing import NDArray

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
    totals = _strata(task, codes, group)
    order = np.random.default_rng(seed).permutation(len(totals))
    # of every stratum the number of groups that hold it
    holders = (totals > 0).sum(axis=0)
    rarest = np.where(totals > 0, holders, n + 1).min(axis=1, initial=n + 1)
    order = order[np.argsort(rarest[order], kind="stable")]
    fold = np.zeros(len(totals), np.int64)
    filled = np.zeros((count, totals.shape[1]))
    rows = np.bincount(group, minlength=len(totals))
    load = np.zeros(count)
    for g in order:
        held = totals[g] > 0
        if (holders[held] == 1).any() and isinstance(task, Multiclass):
            fold[g] = ALWAYS
            continue
        # the rarest stratum decides, the load breaks ties
        key = np.argmin(np.where(held, holders, n + 1)) if held.any() else None
        first = filled[:, key] if key is not None else np.zeros(count)
        best = np.lexsort((np.arange(count), load, first))[0]
        fold[g] = best
        filled[best] += totals[g]
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


def _strata(task: Task, codes: Codes, group: Codes) -> NDArray[np.float64]:
    """Return how many labels of each class (or label value) every group holds, (groups, S)."""
    size = int(group.max(initial=-1)) + 1
    if isinstance(task, Multiclass):
        totals = np.zeros((size, task.width))
        seen = codes >= 0
        np.add.at(totals, (group[seen], codes[seen]), 1)
        return totals
    totals = np.zeros((size, 2 * task.width))
    for j in range(task.width):
        for value in (0, 1):
            np.add.at(totals[:, 2 * j + value], group[codes[:, j] == value], 1)
    return totals
