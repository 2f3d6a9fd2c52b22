"""Iterative stratification: deal units to sides so that each side gets its share of every label.

Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data" (2011), changed for
speed: all units that carry a label are dealt in one step, not one by one. That would leave their
other labels to chance, so the units are first put in an order in which similar ones are neighbours,
and dealt evenly along it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from labelweave.annotations import Annotations
from labelweave.tasks import Multiclass

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def label_counts(
    annotations: Annotations, source: NDArray[np.int64], unit: NDArray[np.int64]
) -> csr_array:
    """Count the labels of every unit: sparse (units, labels), missing labels left out.

    The labels are every class of the multiclass tasks, on and off of every label of the multilabel
    tasks, and the source, which every row has.

    Args:
        annotations: the labels of n rows.
        source: the index of each row's source, (n,).
        unit: the index of each row's unit, (n,): the rows that must stay together.
    """
    rows, labels, width = [], [], 0
    for task in annotations.tasks:
        codes = annotations.labels[task.name]
        if isinstance(task, Multiclass):
            (row,) = np.nonzero(codes >= 0)
            label = codes[row]
            size = task.width
        else:
            row, element = np.nonzero(codes >= 0)
            label = 2 * element + codes[row, element]
            size = 2 * task.width
        rows.append(unit[row])
        labels.append((label + width).astype(np.int32))
        width += size
    rows.append(unit)
    labels.append((source + width).astype(np.int32))
    where = (np.concatenate(rows).astype(np.int32), np.concatenate(labels))
    ones = np.ones(len(where[0]), dtype=np.int32)
    shape = (int(unit.max()) + 1, width + int(source.max()) + 1)
    return csr_array(coo_array((ones, where), shape=shape))


def deal(labels: csr_array, sizes: Ints, wanted: Ints, rng: np.random.Generator) -> Ints:
    """Return the side of every unit, (units,).

    Label by label, the rarest among the units not yet dealt first, all remaining units with that
    label are dealt in proportion to what each side still wants of it.

    Args:
        labels: how often each unit carries each label, (units, labels); no unit without any.
        sizes: the rows of each unit, (units,).
        wanted: the rows each side shall get; only their proportions count.
        rng: the source of chance.
    """
    share = wanted / wanted.sum()
    by_label = labels.tocsc()
    left = np.asarray(labels.sum(axis=0), dtype=np.float64)
    want = np.outer(share, left)
    given = np.zeros(len(share))
    # the commonest labels first: they say most about how similar two units are
    commonness = np.argsort(np.argsort(-left, kind="stable"))
    likeness = labels @ 0.5**commonness
    side = np.full(labels.shape[0], -1, dtype=np.int64)
    while left.any():
        label = int(np.argmin(np.where(left > 0, left, np.inf)))
        among = slice(by_label.indptr[label], by_label.indptr[label + 1])
        units, counts = by_label.indices[among], by_label.data[among]
        open_ = side[units] < 0
        units, counts = units[open_], counts[open_]
        owed = share * given.sum() - given
        side[units] = _deal_label(counts, likeness[units], want[:, label], share, owed, rng)
        for s in range(len(share)):
            dealt = units[side[units] == s]
            taken = np.asarray(labels[dealt].sum(axis=0))
            want[s] -= taken
            left -= taken
            given[s] += sizes[dealt].sum()
    return side


def settle(side: Ints, sizes: Ints, target: Ints, rng: np.random.Generator) -> Ints:
    """Return the sides after moving random units until each has its rows, to within a unit.

    Args:
        side: the side of every unit, (units,).
        sizes: the rows of each unit, (units,).
        target: the rows each side shall have.
        rng: the source of chance.
    """
    side = side.copy()
    surplus = np.bincount(side, weights=sizes, minlength=len(target)).astype(np.int64) - target
    for giver in np.argsort(-surplus):
        for taker in np.argsort(surplus):
            amount = min(surplus[giver], -surplus[taker])
            units = rng.permutation(np.flatnonzero((side == giver) & (sizes <= amount)))
            moved = units[np.cumsum(sizes[units]) <= amount]
            side[moved] = taker
            rows = sizes[moved].sum()
            surplus[giver] -= rows
            surplus[taker] += rows
    return side


def _deal_label(
    counts: Ints,
    likeness: Floats,
    want: Floats,
    share: Floats,
    owed: Floats,
    rng: np.random.Generator,
) -> Ints:
    """Deal the units of one label: the largest first, those of equal count in one step."""
    order = rng.permutation(len(counts))
    order = order[np.lexsort((likeness[order], -counts[order]))]
    sizes, numbers = np.unique(counts, return_counts=True)
    want, dealt = np.maximum(want, 0), []
    for size, number in zip(sizes[::-1], numbers[::-1], strict=True):
        parts = want / want.sum() if want.sum() > 0 else share
        given = _apportion(int(number), parts, owed)
        dealt.append(_interleave(given, rng))
        want = np.maximum(want - size * given, 0)
    side = np.empty(len(counts), dtype=np.int64)
    side[order] = np.concatenate(dealt)
    return side


def _apportion(number: int, parts: Floats, owed: Floats) -> Ints:
    """Split a number of units by the largest remainder, each side within one of its quota.

    What a side is owed, over all labels so far, decides who gets the units that do not divide:
    the roundings of many rare labels would otherwise add up.
    """
    quota = number * parts
    given = np.floor(quota + 1e-9)
    rest = round(number - given.sum())
    divisible = quota - given < 1e-9
    order = np.argsort(np.where(divisible, np.inf, -(quota - given + owed)), kind="stable")
    given[order[:rest]] += 1
    return given.astype(np.int64)


def _interleave(given: Ints, rng: np.random.Generator) -> Ints:
    """Return given[s] times each side s, spread evenly over one sequence."""
    place = [(np.arange(number) + rng.random()) / max(number, 1) for number in given]
    return np.repeat(np.arange(len(given)), given)[np.argsort(np.concatenate(place))]
