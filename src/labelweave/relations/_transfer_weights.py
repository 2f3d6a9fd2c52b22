"""Transfer weights: how much every task still has to learn from the others, on held-out rows.

What the relations tell of a task leaves out what the inputs show beyond it. That costs nothing
where the task's own head is weak, and harms where it is strong, whatever the number of its labels.
So both are weighed against each other on rows that neither has seen: in a logistic regression of
the labels on the log-odds of both (stacked generalisation, Wolpert, Neural Networks 1992), the
transfer weight is the relations' share in what it predicts. It is 0 where they do not clearly
help, as where two sources look so different that one head knows nothing of the other's rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from labelweave.annotations import Annotations
from labelweave.relations._noisy_or import AnyRelation, NoisyOr
from labelweave.relations._relation import Relation
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
TransferWeights = Mapping[str, Floats]

TINY = 1e-4
SMOOTHING = 0.02  # no table is that sure
RIDGE = 1.0  # holds weights and biases where few labels are there
POOLING = 5.0  # holds a label's weights near those of all labels of its task
GAIN = 2.0  # nats on these rows that what is told must save: a likelihood-ratio test at about 5 %
ROWS = 20_000  # a fit has a few parameters; more rows would not change them


@dataclass(frozen=True)
class HeldOut:
    """Rows that the uncoupled network was not trained on, with what it says of them.

    Attributes:
        annotations: the labels of n rows.
        predictions: per task the probabilities, (n, K) or (n, L).
    """

    annotations: Annotations
    predictions: Mapping[str, NDArray[np.floating]]


def estimate_transfer_weights(
    held_out: HeldOut, relations: Sequence[AnyRelation], seed: int = 0
) -> TransferWeights:
    """Return per task how much it has to learn through the relations, (width,), from 0 to 1.

    1: the relations tell all and the task's own head nothing; 0: the other way round. A multiclass
    task has one figure for all its classes. Tasks without relations or without labels on these rows
    are left out.

    Args:
        held_out: rows that the network was not trained on.
        relations: those that will couple the tasks.
        seed: draws rows when there are more than 20,000.
    """
    found: dict[str, Floats] = {}
    for task in held_out.annotations.tasks:
        codes = held_out.annotations.labels[task.name]
        rows = np.flatnonzero(held_out.annotations.labelled(task.name))
        if len(rows) > ROWS:
            rows = np.sort(np.random.default_rng(seed).choice(rows, ROWS, replace=False))
        p = {name: np.asarray(v[rows], np.float64) for name, v in held_out.predictions.items()}
        told = _told(task, p, relations)
        if told is None or not len(rows):
            continue
        if isinstance(task, Multiclass):
            own = np.log(p[task.name] + TINY)
            share = _share_of_classes(own, told, codes[rows])
            found[task.name] = np.full(task.width, share)
        else:
            own = _log_odds(p[task.name])
            found[task.name] = _shares_of_labels(own, told, codes[rows])
    return found


def _told(task: Task, p: Mapping[str, Floats], relations: Sequence[AnyRelation]) -> Floats | None:
    """Return what all relations tell of a task, as log-probabilities or log-odds, (n, width)."""
    told = [
        message for relation in relations if (message := _message(task, p, relation)) is not None
    ]
    return np.sum(told, axis=0) if told else None


def _message(task: Task, p: Mapping[str, Floats], relation: AnyRelation) -> Floats | None:
    """Return what one relation tells of a task; a noisy-OR tells nothing of its causes."""
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


def _share_of_classes(own: Floats, told: Floats, codes: NDArray[np.integer]) -> float:
    """Return the share of what is told in a multinomial logistic regression on both."""
    x = np.stack([_standardised(part - part.mean(axis=1, keepdims=True)) for part in (own, told)])
    on = np.eye(own.shape[1])[codes]

    def loss(theta: Floats) -> tuple[float, Floats]:
        scores = np.tensordot(theta[:2], x, 1) + theta[2:]
        scores = scores - scores.max(axis=1, keepdims=True)
        log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        wrong = np.exp(log_p) - on
        gradient = np.concatenate([np.tensordot(x, wrong, 2), wrong.sum(axis=0)])
        value = -(on * log_p).sum() + 0.5 * RIDGE * (theta**2).sum()
        return float(value), gradient + RIDGE * theta

    return _share(*_minimised(loss, own.shape[1], GAIN))


def _shares_of_labels(own: Floats, told: Floats, codes: NDArray[np.integer]) -> Floats:
    """Return each label's share of what is told in a logistic regression on both, (L,).

    A label with few rows says little of itself: its weights are drawn towards those of all labels
    together (partial pooling).
    """
    found, seen = np.zeros(own.shape[1]), codes >= 0
    # where no relation tells one row from another there is nothing to learn
    spoken = [j for j in range(len(found)) if seen[:, j].any() and told[seen[:, j], j].std() > TINY]
    if not spoken:
        return found
    xs = [np.stack([_standardised(part[seen[:, j], j]) for part in (own, told)]) for j in spoken]
    on = [codes[seen[:, j], j] == 1 for j in spoken]
    shared = _weights(xs, on, np.zeros(2), RIDGE, GAIN)
    if not shared[1]:
        return found
    for j, x, y in zip(spoken, xs, on, strict=True):
        weights = shared if len(spoken) == 1 else _weights([x], [y], shared, POOLING)
        found[j] = _share(*weights)
    return found


def _weights(
    xs: Sequence[Floats],
    on: Sequence[NDArray[np.bool_]],
    centre: Floats,
    ridge: float,
    gain: float = 0.0,
) -> Floats:
    """Return the weights, (2,), that several labels share in a logistic regression of each.

    Args:
        xs: of every label what its own head and the relations say, (2, n).
        on: whether it is on, (n,).
        centre: what the weights are drawn towards, (2,).
        ridge: how much.
        gain: see `_minimised`.
    """

    def loss(theta: Floats) -> tuple[float, Floats]:
        drawn = np.concatenate([ridge * (theta[:2] - centre), RIDGE * theta[2:]])
        value = 0.5 * (drawn[:2] @ (theta[:2] - centre) + drawn[2:] @ theta[2:])
        gradient = drawn
        for number, (x, y) in enumerate(zip(xs, on, strict=True), start=2):
            scores = theta[:2] @ x + theta[number]
            wrong = 1 / (1 + np.exp(-scores)) - y
            gradient[:2] += x @ wrong
            gradient[number] += wrong.sum()
            value += (np.logaddexp(0, scores) - y * scores).sum()
        return float(value), gradient

    return _minimised(loss, len(xs), gain)


def _minimised(
    loss: Callable[[Floats], tuple[float, Floats]], biases: int, gain: float = 0.0
) -> Floats:
    """Return the two weights, neither negative, at which a loss of these and biases is smallest.

    Where the second saves less than `gain`, it is 0.
    """
    start = np.concatenate([[0.5, 0.5], np.zeros(biases)])
    free, zero = (0, None), (0, 0)

    def best(second: tuple[int, int | None]) -> OptimizeResult:
        bounds = [free, second] + [(None, None)] * biases
        return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)

    both = best(free)
    if gain and best(zero).fun - both.fun < gain:
        return np.array([both.x[0], 0.0])
    return np.asarray(both.x[:2])


def _share(own: float, told: float) -> float:
    return float(told / (own + told)) if told > 0 else 0.0


def _standardised(scores: Floats) -> Floats:
    return np.asarray((scores - scores.mean()) / max(float(scores.std()), TINY))
