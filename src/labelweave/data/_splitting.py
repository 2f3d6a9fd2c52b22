"""Splits: train, validation and test rows, stratified by every label and never across a group."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from labelweave._messages import Message, Text, some
from labelweave.annotations import Annotations
from labelweave.data._collection import SIDES, Collection, Side
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def unit_labels(
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


def stratify(labels: csr_array, sizes: Ints, wanted: Ints, rng: np.random.Generator) -> Ints:
    """Return the side of every unit, (units,).

    Takes one label after another, always the rarest among the unassigned units, and assigns all
    remaining units with that label in proportion to what each side still needs of it (iterative
    stratification, Sechidis et al., ECML PKDD 2011).

    Args:
        labels: how often each unit carries each label, (units, labels); every unit has at least
            one.
        sizes: the rows of each unit, (units,).
        wanted: the rows that each side should get; only their proportions count.
        rng: the random number generator.
    """
    share = wanted / wanted.sum()
    by_label = labels.tocsc()
    left = np.asarray(labels.sum(axis=0), dtype=np.float64)
    want = np.outer(share, left)
    given = np.zeros(len(share))
    # the most frequent labels first: they matter most for how similar two units are
    commonness = np.argsort(np.argsort(-left, kind="stable"))
    likeness = labels @ 0.5**commonness
    side = np.full(labels.shape[0], -1, dtype=np.int64)
    while left.any():
        label = int(np.argmin(np.where(left > 0, left, np.inf)))
        among = slice(by_label.indptr[label], by_label.indptr[label + 1])
        units, counts = by_label.indices[among].astype(np.int64), by_label.data[among]
        open_ = side[units] < 0
        units, counts = units[open_], counts[open_]
        owed = share * given.sum() - given
        side[units] = _assign_label(counts, likeness[units], want[:, label], share, owed, rng)
        touched, taken = _carried(labels, units, side[units], len(share))
        want[:, touched] -= taken
        left[touched] -= taken.sum(axis=0)
        given += np.bincount(side[units], weights=sizes[units], minlength=len(share))
    return side


def _carried(labels: csr_array, units: Ints, side: Ints, sides: int) -> tuple[Ints, Floats]:
    """Return the labels that some units carry, and how often on each side: (sides, labels found).

    Only what these units carry is touched: with many classes that is little of the matrix.
    """
    first, last = labels.indptr[units], labels.indptr[units + 1]
    lengths = (last - first).astype(np.int64)
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1]) + np.repeat(first - ends + lengths, lengths)
    touched, inverse = np.unique(labels.indices[places], return_inverse=True)
    cells = np.repeat(side, lengths) * len(touched) + inverse
    size = sides * len(touched)
    taken = np.bincount(cells, labels.data[places].astype(np.float64), size)
    return touched.astype(np.int64), np.asarray(taken, np.float64).reshape(sides, -1)


def settle(side: Ints, sizes: Ints, target: Ints, rng: np.random.Generator) -> Ints:
    """Move random units until each side has its rows, to within a unit; return the sides.

    Args:
        side: the side of every unit, (units,).
        sizes: the rows of each unit, (units,).
        target: the rows that each side should have.
        rng: the random number generator.
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


def _assign_label(
    counts: Ints,
    likeness: Floats,
    want: Floats,
    share: Floats,
    owed: Floats,
    rng: np.random.Generator,
) -> Ints:
    """Assign the units of one label: the largest first, those of equal count in one step."""
    order = rng.permutation(len(counts))
    order = order[np.lexsort((likeness[order], -counts[order]))]
    sizes, numbers = np.unique(counts, return_counts=True)
    want, sequences = np.maximum(want, 0), []
    for size, number in zip(sizes[::-1], numbers[::-1], strict=True):
        parts = want / want.sum() if want.sum() > 0 else share
        given = _apportion(int(number), parts, owed)
        sequences.append(_interleave(given, rng))
        want = np.maximum(want - size * given, 0)
    side = np.empty(len(counts), dtype=np.int64)
    side[order] = np.concatenate(sequences)
    return side


