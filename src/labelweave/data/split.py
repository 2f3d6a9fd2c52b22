"""Splits: train, validation and test rows, stratified by every label and never across a group."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data.collection import Collection
from labelweave.data.source import SIDES, Side
from labelweave.data.stratification import deal, label_counts, settle
from labelweave.errors import LabelweaveError
from labelweave.remarks import Remark, some
from labelweave.tasks import Multiclass, Task

Rows = NDArray[np.int64]
TEST = 0.2
SHOWN = 3


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of each side: ascending indices into a collection, int64.

    Args:
        train: the rows to learn from.
        validation: the rows to choose models, thresholds and temperatures by.
        test: the rows to measure on, once.
        notes: remarks on fixed rows and on labels too few to be split, a line each.
    """

    train: Rows
    validation: Rows
    test: Rows
    notes: tuple[str, ...] = ()


def split(
    collection: Collection,
    test: float | int | None = None,
    validation: float | int = 0.0,
    seed: int = 0,
) -> Split:
    """Split a collection, stratified by each task's labels and by source, whole groups together.

    Missing labels do not count. Rows of a source with a fixed split go there, and so do the
    members of their groups in other sources; the other rows are free, and dealt by iterative
    stratification (see `labelweave.data.stratification`).

    Args:
        collection: the rows to split.
        test: share (a float below 1) or number (an int) of the free rows; None = 0.2, or 0 when a
            source is fixed to test. A number is met exactly, with groups to within a group.
        validation: likewise.
        seed: decides all that is left to chance.

    Raises:
        LabelweaveError: more rows asked for than are free, a group fixed to two sides, or a task
            without a label in train.
    """
    rng = np.random.default_rng(seed)
    side, notes = _fixed_sides(collection)
    if test is None:
        fixed = [source.name for source in collection.sources if source.split == "test"]
        test = 0 if fixed else TEST
        if fixed:
            notes.append(Remark("note.fixed_test", sources=some(fixed)))
    free = np.flatnonzero(side < 0)
    wanted = _wanted(len(free), validation, test)
    if len(free):
        unit = np.unique(collection.groups[free], return_inverse=True)[1]
        sizes = np.bincount(unit)
        labels = label_counts(collection.annotations[free], collection.source[free], unit)
        dealt = deal(labels, sizes, wanted, rng)
        if any(_is_number_of_rows(asked) and asked > 0 for asked in (test, validation)):
            dealt = settle(dealt, sizes, wanted, rng)
        side[free] = dealt[unit]
    rows = [np.flatnonzero(side == index) for index in range(len(SIDES))]
    notes += _label_notes(collection.annotations, rows)
    return Split(rows[0], rows[1], rows[2], tuple(notes))


def _fixed_sides(collection: Collection) -> tuple[Rows, list[str]]:
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
    return joined, [Remark("note.follow_group", n=following)] if following else []


def _wanted(n: int, validation: float, test: float) -> Rows:
    """Return the number of rows each side shall get, (3,)."""
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


def _label_notes(annotations: Annotations, rows: list[Rows]) -> list[str]:
    used = [side for side, part in zip(SIDES, rows, strict=True) if len(part)]
    notes: list[str] = [] if "test" in used else [Remark("note.no_test")]
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
                notes.append(Remark(f"note.no_label_{side}", task=task.name))
    return notes


def _thin_note(task: Task, counts: Rows, used: list[Side]) -> list[str]:
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
        what = Remark(f"note.thin_{kind}", name=name, n=n)
    else:
        told = [Remark("note.thin_one", name=name, rows=n) for name, n in thin]
        what = Remark(f"note.thin_{kind}_several", names=some(told, SHOWN))
    sides = [Remark(f"side.{side}") for side in used]
    split = Remark(f"note.sides_{len(sides)}", **dict(zip("abc", sides, strict=False)))
    return [Remark("note.thin", task=task.name, what=what, sides=split, least=len(used))]
