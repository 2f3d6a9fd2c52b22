"""Labels that are likely wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.estimation.columns import Columns, Matrix
from labelweave.tasks import Multiclass

LEAST = 0.5  # a label is named when it is more likely wrong than right


@dataclass(frozen=True)
class Mislabelled:
    """A label that is likely wrong.

    Attributes:
        row: the row, from 0.
        task: the task.
        label: the label of a multilabel task, else the task's name.
        found: the label found: a class, ``on`` or ``off``.
        likely: the likeliest other one.
        probability: that the label found is wrong.
    """

    row: int
    task: str
    label: str
    found: str
    likely: str
    probability: float


def mislabelled(
    columns: Columns, block: int, rows: NDArray[np.int64], found: NDArray[np.int64], clean: Matrix
) -> list[Mislabelled]:
    """Return the labels of one block that are likely wrong.

    Args:
        columns: the layout.
        block: the block.
        rows: (n,) rows that carry a label of it.
        found: (n,) that label, as a column of the block.
        clean: (n, C) probability of every clean label.
    """
    number = int(columns.target[block])
    task = columns.targets[number]
    names: Sequence[str] = ("on", "off")
    label = task.name
    if isinstance(task, Multiclass):
        names = task.names
    else:
        label = task.names[block - int(np.flatnonzero(columns.target == number)[0])]
    each = np.arange(len(rows))
    wrong = 1 - clean[each, found]
    others = clean.copy()
    others[each, found] = -1
    likely = others.argmax(axis=1)
    return [
        Mislabelled(
            int(rows[i]), task.name, label, names[found[i]], names[likely[i]], float(wrong[i])
        )
        for i in np.flatnonzero(wrong > LEAST)
    ]
