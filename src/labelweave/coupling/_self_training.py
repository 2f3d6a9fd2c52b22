"""Self-training: rows with other tasks' labels teach a task through the tables (co-annotation)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.coupling._posterior import Link, joint_posterior
from labelweave.learners import Learner, TaskModel, fit_task
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]
Rows = NDArray[np.int64]

CLASSES, LEAST = 3, 0.03  # the likeliest classes of a row, each with at least this probability


def related_rows(annotations: Annotations, name: str, links: Sequence[Link]) -> Rows:
    """Return the rows without a label of a task that carry one of a task related to it directly."""
    seen = np.zeros(len(annotations), np.bool_)
    for link in links:
        if name in link.ends():
            other = link.target.name if link.source.name == name else link.source.name
            seen |= annotations.labelled(other)
    return np.flatnonzero(seen & ~annotations.labelled(name))


def pseudo_labels(
    probabilities: Mapping[str, Floats], links: Sequence[Link], evidence: Annotations, name: str
) -> Floats:
    """Return r(s|x) in proportion to p(s|x) prod_o (T[s, y_o] / pi_o)^lambda, (r, W).

    Related tasks without a label on a row enter with their predictions.

    Args:
        probabilities: per task, of r rows.
        links: the relations with their strengths.
        evidence: the labels of the r rows.
        name: the task that is taught.
    """
    return joint_posterior(probabilities, links, evidence, only=name)[name]


def weighted_samples(task: Task, r: Floats) -> tuple[Rows, Codes, Floats]:
    """Return pseudo-labels as weighted samples: row numbers, codes and weights.

    A multiclass row gives its three likeliest classes of probability .03 or more. A multilabel row
    gives every label twice, on and off, codes and weights (2 r, L).
    """
    if isinstance(task, Multiclass):
        top = np.sort(np.argsort(-r, axis=1, kind="stable")[:, :CLASSES], axis=1)
        rows = np.repeat(np.arange(len(r)), top.shape[1])
        codes = top.ravel()
        weight = r[rows, codes]
        used = weight >= LEAST
        return rows[used], codes[used], weight[used]
    on = np.where(r >= LEAST, r, 0.0)
    off = np.where(1 - r >= LEAST, 1 - r, 0.0)
    rows = np.tile(np.arange(len(r)), 2)
    codes = np.concatenate([np.ones(r.shape, np.int8), np.zeros(r.shape, np.int8)])
    return rows, codes, np.concatenate([on, off])


def fit_self_trained(
    learner: Learner,
    task: Task,
    X: Floats,
    own: tuple[Rows, Codes, Floats],
    pseudo: tuple[Rows, Floats],
    seed: int,
    factor: Floats | None = None,
) -> TaskModel:
    """Fit a learner to own labels and pseudo-labels together.

    Args:
        learner: it must take sample weights.
        task: the task.
        X: (n, d) inputs of all rows.
        own: rows, their labels, their weights.
        pseudo: rows and their r(s|x).
        seed: decides everything.
        factor: (r, W, 2) or None, by which a pseudo-label of each class (label), off and on, counts
            more: what moves the rows' class prior to that of the own labels.
    """
    rows, codes, weight = own
    which, labels, share = weighted_samples(task, pseudo[1])
    if factor is not None and isinstance(task, Multiclass):
        share = share * factor[which, labels, 1]
    elif factor is not None:
        share = share * np.concatenate([factor[..., 1], factor[..., 0]])
    if codes.ndim == 2:
        weight = np.repeat(weight[:, None], codes.shape[1], axis=1)
    return fit_task(
        learner,
        task,
        X[np.concatenate([rows, pseudo[0][which]])],
        np.concatenate([codes, labels.astype(codes.dtype)]),
        sample_weight=np.concatenate([weight, share]),
        seed=seed,
    )
