"""A relation read backwards by Bayes' rule: what a target's label says about the source's class."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave._messages import Message
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations._noisy_or import AnyRelation, NoisyOr
from labelweave.relations._relation import TOLERANCE, Relation
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]

SUM_TOLERANCE = 1e-3
REVERSE_TINY = 1e-300


def reverse(relation: AnyRelation, prior: ArrayLike) -> Relation:
    """Return P(source | target) = T[s, t] prior[s] / sum_s' T[s', t] prior[s'].

    The reversed relation holds the same joint distribution: coupling by both counts it twice (see
    `acyclic`). A target class that no source class leads to stays unknown; a source class whose
    row is unknown counts with the average row, so that the target says nothing about it.

    A multilabel target has no such table: P(class | labels) depends on all labels at once, and one
    row a label would count what they share several times. `source_posterior` computes it.

    Args:
        relation: multiclass source (K classes) -> multiclass target (C classes).
        prior: (K,) shares of the source's classes where the reversed relation will be used.

    Returns:
        The relation target -> source with a (C, K) table and the same strength.

    Raises:
        LabelweaveError: a multilabel target, a noisy-OR, or a prior that does not fit.
    """
    if not isinstance(relation, Relation):
        raise LabelweaveError(
            f"relation {relation.name}: found a noisy-OR, which has no table to read backwards"
        )
    if not isinstance(relation.target, Multiclass):
        raise LabelweaveError(
            f"relation {relation.name}: found a multilabel target, expected a multiclass one to "
            "read backwards; use source_posterior for the labels together"
        )
    shares = _checked_prior(relation, prior)
    joint = _average_filled(relation, shares) * shares[:, None]
    mass = joint.sum(axis=0)
    possible = mass > 0
    table = joint.T / np.where(possible, mass, 1.0)[:, None]
    known = np.repeat(possible[:, None], relation.source.width, axis=1)
    origin = Message("message.backwards", {"origin": relation.origin})
    return Relation(relation.target, relation.source, table, known, relation.strength, origin)


def source_posterior(relation: Relation, prior: ArrayLike, target_labels: ArrayLike) -> Floats:
    """Return P(source | observed target labels), (n, K).

    Proportional to prior[s] * prod_j P(label j's value | s) over the observed labels, which are
    taken as independent given the class. Missing labels and unknown entries say nothing (an unknown
    entry counts as its column's average); a row without labels gets the prior, and so does one
    whose labels no class allows.

    Args:
        relation: multiclass source -> any target.
        prior: (K,) shares of the source's classes.
        target_labels: codes (n,) or (n, L), -1 = missing.

    Raises:
        LabelweaveError: a prior or labels that do not fit.
    """
    shares = _checked_prior(relation, prior)
    target = relation.target
    codes = Annotations((target,), {target.name: np.asarray(target_labels)}).labels[target.name]
    table = _average_filled(relation, shares)
    log_table = np.log(np.maximum(table, REVERSE_TINY))
    if isinstance(target, Multiclass):
        likelihood = np.where((codes >= 0)[:, None], log_table.T[codes], 0.0)
    else:
        covered = relation.mask.any(axis=0)
        on, off = (codes == 1) & covered, (codes == 0) & covered
        likelihood = on @ log_table.T + off @ np.log(np.maximum(1 - table, REVERSE_TINY)).T
    scores = likelihood + np.log(np.maximum(shares, REVERSE_TINY))
    allowed = scores.max(axis=1) > np.log(REVERSE_TINY)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    posterior = weights / weights.sum(axis=1, keepdims=True)
    return np.where(allowed[:, None], posterior, shares)


def _checked_prior(relation: Relation, prior: ArrayLike) -> Floats:
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (relation.source.width,):
        raise LabelweaveError(
            f"relation {relation.name}: found a prior of shape {shares.shape}, expected "
            f"({relation.source.width},)"
        )
    if not (shares >= 0).all() or abs(shares.sum() - 1) > SUM_TOLERANCE:
        raise LabelweaveError(
            f"relation {relation.name}: found a prior from {shares.min():.4g} to "
            f"{shares.max():.4g} that sums to {shares.sum():.4g}, expected shares that sum to 1"
        )
    return np.asarray(shares / shares.sum())


def _average_filled(relation: Relation, prior: Floats) -> Floats:
    """Return the table with unknown entries set to their column's average under the prior."""
    mask = relation.mask
    weight = np.where(mask, prior[:, None], 0.0)
    seen = weight.sum(axis=0)
    average = (weight * relation.table).sum(axis=0) / np.where(seen > 0, seen, 1.0)
    # where the prior rules out all classes that the table covers
    average = np.where(seen > 0, average, relation.filled().mean(axis=0))
    return np.where(mask, relation.table, average)


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
        origin=Message("message.both_origins", {"first": first.origin, "second": second.origin}),
    )


TINY = 1e-12


def multiply_noisy_or(
    relation: NoisyOr, source: Floats, target: Floats, smoothing: float
) -> tuple[Floats, Floats]:
    """Return both tasks' probabilities, revised by each other: (n, L_s) and (n, L_t).

    One pass of Pearl's belief propagation on the joint prod_i p(s_i) prod_j p(t_j) P(t_j | s): each
    target label hears its causes, each cause every target label. With one target label these are
    the exact marginals; with more, exact ones would take a sum over all combinations of causes.

    Args:
        relation: the noisy-OR.
        source: (n, L_s) probabilities of "on".
        target: (n, L_t) probabilities of "on".
        smoothing: mixes P(t_j | s) with one half.
    """
    weights, silent = relation.weights, ~relation.mask
    stay = 1 - weights[None] * source[:, :, None]
    off = (1 - relation.leak) * _product_of_others(stay)
    # P(label off | cause off) and P(label off | cause on), the other causes as predicted
    given = [(1 - smoothing) * part + 0.5 * smoothing for part in (off, off * (1 - weights))]
    said = [np.log(np.maximum(_agreement(target[:, None], part), TINY)) for part in given]
    # an unknown weight says nothing about its cause
    odds = np.where(silent, 0.0, said[1] - said[0]).sum(axis=2)
    q = (1 - smoothing) * relation.predict(source) + 0.5 * smoothing
    mass = np.prod(1 - silent[None] * source[:, :, None], axis=1)
    q = np.where(relation.spoken, mass * q + (1 - mass) * 0.5, 0.5)
    on = target * q
    return _revised(source, odds), on / np.maximum(on + (1 - target) * (1 - q), TINY)


def _agreement(on: Floats, off: Floats) -> Floats:
    return (1 - on) * off + on * (1 - off)


def _product_of_others(values: Floats) -> Floats:
    """Return for each i the product over all others of axis 1, without dividing."""
    ones = np.ones_like(values[:, :1])
    before = np.cumprod(np.concatenate([ones, values[:, :-1]], axis=1), axis=1)
    after = np.cumprod(np.concatenate([ones, values[:, :0:-1]], axis=1), axis=1)[:, ::-1]
    return np.asarray(before * after)


def _revised(p: Floats, log_odds: Floats) -> Floats:
    p = np.clip(p, TINY, 1 - TINY)
    return np.asarray(1 / (1 + (1 - p) / p * np.exp(-log_odds)))


Probabilities = Mapping[str, NDArray[np.floating]]


def contradiction(
    table: Floats, known: NDArray[np.bool_], source: Floats, target: Floats, *, exclusive: bool
) -> Floats:
    """Return how far what a table implies is from a target's probabilities, 0 to 1, (n,).

    The table, weighted by P(source), gives the target's distribution that the source implies. The
    figure is its total variation distance from P(target) where the target's classes exclude each
    other, else the largest distance of a label. Entries count where at least half of P(source) is
    on known ones; NaN where none does.

    Args:
        table: P(target | source), (K, m).
        known: which entries are known, (K, m).
        source: P(source), (n, K).
        target: P(target), (n, m).
        exclusive: whether the target's classes exclude each other.
    """
    weight = source @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        implied = (source @ np.where(known, table, 0.0)) / weight
    seen = weight >= 0.5
    gaps = np.where(seen, np.abs(target - np.where(seen, implied, 0.0)), 0.0)
    apart = gaps.sum(axis=1) / 2 if exclusive else gaps.max(axis=1)
    return np.where(seen.any(axis=1), apart, np.nan)


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