def _apportion(number: int, parts: Floats, owed: Floats) -> Ints:
    """Split a number of units by the largest remainder, each side within one of its quota.

    The side that is owed most, over all labels so far, gets the remainder: the roundings of many
    rare labels would otherwise add up.
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


Rows = NDArray[np.int64]
TEST = 0.2
SHOWN = 3


@dataclass(frozen=True, eq=False)
class SplitRows:
    """The rows of each side: ascending indices into a collection, int64.

    Args:
        train: the rows to learn from.
        validation: the rows to choose models, thresholds and temperatures by.
        test: the rows to measure on, once.
        notes: messages about fixed rows and labels too few to split, a line each.
    """

    train: Rows
    validation: Rows
    test: Rows
    notes: tuple[Text, ...] = ()


def split_rows(
    collection: Collection,
    test: float | int | None = None,
    validation: float | int = 0.0,
    seed: int = 0,
    folds: int | None = None,
) -> SplitRows:
    """Split a collection, stratified by each task's labels and by source, whole groups together.

    Missing labels do not count. Rows of a source with a fixed split go there, and so do the
    members of their groups in other sources; the other rows are free and are split by iterative
    stratification (`labelweave.data._splitting.stratify`).

    Args:
        collection: the rows to split.
        test: share (a float below 1) or number (an int) of the free rows; None = 0.2, or 0 when a
            source is fixed to test. A number is met exactly, with groups to within a group.
        validation: likewise.
        seed: of the random number generator.
        folds: repeated cross-validation, without `test`: the free rows are cut into this many
            parts, and part seed % folds is the test. The cut is by seed // folds, so seeds 0 to
            folds - 1 test every row once.

    Raises:
        LabelweaveError: more rows asked for than are free, a group fixed to two sides, a task
            without a label in train, folds with `test`, or fewer groups than folds.
    """
    rng = np.random.default_rng(seed)
    side, notes = _fixed_sides(collection)
    if folds is not None:
        if test is not None:
            raise LabelweaveError("split: found test with folds, expected one of them")
        side[_fold(collection, side, folds, seed)] = SIDES.index("test")
        test = 0
    if test is None:
        fixed = [source.name for source in collection.sources if source.split == "test"]
        test = 0 if fixed else TEST
        if fixed:
            notes.append(Message("note.fixed_test", {"sources": some(fixed)}))
    free = np.flatnonzero(side < 0)
    wanted = _wanted(len(free), validation, test)
    if len(free):
        unit = np.unique(collection.groups[free], return_inverse=True)[1]
        sizes = np.bincount(unit)
        labels = unit_labels(collection.annotations[free], collection.source[free], unit)
        assigned = stratify(labels, sizes, wanted, rng)
        if any(_is_number_of_rows(asked) and asked > 0 for asked in (test, validation)):
            assigned = settle(assigned, sizes, wanted, rng)
        side[free] = assigned[unit]
    rows = [np.flatnonzero(side == index) for index in range(len(SIDES))]
    notes += _label_notes(collection.annotations, rows)
    return SplitRows(rows[0], rows[1], rows[2], tuple(notes))


def _fold(collection: Collection, side: Rows, folds: int, seed: int) -> Rows:
    """Return the free rows of the part that a seed tests."""
    free = np.flatnonzero(side < 0)
    names, unit = np.unique(collection.groups[free], return_inverse=True)
    if len(names) < folds:
        raise LabelweaveError(
            f"split: found {len(names)} groups of free rows, expected at least {folds}, one a fold"
        )
    labels = unit_labels(collection.annotations[free], collection.source[free], unit)
    rng = np.random.default_rng([seed // folds, folds])
    part = stratify(labels, np.bincount(unit), np.ones(folds, dtype=np.int64), rng)
    chosen: Rows = free[part[unit] == seed % folds]
    return chosen


def _fixed_sides(collection: Collection) -> tuple[Rows, list[Text]]:
    """Return the side of every row, -1 = free, and a note on rows that follow their group."""
    codes = [-1 if s.split is None else SIDES.index(s.split) for s in collection.sources]
    side = np.array(codes, dtype=np.int64)[collection.source]
    fixed = np.flatnonzero(side >= 0)
    of_group = np.full(collection.groups.max() + 1, -1, dtype=np.int64)
    of_group[collection.groups[fixed]] = side[fixed]
    joined = of_group[collection.groups]
    clash = fixed[side[fixed] != joined[fixed]]
    if clash.size:
        row = clash[0]
        group = fixed[collection.groups[fixed] == collection.groups[row]]
        other = group[side[group] != side[row]][0]
        raise LabelweaveError(
            f"one group is fixed to two sides: {collection.place(row)} to {SIDES[side[row]]}, "
            f"{collection.place(other)} to {SIDES[side[other]]}"
        )
    following = int(((side < 0) & (joined >= 0)).sum())
    return joined, [Message("note.follow_group", {"n": following})] if following else []


def _wanted(n: int, validation: float, test: float) -> Rows:
    """Return the number of rows that each side should get, (3,)."""
    counts = {"validation": _count("validation", validation, n), "test": _count("test", test, n)}
    asked = sum(counts.values())
    if asked > n:
        parts = " and ".join(f"{count} for {name}" for name, count in counts.items() if count)
        raise LabelweaveError(f"split: found {n} free rows, expected at least {asked} ({parts})")
    return np.array([n - asked, counts["validation"], counts["test"]], dtype=np.int64)


def _count(name: str, value: float, n: int) -> int:
    if _is_number_of_rows(value) and value >= 0:
        return int(value)
    if isinstance(value, float) and 0 <= value < 1:
        return round(value * n)
    raise LabelweaveError(
        f"split: found {name} {value!r}, expected a share from 0 to below 1 or a number of rows"
    )


def _is_number_of_rows(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _label_notes(annotations: Annotations, rows: list[Rows]) -> list[Text]:
    used = [side for side, part in zip(SIDES, rows, strict=True) if len(part)]
    notes: list[Text] = [] if "test" in used else [Message("note.no_test")]
    for task in annotations.tasks:
        labelled = annotations.labelled(task.name)
        counts = {side: int(labelled[part].sum()) for side, part in zip(SIDES, rows, strict=True)}
        if counts["train"] == 0:
            found = ", ".join(f"{side} {count}" for side, count in counts.items())
            raise LabelweaveError(
                f"task '{task.name}': found no label in train (labelled rows: {found})"
            )
        notes += _thin_note(task, annotations.counts(task.name), used)
        for side in ("validation", "test"):
            if side in used and counts[side] == 0:
                notes.append(Message(f"note.no_label_{side}", {"task": task.name}))
    return notes


def _thin_note(task: Task, counts: Rows, used: list[Side]) -> list[Text]:
    kind = "class" if isinstance(task, Multiclass) else "label"
    if isinstance(task, Multiclass):
        found = {f"'{name}'": int(n) for name, n in zip(task.names, counts, strict=True)}
    else:
        found = {
            f"'{name}' ({state})": int(n)
            for name, both in zip(task.names, counts, strict=True)
            for state, n in zip(("off", "on"), both, strict=True)
        }
    thin = [(name, n) for name, n in found.items() if n < len(used)]
    if not thin:
        return []
    if len(thin) == 1:
        ((name, n),) = thin
        what = Message(f"note.thin_{kind}", {"name": name, "n": n})
    else:
        thin_names = [Message("note.thin_one", {"name": name, "rows": n}) for name, n in thin]
        what = Message(f"note.thin_{kind}_several", {"names": some(thin_names, SHOWN)})
    sides = [Message(f"side.{side}") for side in used]
    split = Message(f"note.sides_{len(sides)}", dict(zip("abc", sides, strict=False)))
    return [
        Message("note.thin", {"task": task.name, "what": what, "sides": split, "least": len(used)})
    ]


Codes = NDArray[np.integer[Any]]


def leak_check(
    collection: Collection, split: SplitRows, on_leak: Literal["warn", "error"] = "warn"
) -> tuple[Text, ...]:
    """Look for groups and identical raw inputs on two sides of a split.

    Rows without any input are not compared.

    Args:
        collection: the rows.
        split: their sides.
        on_leak: whether identical inputs are warnings or an error.

    Returns:
        A warning for each pair of sides that share inputs, with the count and an example.

    Raises:
        LabelweaveError: a group on two sides; identical inputs when `on_leak` is "error".
    """
    if on_leak not in ("warn", "error"):
        raise LabelweaveError(f"on_leak: found '{on_leak}', expected 'warn' or 'error'")
    rows = {"train": split.train, "validation": split.validation, "test": split.test}
    inputs = pd.util.hash_pandas_object(collection.inputs, index=False).to_numpy()
    filled = collection.inputs.notna().any(axis=1).to_numpy()
    warnings: list[Text] = []
    for first, second in combinations(SIDES, 2):
        shared = _shared(collection.groups, rows[first], rows[second])
        if shared.size:
            one, other = _example(collection, collection.groups, shared[0], rows[first])
            raise LabelweaveError(
                f"split: a group is in {first} and {second} (for example {one} and {other})"
            )
        a, b = (part[filled[part]] for part in (rows[first], rows[second]))
        shared = _shared(inputs, a, b)
        if shared.size:
            one, other = _example(collection, inputs, shared[0], a)
            sides = {"first": Message(f"side.{first}"), "second": Message(f"side.{second}")}
            warnings.append(
                Message("note.leak", {"n": shared.size, **sides, "one": one, "other": other})
            )
    if warnings and on_leak == "error":
        raise LabelweaveError(str(warnings[0]))
    return tuple(warnings)


def _shared(
    codes: Codes,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the rows of `second` whose code also occurs in `first`."""
    return second[np.isin(codes[second], codes[first])]


def _example(
    collection: Collection,
    codes: Codes,
    row: int,
    others: NDArray[np.int64],
) -> tuple[str, str]:
    twin = others[np.argmax(codes[others] == codes[row])]
    return collection.place(twin), collection.place(row)
