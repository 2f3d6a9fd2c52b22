"""Coherence: how far the answers to related tasks contradict each other, and the best one together.

Contradictions need no label, so they can be watched where a model is used.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._targets import Table
from labelweave.coupling._posterior import Link, combinations
from labelweave.errors import LabelweaveError
from labelweave.evaluation._questions import Floats, Probabilities
from labelweave.relations import AnyRelation, NoisyOr, Relation
from labelweave.relations._operations import contradiction
from labelweave.tasks import Binary, Multiclass, Task
from labelweave.trust._forest import RelationTree, States, model_relations, relation_trees
from labelweave.trust._predictions import AnyModel, predictor_of, probabilities_of


def contradictions(
    probabilities: Probabilities, relations: Sequence[AnyRelation | Link]
) -> pd.DataFrame:
    """Return for each row how far two related tasks are apart, from 0 to 1, a column a relation.

    The table, weighted by the source's probabilities, implies a distribution of the target. The
    figure is its total variation distance from the target's probabilities; of a multilabel target
    the largest distance of a label. NaN where the table knows nothing of the likely classes.

    Args:
        probabilities: per task (n, K) or (n, L).
        relations: tables, noisy-ORs, or what `model_relations` gives.

    Raises:
        LabelweaveError: no probabilities of a task.
    """
    return pd.DataFrame(contradiction_scores(probabilities, relations))


def contradiction_scores(
    probabilities: Probabilities, relations: Sequence[AnyRelation | Link]
) -> dict[str, Floats]:
    """Return `contradictions` as one array (n,) a relation, which is faster for a single row."""
    found = {}
    for link in relations:
        for task in (link.source, link.target):
            if task.name not in probabilities:
                raise LabelweaveError(
                    f"relation {link.name}: found no probabilities of '{task.name}'"
                )
        found[link.name] = _distance(link, probabilities)
    return found


def _distance(relation: AnyRelation | Link, probabilities: Probabilities) -> Floats:
    p = np.asarray(probabilities[relation.source.name], np.float64)
    target = np.asarray(probabilities[relation.target.name], np.float64)
    if isinstance(relation, NoisyOr):
        # where a cause of unknown weight is likely on, the relation implies nothing
        quiet = np.prod(np.where(relation.mask, 1.0, 1 - p[:, :, None]), axis=1)
        seen = (quiet >= 0.5) & relation.spoken
        gaps = np.where(seen, np.abs(target - relation.predict(p)), 0.0).max(axis=1)
        return np.where(seen.any(axis=1), gaps, np.nan)
    if isinstance(relation, Relation):
        table, known = relation.table, relation.mask
    else:
        table, known = relation.table, relation.known
        if not isinstance(relation.source, Multiclass):
            # the causes of a noisy-OR: all combinations
            states = combinations(relation.source.width)
            p = np.prod(np.where(states[None] == 1, p[:, None, :], 1 - p[:, None, :]), axis=2)
    exclusive = isinstance(relation.target, Multiclass)
    return contradiction(table, known, p, target, exclusive=exclusive)


def coherent(
    probabilities: Probabilities, relations: Sequence[Link], tasks: Sequence[Task]
) -> dict[str, NDArray[np.int64]]:
    """Return the jointly most likely answer of each row, by task: codes (n,), or (n, L) of 0 and 1.

    Max-product over the forest of relations; an answer that an exact table excludes is never given.
    Tasks without a relation get their likeliest class, labels from 0.5 on.

    Args:
        probabilities: per task (n, K) or (n, L).
        relations: what `model_relations` gives.
        tasks: the tasks to answer.

    Raises:
        LabelweaveError: no probabilities of a task.
    """
    result = {}
    for task in tasks:
        p = np.asarray(probabilities[task.name], np.float64)
        single = isinstance(task, Multiclass)
        result[task.name] = p.argmax(axis=1) if single else (p >= 0.5).astype(np.int64)
    for tree in relation_trees(relations):
        result |= _codes(tree, tree.best(probabilities))
    return {task.name: result[task.name] for task in tasks}


def _codes(tree: RelationTree, states: States) -> dict[str, NDArray[np.int64]]:
    found: dict[str, NDArray[np.int64]] = {}
    for v, variable in enumerate(tree.variables):
        name, mine = variable.task.name, states[:, v]
        if variable.label is not None:
            block = found.setdefault(name, np.zeros((len(mine), variable.task.width), np.int64))
            block[:, variable.label] = mine
        elif variable.joint:
            found[name] = combinations(variable.task.width)[mine].astype(np.int64)
        else:
            found[name] = mine
    return found


def predict_coherent(model: AnyModel, X: Table) -> dict[str, NDArray[Any]]:
    """Return what `predict` does, with answers to related tasks that fit together.

    Args:
        model: a fitted classifier, or a saved model that keeps its relations.
        X: the inputs of n rows.

    Raises:
        LabelweaveError: the model keeps no relations.
    """
    return decided_together(model, probabilities_of(model, X))


def decided_together(
    model: AnyModel, probabilities: Probabilities, relations: Sequence[Link] = ()
) -> dict[str, NDArray[Any]]:
    """Return the predictions that belong to a model's probabilities, as `predict_coherent` does.

    Args:
        model: what gave them.
        probabilities: by task.
        relations: of a network that keeps none itself; none = those that the model keeps.

    Raises:
        LabelweaveError: there are no relations.
    """
    tasks, relations = predictor_of(model).tasks, relations or model_relations(model)
    need_relations(relations)
    codes = coherent(probabilities, relations, tasks)
    return {task.name: decoded_codes(task, codes[task.name]) for task in tasks}


def need_relations(relations: Sequence[Link]) -> None:
    """Check that there is a relation.

    Raises:
        LabelweaveError: there is none.
    """
    if not relations:
        raise LabelweaveError(
            "the model keeps no relations, expected one of the method 'coupled' with some; for "
            "others give them to labelweave.trust.coherent"
        )


def decoded_codes(task: Task, codes: NDArray[np.int64]) -> NDArray[Any]:
    """Return codes as `predict` gives them: classes, or 0 and 1."""
    if isinstance(task, Multiclass):
        return task.decode(codes)
    if isinstance(task, Binary):
        return task.decode(codes[:, 0])
    return codes.astype(np.int8)
