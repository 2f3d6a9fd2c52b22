"""A relation read backwards by Bayes' rule: what a target's label says about the source's class."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations.noisy_or import AnyRelation
from labelweave.relations.relation import Relation
from labelweave.remarks import Remark
from labelweave.tasks import Multiclass

Floats = NDArray[np.float64]

SUM_TOLERANCE = 1e-3
TINY = 1e-300


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
    origin = Remark("remark.backwards", origin=relation.origin)
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
    log_table = np.log(np.maximum(table, TINY))
    if isinstance(target, Multiclass):
        likelihood = np.where((codes >= 0)[:, None], log_table.T[codes], 0.0)
    else:
        spoken = relation.mask.any(axis=0)
        on, off = (codes == 1) & spoken, (codes == 0) & spoken
        likelihood = on @ log_table.T + off @ np.log(np.maximum(1 - table, TINY)).T
    scores = likelihood + np.log(np.maximum(shares, TINY))
    allowed = scores.max(axis=1) > np.log(TINY)
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
    # where the prior rules out all classes that the table speaks about
    average = np.where(seen > 0, average, relation.filled().mean(axis=0))
    return np.where(mask, relation.table, average)
