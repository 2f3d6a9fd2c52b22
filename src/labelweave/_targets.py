"""What scikit-learn users hand in: tables of inputs, labels by task with gaps, and relations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data import Source
from labelweave.errors import LabelweaveError
from labelweave.relations import AnyRelation, read_relations
from labelweave.tasks import Binary, Multiclass, Multilabel, Task, factorize, key

Table = pd.DataFrame | NDArray[Any] | Sequence[Sequence[Any]]
Targets = Mapping[str, Any] | pd.DataFrame | pd.Series | Annotations
GivenRelations = Sequence[AnyRelation] | Mapping[str, str | Path | pd.DataFrame]


def sources_of(
    X: Table | Source | Sequence[Source],
    y: Targets | None,
    tasks: Sequence[Task] | None,
    missing: Sequence[object] | None,
) -> list[Source]:
    """Return sources as they are, or inputs and labels as the one source ``X``.

    Args:
        X: inputs (n, d); or a source or several, which bring their own labels.
        y: labels by task; None with sources.
        tasks: see `annotations_of`.
        missing: likewise.

    Raises:
        LabelweaveError: sources and `y`, neither of them, or what `annotations_of` raises.
    """
    sources = [X] if isinstance(X, Source) else X
    if isinstance(sources, Sequence) and all(isinstance(each, Source) for each in sources):
        if y is not None:
            raise LabelweaveError("fit: sources bring their own labels, found y as well")
        return [each for each in sources if isinstance(each, Source)]
    if y is None:
        raise LabelweaveError("fit: found no y, expected labels by task")
    annotations = annotations_of(y, tasks, missing)
    return [Source("X", input_frame(sources), annotations)]  # type: ignore[arg-type]


def input_frame(X: Table) -> pd.DataFrame:
    """Return inputs (n, d) as a data frame; the columns of an array are called x0, x1, ...

    Raises:
        LabelweaveError: anything that is no table of two dimensions.
    """
    if isinstance(X, pd.DataFrame):
        return X
    array = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
    if array.ndim != 2:
        raise LabelweaveError(f"X: found shape {array.shape}, expected (rows, columns)")
    frame = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    return frame.infer_objects()


def annotations_of(
    y: Targets, tasks: Sequence[Task] | None, missing: Sequence[object] | None
) -> Annotations:
    """Return labels by task as `Annotations`.

    Args:
        y: a mapping, data frame, named series, or `Annotations`, which come back as they are.
        tasks: the tasks; None = one a column: multilabel where its values have two dimensions,
            binary where they are booleans, else multiclass with the classes found.
        missing: values besides None, NaN and ``""`` that mean "no label".

    Raises:
        LabelweaveError: `y` is none of these, a label that its task does not know, or a -1 that
            may be a class or mean "no label".
    """
    if isinstance(y, Annotations):
        return y
    if isinstance(y, pd.Series) and y.name is not None:
        y = y.to_frame()
    if not isinstance(y, Mapping | pd.DataFrame):
        raise LabelweaveError(
            f"y: found {type(y).__name__}, expected labels by task: a dictionary, a data frame or "
            "Annotations"
        )
    # a mapping may hold blocks of two dimensions, a data frame may not
    columns = {str(name): y[name] for name in y.keys()}  # noqa: SIM118
    tasks = [_task(name, values) for name, values in columns.items()] if tasks is None else tasks
    if missing is None:
        _refuse_ambiguous(tasks, columns)
    return Annotations.from_columns(tasks, columns, missing=missing or ())


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
    if pd.api.types.is_bool_dtype(pd.Series(values).dropna().infer_objects()):
        return Binary(name)
    return Multiclass(name)


def _refuse_ambiguous(tasks: Sequence[Task], columns: Mapping[str, Any]) -> None:
    # an array of integers holds no NaN: some write -1 for "no label", to others it is a class
    for task in tasks:
        if task.name not in columns or (isinstance(task, Multiclass) and task.classes is not None):
            continue
        uniques = factorize(np.asarray(columns[task.name], dtype=object).ravel())[1]
        if any(key(value) == "-1" for value in uniques):
            raise LabelweaveError(
                f"y, task '{task.name}': found -1, which may be a class or mean 'no label'; "
                "say missing=[-1], or missing=[] where it is a class"
            )
