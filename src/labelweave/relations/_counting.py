"""Relations from rows that carry the labels of both tasks: tables counted, noisy-ORs estimated."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelweave._messages import Message
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.evaluation._top_classes import is_wide
from labelweave.relations._noisy_or import NoisyOr
from labelweave.relations._relation import Relation
from labelweave.tasks import Multiclass, Multilabel


def count_relation(
    annotations: Annotations,
    source: str,
    target: str,
    *,
    smoothing: float = 1.0,
    minimum: int = 1,
    strength: float = 1.0,
) -> Relation:
    """Estimate T = P(target | source) from co-labelled rows, by smoothed counts.

    Every row of the table starts from `smoothing` pseudo-rows spread as the target's base rate
    among the co-labelled rows (a Dirichlet or Beta prior of that mass; posterior mean).

    Args:
        annotations: the training rows' labels.
        source: name of the multiclass source task.
        target: name of the target task.
        smoothing: pseudo-counts per row (and, for a multilabel target, per entry), above 0.
        minimum: a class with fewer co-labelled rows (per label) than this stays unknown; so does a
            label that no co-labelled row carries.
        strength: factor on the relation's coupling terms.

    Raises:
        LabelweaveError: no row carries labels of both tasks, the source is not multiclass, or the
            smoothing is not above 0.
    """
    if not smoothing > 0:
        raise LabelweaveError(
            f"relation {source}->{target}: smoothing {smoothing}, expected a number above 0"
        )
    first, second = annotations.task(source), annotations.task(target)
    if not isinstance(first, Multiclass):
        raise LabelweaveError(
            f"relation {source}->{target}: the source task is {first.kind}, expected multiclass"
        )
    both = _labelled_twice(annotations, source, target)
    given = annotations.labels[source][both]
    wanted = annotations.labels[target][both]
    if isinstance(second, Multiclass):
        pairs = given * second.width + wanted
        counts = np.bincount(pairs, minlength=first.width * second.width)
        hits = counts.reshape(first.width, second.width).astype(np.float64)
        support = np.repeat(hits.sum(axis=1, keepdims=True), second.width, axis=1)
    else:
        rows = np.zeros((first.width, second.width, 2))
        np.add.at(rows, given, np.stack([wanted == 1, wanted >= 0], axis=2))
        hits, support = rows[..., 0], rows[..., 1]
    seen = support.sum(axis=0)
    base = hits.sum(axis=0) / np.maximum(seen, 1)
    table = (hits + smoothing * base) / (support + smoothing)
    known = (support >= minimum) & (seen > 0)
    origin = Message("message.counted", {"rows": int(both.sum())})
    return Relation(first, second, np.where(known, table, 0.0), known, strength, origin)


def estimate_noisy_or(
    annotations: Annotations,
    source: str,
    target: str,
    *,
    smoothing: float = 1.0,
    strength: float = 1.0,
) -> NoisyOr:
    """Estimate a noisy-OR from co-labelled rows, by `NoisyOr.estimate`.

    Args:
        annotations: the training rows' labels.
        source: name of the multilabel task whose labels are the causes.
        target: name of the multilabel or binary target task.
        smoothing: pseudo-rows for every weight, above 0.
        strength: factor on the relation's coupling terms.

    Raises:
        LabelweaveError: no row carries labels of both tasks, one of them is multiclass, or the
            smoothing is not above 0.
    """
    first, second = annotations.task(source), annotations.task(target)
    if not isinstance(first, Multilabel) or not isinstance(second, Multilabel):
        raise LabelweaveError(
            f"relation {source}->{target}: found a {first.kind} and a {second.kind} task, "
            "expected two multilabel or binary ones for a noisy-OR"
        )
    both = _labelled_twice(annotations, source, target)
    causes, labels = annotations.labels[source][both], annotations.labels[target][both]
    found = NoisyOr.estimate(first, second, causes, labels, smoothing)
    return replace(found, strength=strength)


def _labelled_twice(annotations: Annotations, source: str, target: str) -> NDArray[np.bool_]:
    both = annotations.labelled(source) & annotations.labelled(target)
    if not both.any():
        raise LabelweaveError(
            f"relation {source}->{target}: no training row carries labels of both tasks; "
            "give a knowledge table instead"
        )
    return both


def confusion_counts(
    annotations: Annotations, predictions: Mapping[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.float64]]:
    """Return per task the counts of true x predicted labels, (K, K) or (L, 2, 2).

    Of a task of over 1,000 classes only how many are right and wrong, (2,): all else that is needed
    of it would be a table of 10^6 counts or more.

    Args:
        annotations: labels of n rows that were held out of training.
        predictions: the probabilities of the same rows.
    """
    counts: dict[str, NDArray[np.float64]] = {}
    for task in annotations.tasks:
        codes, p = annotations.labels[task.name], predictions[task.name]
        if is_wide(task):
            seen = codes >= 0
            right = int((p[seen].argmax(axis=1) == codes[seen]).sum())
            counts[task.name] = np.array([right, seen.sum() - right], np.float64)
        elif isinstance(task, Multiclass):
            counts[task.name] = np.zeros((task.width, task.width))
            seen = codes >= 0
            np.add.at(counts[task.name], (codes[seen], p[seen].argmax(axis=1)), 1)
        else:
            counts[task.name] = np.zeros((task.width, 2, 2))
            rows, labels = np.nonzero(codes >= 0)
            on = (p[rows, labels] >= 0.5).astype(np.int64)
            np.add.at(counts[task.name], (labels, codes[rows, labels], on), 1)
    return counts


STREAM = 7


def held_out_half(
    annotations: Annotations, groups: NDArray[np.int64] | None, seed: int
) -> NDArray[np.bool_]:
    """Return a random half of the rows, whole groups."""
    units = np.arange(len(annotations)) if groups is None else np.asarray(groups)
    distinct, unit = np.unique(units, return_inverse=True)
    half = np.zeros(len(distinct), np.bool_)
    # a separate random stream: label masking uses the same seed and must not influence this
    rng = np.random.default_rng([seed, STREAM])
    half[rng.permutation(len(distinct))[: len(distinct) // 2]] = True
    return np.asarray(half[unit])


def without_labels(
    annotations: Annotations, targets: set[str], rows: NDArray[np.bool_]
) -> Annotations:
    """Return the annotations with the target labels of some rows taken away."""
    labels = dict(annotations.labels)
    for name in targets:
        labels[name] = labels[name].copy()
        labels[name][rows] = -1
    return Annotations(annotations.tasks, labels)
