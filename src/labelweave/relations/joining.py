"""Tables of one pair of tasks made one: each may know other labels of the target."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from labelweave.errors import LabelweaveError
from labelweave.relations.noisy_or import AnyRelation
from labelweave.relations.relation import TOLERANCE, Relation
from labelweave.remarks import Remark


def join_tables(relations: Sequence[AnyRelation]) -> list[AnyRelation]:
    """Return the relations, those between the same two tasks joined into the first of them.

    What any of the tables knows is known, as of two data sets' vocabularies of one task. Noisy-ORs
    are left as they are.

    Raises:
        LabelweaveError: two tables of one pair differ in an entry that both know, or in strength.
    """
    joined: dict[str, AnyRelation] = {}
    rest: list[AnyRelation] = []
    for relation in relations:
        first = joined.get(relation.name)
        if isinstance(relation, Relation) and isinstance(first, Relation):
            joined[relation.name] = _joined(first, relation)
        elif first is None:
            joined[relation.name] = relation
        else:
            rest.append(relation)
    return [*joined.values(), *rest]


def _joined(first: Relation, second: Relation) -> Relation:
    if first.strength != second.strength:
        raise LabelweaveError(
            f"relation {first.name}: found the strengths {first.strength:g} and "
            f"{second.strength:g} of two tables, expected one"
        )
    differs = first.mask & second.mask & (np.abs(first.table - second.table) > TOLERANCE)
    if differs.any():
        row, column = (int(i) for i in np.argwhere(differs)[0])
        raise LabelweaveError(
            f"relation {first.name}: row '{first.source.names[row]}', column "
            f"'{first.target.names[column]}': {first.origin} says {first.table[row, column]:.4g}, "
            f"{second.origin} {second.table[row, column]:.4g}, expected the same"
        )
    return replace(
        first,
        table=np.where(first.mask, first.table, second.table),
        known=first.mask | second.mask,
        origin=Remark("remark.both_origins", first=first.origin, second=second.origin),
    )
