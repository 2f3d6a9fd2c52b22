"""Transfer weights: how much every task has to learn from the others, on held-out rows.

A relation leaves out what the inputs show beyond it. That costs nothing where the task's own head
is weak, and harms where it is strong. The transfer weight w is the weight of the relations'
prediction q in a mixture with the head's own p, w q(y|x) + (1 - w) p(y|x): its posterior mean,
given held-out labels and a Beta prior of ten pseudo-rows around the label-count rule. So a few rows
hardly move it and many decide; the mathematics are in docs/explanation/evidence.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, softmax

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations._lift import Elements, folds, recalibrated
from labelweave.relations._noisy_or import AnyRelation, NoisyOr
from labelweave.relations._relation import Relation
from labelweave.tasks import Multiclass, Task, one_hot

Floats = NDArray[np.float64]
Rng = np.random.Generator
TransferWeights = Mapping[str, Floats]
LabelCounts = Mapping[str, Floats]

TINY = 1e-4
SMOOTHING = 0.02  # no table is that sure
ROWS = 5_000  # held-out rows of a task, at most; more would not change one weight
CELLS, LEAST_ROWS = 5_000_000, 500  # rows x classes: of a task with over 1,000 classes fewer rows
FADE = 20.0  # labels of a class at which the prior mean is one half
PRIOR_ROWS = 10.0  # held-out rows that the prior counts as
EDGE = 0.05  # the prior mean is never surer than this
GRID = np.linspace(-10, 10, 401)  # log-odds of the weight, for integrals


@dataclass(frozen=True)
class HeldOut:
    """Rows that the uncoupled network was not trained on, with its predictions.

    Attributes:
        annotations: the labels of n rows.
        predictions: per task the probabilities, (n, K) or (n, L).
    """

    annotations: Annotations
    predictions: Mapping[str, NDArray[np.floating]]


def label_counts(annotations: Annotations) -> LabelCounts:
    """Return per task the labelled rows of every class, (K,), or of a label's rarer side, (L,)."""
    counts: dict[str, Floats] = {}
    for task in annotations.tasks:
        codes = annotations.labels[task.name]
        if isinstance(task, Multiclass):
            found = np.bincount(codes[codes >= 0], minlength=task.width)
        else:
            found = np.minimum((codes == 1).sum(axis=0), (codes == 0).sum(axis=0))
        counts[task.name] = found.astype(np.float64)
    return counts


def prior_transfer_weights(
    tasks: Sequence[Task], counts: Mapping[str, ArrayLike], fade: float = FADE
) -> TransferWeights:
    """Return per task the transfer weight by its label counts alone, (width,), above 0 up to 1.

    Args:
        tasks: the tasks; one without counts has the weight 1.
        counts: own labels, as `label_counts` gives them.
        fade: labels of a class, or of a label's rarer side, at which the weight is one half. A
            multiclass task has one weight, the mean over its classes, for all its classes.

    Raises:
        LabelweaveError: counts of another shape than (width,).
    """
    found: dict[str, Floats] = {}
    for task in tasks:
        own = np.asarray(counts.get(task.name, np.zeros(task.width)), dtype=np.float64)
        if own.shape != (task.width,):
            raise LabelweaveError(
                f"task '{task.name}': found own labels of shape {own.shape}, expected "
                f"{(task.width,)}"
            )
        weight = fade / (fade + own)
        one = isinstance(task, Multiclass)
        found[task.name] = np.full_like(weight, weight.mean()) if one else weight
    return found


