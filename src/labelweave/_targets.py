"""What scikit-learn users hand in: tables of inputs, labels by task with gaps, and relations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._arguments import labels_of_rows, one_column
from labelweave.annotations import Annotations
from labelweave.data import Source
from labelweave.errors import LabelweaveError, in_place
from labelweave.relations import AnyRelation, read_relations
from labelweave.tables._frames import input_frame
from labelweave.tables._table import column_names
from labelweave.tasks import Binary, Multiclass, Multilabel, Task, factorize, key

Table = pd.DataFrame | NDArray[Any] | Sequence[Sequence[Any]] | Any
Targets = Mapping[str, Any] | pd.DataFrame | pd.Series | Annotations
GivenRelations = Sequence[AnyRelation] | Mapping[str, str | Path | pd.DataFrame]


def sources_of(
    X: Table | Source | Sequence[Source],
    y: Targets | None,
    tasks: Sequence[Task] | None,
    missing: Sequence[object] | None,
    groups: Any = None,
) -> list[Source]:
    """Return sources as they are, or inputs and labels as the one source ``X``.

    Args:
        X: inputs (n, d); or a source or several, which bring their own labels.
        y: labels by task; None with sources.
        tasks: see `annotations_of`.
        missing: likewise.
        groups: (n,) what ties rows together; None with sources, which bring their own.

    Raises:
        LabelweaveError: sources and `y` or `groups`, neither of them, or what `annotations_of` and
            `by_index` raise.
    """
    if are_sources(X):
        for name, given in (("labels", y), ("groups", groups)):
            if given is not None:
                found = "y" if name == "labels" else name
                raise LabelweaveError(f"fit: sources bring their own {name}, found {found} as well")
        return [each for each in ([X] if isinstance(X, Source) else X) if isinstance(each, Source)]
    if y is None:
        raise LabelweaveError("fit: found no y, expected labels by task")
    annotations = annotations_of(y, tasks, missing, X)
    members = None if groups is None else by_index("groups", groups, X)
    return [Source("X", input_frame(X), annotations, members)]


def are_sources(X: Any) -> bool:
    """Return whether inputs are a source, or several."""
    if isinstance(X, Source):
        return True
    return isinstance(X, Sequence) and all(isinstance(each, Source) for each in X)


def is_named(X: Any) -> bool:
    """Return whether the columns of inputs have names: a data frame of any library."""
    return isinstance(X, pd.DataFrame) or hasattr(X, "__arrow_c_stream__")


def by_index(name: str, values: Any, X: Any) -> Any:
    """Return values in the order of the rows of `X`, where both are of pandas and have an index.

    Values of another length come back as they are: whoever takes them names both lengths.

    Args:
        name: what errors call the values.
        values: a data frame or series of n rows, or anything else, which goes by position.
        X: the inputs.

    Raises:
        LabelweaveError: an index with other rows, or rows of the same name in another order.
    """
    pandas = isinstance(values, pd.DataFrame | pd.Series) and isinstance(X, pd.DataFrame)
    if not pandas or len(values) != len(X) or values.index.equals(X.index):
        return values
    rows = values.index
    if not rows.is_unique or not X.index.is_unique or not rows.isin(X.index).all():
        raise LabelweaveError(
            f"{name}: its index does not name the rows of X, expected the same rows in any order; "
            "call reset_index(drop=True) on both where rows go by position"
        )
    return values.loc[X.index]


def row_weights_of(sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
    """Return how much each row counts, (n,); None = all alike.

    Raises:
        LabelweaveError: not one number of 0 or more a row, or all of them 0.
    """
    if sample_weight is None:
        return None
    if are_sources(X):
        raise LabelweaveError("fit: found sample_weight with sources, expected X and y")
    rows = len(X)
    try:
        given = by_index("sample_weight", one_column(sample_weight), X)
        weight = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        weight = np.full(rows, np.nan)
    if weight.shape != (rows,):
        raise LabelweaveError(f"sample_weight: found shape {weight.shape}, expected ({rows},)")
    if not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
        raise LabelweaveError("sample_weight: expected numbers of 0 or more, some of them above 0")
    return weight


def annotations_of(
    y: Targets, tasks: Sequence[Task] | None, missing: Sequence[object] | None, X: Any = None
) -> Annotations:
    """Return labels by task as `Annotations`.

    Args:
        y: a mapping, data frame, named series, or `Annotations`, which come back as they are.
        tasks: the tasks; None = one a column: multilabel where its values have two dimensions,
            binary where they are booleans, else multiclass with the classes found.
        missing: values besides None, NaN and ``""`` that mean "no label".
        X: the inputs, by whose index the labels are put in order (`by_index`).

    Raises:
        LabelweaveError: `y` is none of these, a label that its task does not know, or a -1 that
            may be a class or mean "no label".
    """
    if isinstance(y, Annotations):
        return y
    if hasattr(y, "__arrow_c_stream__") and not isinstance(y, pd.DataFrame | pd.Series):
        y = input_frame(y)
    if isinstance(y, pd.Series) and y.name is not None:
        y = y.to_frame()
    y = by_index("y", y, X)
    if not isinstance(y, Mapping | pd.DataFrame):
        raise LabelweaveError(
            f"y: found {type(y).__name__}, expected labels by task: a dictionary, a data frame or "
            "Annotations"
        )
    if isinstance(y, pd.DataFrame):
        column_names("y", y)
    # a mapping may hold blocks of two dimensions, a data frame may not
    columns = {str(name): _values(str(name), y[name], X) for name in y.keys()}  # noqa: SIM118
    if tasks is None:
        tasks = []
        for name, values in columns.items():
            with in_place(f"y, task '{name}'"):
                tasks.append(_task(name, values))
    if missing is None:
        _refuse_ambiguous(tasks, columns)
    return Annotations.from_columns(tasks, columns, missing=missing or ())


def _values(name: str, values: Any, X: Any) -> Any:
    """Return the labels of one task: by index, without masks, of any library."""
    if hasattr(values, "__arrow_c_stream__") and hasattr(values, "columns"):
        return by_index(f"y, task '{name}'", input_frame(values), X)  # a block of labels
    return by_index(f"y, task '{name}'", labels_of_rows(f"y, task '{name}'", values), X)


def relations_of(relations: GivenRelations, tasks: Sequence[Task]) -> tuple[AnyRelation, ...]:
    """Return relations as they are, or those of knowledge tables, by their source task.

    Raises:
        LabelweaveError: whatever is wrong with a table, in one line.
    """
    if not isinstance(relations, Mapping):
        return tuple(relations)
    return tuple(
        relation
        for source, table in relations.items()
        for relation in read_relations(table, source, tasks)
    )


def label_patterns(annotations: Annotations) -> NDArray[np.int64]:
    """Return a source for every row, (n,): rows with the same tasks labelled are one source.

    Labels missing here and there make more patterns than tasks; then all rows are one source.
    """
    seen = np.stack([annotations.labelled(task.name) for task in annotations.tasks], axis=1)
    patterns, source = np.unique(seen, axis=0, return_inverse=True)
    if len(patterns) > len(annotations.tasks):
        return np.zeros(len(annotations), dtype=np.int64)
    return source.reshape(-1).astype(np.int64)


def _task(name: str, values: Any) -> Task:
    if np.ndim(values) == 2:
        columns = getattr(values, "columns", [f"{name}{j}" for j in range(np.shape(values)[1])])
        return Multilabel(name, tuple(map(str, columns)))
    found = factorize(values)[1]
    if found and all(isinstance(value, bool) for value in found):
        return Binary(name)
    return Multiclass(name)


def _refuse_ambiguous(tasks: Sequence[Task], columns: Mapping[str, Any]) -> None:
    # an array of integers holds no NaN: some write -1 for "no label", to others it is a class
    for task in tasks:
        if task.name not in columns or (isinstance(task, Multiclass) and task.classes is not None):
            continue
        values = columns[task.name]
        flat = np.asarray(values, dtype=object).ravel() if np.ndim(values) == 2 else values
        with in_place(f"y, task '{task.name}'"):
            uniques = factorize(flat)[1]
        if any(key(value) == "-1" for value in uniques):
            raise LabelweaveError(
                f"y, task '{task.name}': found -1, which may be a class or mean 'no label'; "
                "say missing=[-1], or missing=[] where it is a class"
            )
