"""A table of labelled rows, as what a saved model gives for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._targets import annotations_of
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.fitting._opening import read_inputs
from labelweave.model import EncodedPredictor
from labelweave.tables import Table
from labelweave.tasks import Binary, Multilabel, Task, key
from labelweave.trust._predictions import Predictions

Texts = NDArray[Any]


def read_labelled(
    path: Path, model: EncodedPredictor, group: str | None = None
) -> tuple[Predictions, pd.DataFrame | Table]:
    """Return what a model gives for the rows of a table that also has label columns, and the table.

    Args:
        path: the table.
        model: what predicts.
        group: the column that ties rows together; None = every row by itself.

    Raises:
        LabelweaveError: no label column of any task, an unknown label, or inputs that do not fit.
    """
    table = read_inputs(path, model)
    with in_place(path):
        annotations = labels_of(table, model.tasks)
        groups = None if group is None else column_texts(table, group)
        return (
            Predictions(annotations, model.predict_proba(table), groups, dict(model.thresholds)),
            table,
        )


def labels_of(table: pd.DataFrame | Table, tasks: Sequence[Task]) -> Annotations:
    """Return the labels in the columns of a table that are named as tasks or their labels.

    Raises:
        LabelweaveError: no such column, or an unknown label.
    """
    wanted = label_columns_in(table, tasks)
    if not wanted:
        raise LabelweaveError(
            f"found no label column, expected one named as a task: "
            f"{listing(task.name for task in tasks)}"
        )
    return annotations_of({name: column_texts(table, name) for name in wanted}, tasks, ())


def label_columns_in(table: pd.DataFrame | Table, tasks: Sequence[Task]) -> list[str]:
    """Return the columns of a table that hold labels of tasks, by their names."""
    columns, found = {str(name) for name in table.columns}, []
    for task in tasks:
        several = isinstance(task, Multilabel) and not isinstance(task, Binary)
        found += [n for n in (task.names if several else (task.name,)) if n in columns]
    return found


def column_texts(table: pd.DataFrame | Table, name: str) -> Texts:
    """Return a column's values as texts; missing ones are None.

    Raises:
        LabelweaveError: there is no such column.
    """
    columns = [str(column) for column in table.columns]
    if name not in columns:
        raise LabelweaveError(
            f"no column '{name}', found {listing(columns)}{nearest(name, columns)}"
        )
    if isinstance(table, Table):
        missing = {"", *table.read.missing}
        given = table.texts(name).to_numpy(object)
        return np.array([None if v is None or v in missing else v for v in given], dtype=object)
    values = table.set_axis(columns, axis=1)[name]
    return np.array([None if pd.isna(v) else key(v) for v in values], dtype=object)
