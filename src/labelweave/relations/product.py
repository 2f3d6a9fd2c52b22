"""The table multiplied in at prediction time: no training, the control that coupling must beat."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.noisy_or import AnyRelation, NoisyOr
from labelweave.relations.noisy_or_product import multiply_noisy_or
from labelweave.relations.relation import Relation
from labelweave.tasks import Multiclass, Task

Probabilities = Mapping[str, NDArray[np.floating]]
TINY = 1e-12


def multiply_in(
    probabilities: Probabilities, relations: Sequence[AnyRelation], smoothing: float = 0.01
) -> dict[str, NDArray[np.float64]]:
    """Combine the predictions of related tasks by the product of experts.

    For every source task s with targets t, the joint p(s|x) prod_t T[s, t] p(t|x), normalised; its
    exact marginals replace the predictions of s and of every t. Needs no label and no training.
    Noisy-ORs come after the tables, one by one, see `multiply_noisy_or`.

    Args:
        probabilities: task name to (n, K) class or (n, L) label-on probabilities.
        relations: tables and noisy-ORs whose source and target are predicted; others are left out.
        smoothing: mixes each table with the uniform distribution, as in the coupling losses.

    Returns:
        The combined probabilities; tasks without a relation are unchanged.
    """
    result = {name: np.asarray(p, dtype=np.float64) for name, p in probabilities.items()}
    known = [r for r in relations if {r.source.name, r.target.name} <= probabilities.keys()]
    used = [relation for relation in known if isinstance(relation, Relation)]
    for source in dict.fromkeys(relation.source.name for relation in used):
        group = [relation for relation in used if relation.source.name == source]
        # a target's columns: pairs (table (K, C), p (n, C)), a binary label being two classes
        columns = {r.target.name: _columns(r, result[r.target.name], smoothing) for r in group}
        messages = {
            name: sum(np.log(np.maximum(p @ table.T, TINY)) for table, p in blocks)
            for name, blocks in columns.items()
        }
        log_joint = np.log(np.maximum(result[source], TINY)) + sum(messages.values())
        for relation in group:
            name = relation.target.name
            blocks = [_without(log_joint, table, p) @ table * p for table, p in columns[name]]
            result[name] = _probabilities(relation.target, blocks)
        result[source] = _softmax(log_joint)
    for noisy_or in (relation for relation in known if isinstance(relation, NoisyOr)):
        pair = (noisy_or.source.name, noisy_or.target.name)
        revised = multiply_noisy_or(noisy_or, result[pair[0]], result[pair[1]], smoothing)
        result |= dict(zip(pair, revised, strict=True))
    return result


def _columns(
    relation: Relation, p: NDArray[np.float64], smoothing: float
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    filled = relation.filled()
    if isinstance(relation.target, Multiclass):
        return [((1 - smoothing) * filled + smoothing / relation.target.width, p)]
    smooth = (1 - smoothing) * filled + smoothing * 0.5
    return [
        (np.stack([smooth[:, j], 1 - smooth[:, j]], axis=1), np.stack([p[:, j], 1 - p[:, j]], 1))
        for j in range(relation.target.width)
    ]


def _without(
    log_joint: NDArray[np.float64], table: NDArray[np.float64], p: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the source's posterior from everything but one column block, (n, K)."""
    return _softmax(log_joint - np.log(np.maximum(p @ table.T, TINY)))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _probabilities(target: Task, blocks: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    normed = [block / np.maximum(block.sum(axis=1, keepdims=True), TINY) for block in blocks]
    if isinstance(target, Multiclass):
        return np.asarray(normed[0])
    return np.stack([block[:, 0] for block in normed], axis=1)