def estimate_transfer_weights(
    held_out: HeldOut,
    relations: Sequence[AnyRelation],
    training: Annotations | None = None,
    seed: int = 0,
) -> TransferWeights:
    """Return per task how much it has to learn through the relations, (width,), from 0 to 1.

    Near 1: the relations predict its held-out labels better than its own head; near 0: the other
    way round; without evidence, `prior_transfer_weights` of the training labels. A multiclass task
    has one weight for all its classes. A row judges only where the head can have seen its class. A
    label that no relation covers has weight 0. Tasks without relations or without labels on these
    rows are left out.

    Args:
        held_out: rows that the network was not trained on.
        relations: those that will couple the tasks.
        training: the labels that it was trained on; None, or those of `held_out` = its predictions
            of them are out-of-fold.
        seed: deals the folds of the recalibration, and draws rows when there are more than 5,000,
            or of a task of more than 1,000 classes 5,000,000 / classes.
    """
    out_of_fold = training is None or training is held_out.annotations
    known = held_out.annotations if training is None else training
    priors = prior_transfer_weights(known.tasks, label_counts(known))
    least = 2 if out_of_fold else 1  # of two rows of a class one trains when the other is held out
    found: dict[str, Floats] = {}
    for task in held_out.annotations.tasks:
        rows = np.flatnonzero(held_out.annotations.labelled(task.name))
        rng = np.random.default_rng(seed)
        most = min(ROWS, max(LEAST_ROWS, CELLS // task.width))
        if len(rows) > most:
            rows = np.sort(rng.choice(rows, most, replace=False))
        p = {name: np.asarray(v[rows], np.float64) for name, v in held_out.predictions.items()}
        messages = _messages(task, p, relations)
        if messages is None or not len(rows):
            continue
        judging = _seen(task, held_out.annotations.labels[task.name][rows], known, least)
        q = softmax(messages, axis=1) if isinstance(task, Multiclass) else expit(messages)
        found[task.name] = _weights(judging, p[task.name], q, priors[task.name], rng)
        if not isinstance(task, Multiclass):
            found[task.name][~_covered(task, relations)] = 0.0
    return found


def posterior_weight(p: Floats, q: Floats, prior: float, pseudo_rows: float = PRIOR_ROWS) -> float:
    """Return E[w | labels], w the weight of q in the mixture w q(y_i) + (1 - w) p(y_i).

    The prior is Beta(a m, a (1 - m)) with mean m and a pseudo-rows. The mean rises with every
    q_i / p_i, and n rows keep it between a m / (a + n) and (a m + n) / (a + n).

    Args:
        p: (n,) probability of each observed label by the task's own head, above 0.
        q: (n,) by the relations, above 0.
        prior: m, taken as at least .05 and at most .95.
        pseudo_rows: a, above 0.
    """
    m = float(np.clip(prior, EDGE, 1 - EDGE))
    # in log-odds a Beta density is w^a (1 - w)^b: no pole at either end
    score = pseudo_rows * (m * log_expit(GRID) + (1 - m) * log_expit(-GRID))
    w = expit(GRID)
    score = score + np.log(np.outer(w, q) + np.outer(1 - w, p)).sum(axis=1)
    return float(softmax(score) @ w)


def _seen(task: Task, codes: NDArray[np.integer], training: Annotations, least: int) -> Elements:
    """Return the labels whose class, or state, the head can have seen: those that judge."""
    counts = training.counts(task.name)
    if isinstance(task, Multiclass):
        rows = counts[codes] >= least
        values = one_hot(codes, task.width)
        seen = np.repeat(rows[:, None], task.width, axis=1)
    else:
        enough = np.asarray(counts >= least)
        values = (codes == 1).astype(np.float64)
        seen = (codes >= 0) & np.where(codes == 1, enough[:, 1], enough[:, 0])
    return Elements(task, values, seen, np.arange(len(codes)))


def _weights(judging: Elements, own: Floats, messages: Floats, prior: Floats, rng: Rng) -> Floats:
    """Return the weights of a task's columns, (width,); p and q are recalibrated first."""
    rows = np.flatnonzero(judging.seen.any(axis=1))
    if not len(rows):
        return np.clip(prior, EDGE, 1 - EDGE)
    some = Elements(judging.target, judging.values[rows], judging.seen[rows], np.arange(len(rows)))
    fold = folds(some.groups, rng)
    # over-confident scores would count a single error for a hundred rows
    p, q = (
        np.clip(recalibrated(each[rows], some, fold, None, rng)[1], TINY, 1 - TINY)
        for each in (own, messages)
    )
    if some.exclusive:
        on = some.values == 1
        return np.full(len(prior), posterior_weight(p[on], q[on], float(prior[0])))
    p, q = (np.where(some.values == 1, each, 1 - each) for each in (p, q))
    columns = enumerate(some.seen.T)
    return np.array([posterior_weight(p[s, j], q[s, j], float(prior[j])) for j, s in columns])


def _covered(task: Task, relations: Sequence[AnyRelation]) -> NDArray[np.bool_]:
    """Return the labels that a relation has something to say on, (L,)."""
    masks = [r.mask.any(axis=0) for r in relations if r.target.name == task.name]
    return np.asarray(np.any(masks, axis=0))


def _messages(
    task: Task, p: Mapping[str, Floats], relations: Sequence[AnyRelation]
) -> Floats | None:
    """Return the messages of all relations to a task: log-probabilities or log-odds, (n, width)."""
    found = [
        message for relation in relations if (message := _message(task, p, relation)) is not None
    ]
    return np.sum(found, axis=0) if found else None


def _message(task: Task, p: Mapping[str, Floats], relation: AnyRelation) -> Floats | None:
    """Return one relation's message to a task; a noisy-OR has none to its causes."""
    if relation.target.name == task.name:
        given = p[relation.source.name]
        if isinstance(relation, NoisyOr):
            return np.where(relation.mask.any(axis=0), _log_odds(relation.predict(given)), 0.0)
        q = given @ _smooth(relation)
        if isinstance(task, Multiclass):
            return np.log(q + TINY)
        return np.where(relation.mask.any(axis=0), _log_odds(q), 0.0)
    if relation.source.name != task.name or isinstance(relation, NoisyOr):
        return None
    table, given = _smooth(relation), p[relation.target.name]
    if isinstance(relation.target, Multiclass):
        return np.log(given @ table.T + TINY)
    message = np.zeros((len(given), task.width))
    for j in range(relation.target.width):
        on = given[:, j : j + 1]
        message += relation.mask[:, j] * np.log(on * table[:, j] + (1 - on) * (1 - table[:, j]))
    return message


def _smooth(relation: Relation) -> Floats:
    neutral = 1 / relation.target.width if isinstance(relation.target, Multiclass) else 0.5
    return (1 - SMOOTHING) * relation.filled() + SMOOTHING * neutral


def _log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, TINY, 1 - TINY)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
