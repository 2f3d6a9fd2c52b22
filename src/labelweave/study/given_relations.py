"""The relations that a study file gives: read from tables, or counted on training rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from labelweave.annotations import Annotations
from labelweave.relations import (
    AnyRelation,
    count_relation,
    fit_noisy_or,
    known_table,
    read_relations,
)
from labelweave.remarks import Remark
from labelweave.study.sections import RelationSection
from labelweave.tasks import Multiclass, Task


def written_relations(
    section: RelationSection, folder: Path, tasks: Sequence[Task]
) -> list[AnyRelation]:
    """Return the relations of a table, the user's own or one that ships.

    Args:
        section: what the study file says.
        folder: what the table's path is relative to.
        tasks: the study's tasks, classes known.

    Raises:
        LabelweaveError: whatever is wrong with the table, in one line.
    """
    table: Path | pd.DataFrame = folder / (section.table or "")
    origin: str | None = None
    if section.known is not None:
        known = known_table(section.known, vocabulary=section.vocabulary)
        table = known.frame
        told = {"table": section.known, "vocabulary": known.vocabulary}
        origin = Remark("remark.known_table", **told)
        if section.vocabulary is None:
            speaker = next(task for task in tasks if task.name == section.source)
            labels = [name for task in tasks if task is not speaker for name in task.names]
            table, origin = known.restricted(speaker.names, labels), section.known
    relations = read_relations(
        table, section.source, tasks, targets=section.targets, strength=section.strength
    )
    return [replace(each, origin=origin or each.origin) for each in relations]


def counted_relation(training: Annotations, section: RelationSection, target: str) -> AnyRelation:
    """Return a relation found on rows that carry both labels: a table counted, a noisy-OR fitted.

    Args:
        training: the training rows' labels.
        section: what the study file says.
        target: the task spoken about.

    Raises:
        LabelweaveError: no training row carries both labels.
    """
    estimate = (
        count_relation if isinstance(training.task(section.source), Multiclass) else fit_noisy_or
    )
    return estimate(
        training, section.source, target, smoothing=section.smoothing, strength=section.strength
    )
