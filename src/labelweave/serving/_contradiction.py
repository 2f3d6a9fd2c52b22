"""How far predictions of related tasks contradict each other: known without any label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.relations._operations import contradiction
from labelweave.results import RelationTable, typed
from labelweave.serving._final import FinalFacts
from labelweave.tasks import Multiclass, Task


@dataclass(frozen=True, eq=False)
class Implication:
    """What a task's probabilities imply for another task by a table.

    Attributes:
        name: ``source->target``.
        source: the source task's name.
        target: the target task's name.
        exclusive: the target's classes exclude each other.
        table: P(target | source), (K, m), NaN = unknown.
    """

    name: str
    source: str
    target: str
    exclusive: bool
    table: NDArray[np.float64]

    def contradictions(self, probabilities: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return a number from 0 to 1 for every row, (n,), see `contradiction`."""
        source, target = (
            np.asarray(probabilities[name], np.float64) for name in (self.source, self.target)
        )
        known = np.isfinite(self.table)
        return contradiction(self.table, known, source, target, exclusive=self.exclusive)


def implications(facts: FinalFacts, tasks: Sequence[Task]) -> list[Implication]:
    """Return what the tables that coupled a final model's tasks imply; noisy-ORs are left out."""
    by_name, found = {task.name: task for task in tasks}, []
    for saved in facts.relations:
        relation = typed(
            RelationTable, {k: v for k, v in saved.items() if k != "text"}, "final.json, relations"
        )
        source, target = by_name.get(relation.source), by_name.get(relation.target)
        if relation.kind != "table" or not isinstance(source, Multiclass) or target is None:
            continue
        table = np.array(
            [[np.nan if v is None else v for v in row] for row in relation.table], np.float64
        )
        if relation.known:
            table = np.where(np.array(relation.known), table, np.nan)
        if table.shape == (source.width, target.width):
            exclusive = isinstance(target, Multiclass)
            found.append(Implication(relation.name, source.name, target.name, exclusive, table))
    return found
