"""Noisy-ORs written down by an expert: a CSV table, one row a label of the source task."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations.knowledge.cells import (
    check_new,
    check_targets,
    meaning,
    probability,
    read_frame,
    source_task,
)
from labelweave.relations.knowledge.reading import read_knowledge
from labelweave.relations.noisy_or import LEAK, AnyRelation, NoisyOr
from labelweave.remarks import Remark
from labelweave.tasks import Multilabel, Task


def read_relations(
    table: str | Path | pd.DataFrame,
    source: str,
    tasks: Sequence[Task],
    *,
    targets: Sequence[str] | None = None,
    strength: float = 1.0,
) -> list[AnyRelation]:
    """Read an expert's table by what its source task is: classes or labels.

    See `read_knowledge` for a multiclass and `read_noisy_or` for a multilabel source.
    """
    multilabel = any(task.name == source and isinstance(task, Multilabel) for task in tasks)
    read = read_noisy_or if multilabel else read_knowledge
    return [*read(table, source, tasks, targets=targets, strength=strength)]


def read_noisy_or(
    table: str | Path | pd.DataFrame,
    source: str,
    tasks: Sequence[Task],
    *,
    targets: Sequence[str] | None = None,
    strength: float = 1.0,
) -> list[NoisyOr]:
    """Read an expert's table of causes and return one noisy-OR for every task it speaks about.

    The first column names a label of `source`. Every further column is a binary task or a label of
    a multilabel one (``task=label`` where two tasks know it); its cells are the probability that
    the row's label alone switches it on, 0 = it is no cause. What is left out or empty is unknown:
    where that label is on, the relation says nothing. A row ``leak`` is the probability that
    anything else does; left out or empty = 0.

    Args:
        table: a CSV file or a data frame.
        source: the name of the multilabel task whose labels are the rows.
        tasks: all tasks.
        targets: only these target tasks; None = all that the table speaks about.
        strength: factor on the coupling terms of these relations.

    Raises:
        LabelweaveError: unknown or repeated label, a column that is no label, a cell that is no
            probability; names file, row and column.
    """
    place, frame = read_frame(table)
    speaker = source_task(place, source, tasks, Multilabel)
    rows = _rows(place, frame, speaker)
    entries: dict[str, tuple[Multilabel, NDArray[np.float64]]] = {}
    said: dict[tuple[str, int], str] = {}
    for column in frame.columns[1:]:
        task, index = meaning(place, column, tasks, speaker)
        if not isinstance(task, Multilabel):
            raise LabelweaveError(
                f"{place}: column '{column}' is about the classes of '{task.name}', expected a "
                f"label: those of '{source}' may be on together and make a noisy-OR"
            )
        label = index or 0
        check_new(place, column, said.get((task.name, label)))
        said[task.name, label] = column
        # one row more than labels: the leak
        empty = np.full((speaker.width + 1, task.width), np.nan)
        block = entries.setdefault(task.name, (task, empty))[1]
        block[-1, label] = 0.0
        for row, cell in zip(rows, frame[column], strict=True):
            where = f"{place}: row '{(*speaker.names, LEAK)[row]}', column '{column}'"
            if cell:
                block[row, label] = probability(where, cell)
    check_targets(place, targets, entries)
    relations = []
    for task, block in entries.values():
        if targets is None or task.name in targets:
            known, (*weights, leak) = ~np.isnan(block[:-1]), np.nan_to_num(block)
            origin = Remark("remark.knowledge_table", place=place)
            found = NoisyOr(speaker, task, np.array(weights), leak, known, strength, origin)
            relations.append(found)
    return relations


def _rows(place: str, frame: pd.DataFrame, source: Multilabel) -> list[int]:
    if LEAK in source.names:
        raise LabelweaveError(
            f"{place}: task '{source.name}' has a label '{LEAK}', which names the row of the leak; "
            "expected another name"
        )
    names = [*source.names, LEAK]
    rows: list[int] = []
    for name in frame.iloc[:, 0]:
        if name not in names:
            raise LabelweaveError(
                f"{place}: row '{name}' is no label of task '{source.name}', expected "
                f"{listing(names)}{nearest(name, names)}"
            )
        if names.index(name) in rows:
            raise LabelweaveError(f"{place}: '{name}' has two rows, expected one")
        rows.append(names.index(name))
    return rows
