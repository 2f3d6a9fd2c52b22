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
from labelweave.relations._operations import contradiction
from labelweave.tasks import Binary, Multiclass, Task
from labelweave.trust._forest import RelationTree, States, model_relations, relation_trees
from labelweave.trust._predictions import (
    AnyModel,
    Floats,
    Probabilities,
    predictor_of,
    probabilities_of,
)


def contradictions(probabilities: Probabilities, relations: Sequence[Link]) -> pd.DataFrame:
    """Return for each row how far two related tasks are apart, from 0 to 1, a column a relation.

    The table, weighted by the source's probabilities, implies a distribution of the target. The
    figure is its total variation distance from the target's probabilities; of a multilabel target
    the largest distance of a label. NaN where the table knows nothing of the likely classes.

    Args:
        probabilities: per task (n, K) or (n, L).
        relations: what `model_relations` gives.

    Raises:
        LabelweaveError: no probabilities of a task.
    """
    found = {}
    for link in relations:
        for task in (link.source, link.target):
            if task.name not in probabilities:
                raise LabelweaveError(
                    f"relation {link.name}: found no probabilities of '{task.name}'"
                )
        found[link.name] = _distance(link, probabilities)
    return pd.DataFrame(found)


def _distance(link: Link, probabilities: Probabilities) -> Floats:
    p = np.asarray(probabilities[link.source.name], np.float64)
    if not isinstance(link.source, Multiclass):
        # the causes of a noisy-OR: all combinations
        states = combinations(link.source.width)
        p = np.prod(np.where(states[None] == 1, p[:, None, :], 1 - p[:, None, :]), axis=2)
    target = np.asarray(probabilities[link.target.name], np.float64)
    exclusive = isinstance(link.target, Multiclass)
    return contradiction(link.table, link.known, p, target, exclusive=exclusive)


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


def decided_together(model: AnyModel, probabilities: Probabilities) -> dict[str, NDArray[Any]]:
    """Return the predictions that belong to a model's probabilities, as `predict_coherent` does.

    Raises:
        LabelweaveError: the model keeps no relations.
    """
    tasks, relations = predictor_of(model).tasks, model_relations(model)
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
