"""What a data set of the suite is: a table with several label columns, and how they relate."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave import Annotations, Binary, LabelweaveError, Multiclass, Multilabel

Task = Multiclass | Multilabel
Kind = Literal["exact", "counted", "unrelated"]
TableChoice = Literal["exact", "none", "wrong25", "wrong50", "wrong100"]

LEAST_ROWS = 10
LEAST_SHARE = 0.005


@dataclass(frozen=True)
class Scattering:
    """Which labels are hidden, and what an expert says.

    Args:
        rare: the task with few labels; the rows that carry it carry no other label.
        k: rows of every class that carry it; for a multilabel task k times its labels, at random.
        table: ``exact`` (counted on the whole data set), ``none``, or ``wrong25`` and so on: the
            exact tables with that share of their rows exchanged.
    """

    rare: str
    k: int
    table: TableChoice = "exact"

    @property
    def layout(self) -> str:
        """Which labels are hidden, whatever the expert says."""
        return f"{self.rare} k={self.k}"

    @property
    def name(self) -> str:
        """The scattering in words."""
        return f"{self.layout}, {self.table}"


@dataclass(frozen=True)
class DataSet:
    """A real table with two or more label columns.

    Args:
        name: its name on the command line.
        kind: ``exact`` (the targets are functions of the source), ``counted`` (tables of
            frequencies) or ``unrelated`` (the tasks say next to nothing about each other).
        read: returns the table: label columns, the column of groups, and the inputs.
        tasks: what is to be predicted, multiclass ones without their classes.
        relations: pairs of source and target that an expert has tables of.
        scatterings: what is run; the first two share their layout, and ``--quick`` runs only them.
        package: what installs the data.
        licence: the licence of that package.
        origin: where the data come from.
        groups: the column whose rows stay together in a split.
        known: the method's earlier development used the set, so it is one for tuning.
    """

    name: str
    kind: Kind
    read: Callable[[], pd.DataFrame]
    tasks: tuple[Task, ...]
    relations: tuple[tuple[str, str], ...]
    scatterings: tuple[Scattering, ...]
    package: str
    licence: str
    origin: str
    groups: str | None = None
    known: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a data set, n of them.

    Args:
        inputs: the inputs, (n, d).
        labels: the labels of all tasks, with the gaps of the data set itself.
        groups: the group of every row, (n,); None = every row is its own.
    """

    inputs: pd.DataFrame
    labels: Annotations
    groups: NDArray[np.int64] | None


def label_columns(task: Task) -> tuple[str, ...]:
    """Return the columns of a table that hold a task's labels."""
    several = isinstance(task, Multilabel) and not isinstance(task, Binary)
    return task.names if several else (task.name,)


@lru_cache(maxsize=2)
def load(data_set: DataSet) -> Table:
    """Return the table of a data set, without the rows of classes too small to learn and to test.

    A class of a multiclass task is too small below 10 rows or below .5 % of all rows.

    Raises:
        LabelweaveError: a label column is missing, or a package is not installed.
    """
    frame = data_set.read()
    columns = [column for task in data_set.tasks for column in label_columns(task)]
    missing = [column for column in columns if column not in frame]
    if missing:
        raise LabelweaveError(f"data set '{data_set.name}': found no column {missing[0]!r}")
    least = max(LEAST_ROWS, LEAST_SHARE * len(frame))
    for task in data_set.tasks:
        if isinstance(task, Multiclass):
            sizes = frame[task.name].map(frame[task.name].value_counts())
            frame = frame[frame[task.name].isna() | (sizes >= least)]
    frame = frame.reset_index(drop=True)
    labels = frame[columns].astype(object)
    groups = None
    if data_set.groups is not None:
        groups = pd.factorize(frame.pop(data_set.groups))[0].astype(np.int64)
    return Table(
        inputs=frame.drop(columns=columns),
        labels=Annotations.from_columns(data_set.tasks, labels.where(labels.notna(), None)),
        groups=groups,
    )
