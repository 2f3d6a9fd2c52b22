"""Several learners of one task as one: temperatures and mixture weights from out-of-fold rows.

Stacking as a mixture of experts with fixed weights (Smyth, Wolpert, "Linearly combining density
estimators via stacking", 1999): the weights are fitted by EM to the likelihood of labels that the
learners did not see.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from labelweave.tasks import Multiclass, Task, one_hot

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]

TINY = 1e-9
TEMPERATURES = np.exp(np.linspace(np.log(0.15), np.log(6.0), 25))
SPREAD = 0.7  # of the prior of log T around 0
STEPS, TOLERANCE = 300, 1e-6


@dataclass(frozen=True)
class Judged:
    """Rows that judge predictions of one task.

    Own labels judge by their likelihood. A row with labels of related tasks judges by
    log sum_s p(s|x) M(s), M(s) = prod_o (T[s, y_o] / pi_o)^lambda
    (docs/explanation/coupling.md, step 1).

    Attributes:
        rows: (r,) row numbers.
        evidence: (r, K), for each row the likelihood of every class: one-hot for an own label. For
            a multilabel task (r, L, 2), [off, on] of every label; ones where nothing is known.
        weight: (r,) how much each row counts.
    """

    rows: NDArray[np.int64]
    evidence: Floats
    weight: Floats

    def likelihood(self, p: Floats) -> Floats:
        """Return the log-likelihood of every row, (r,), under predictions (r, K) or (r, L)."""
        if self.evidence.ndim == 2:
            return np.asarray(np.log(np.maximum((p * self.evidence).sum(axis=1), TINY)))
        both = (1 - p) * self.evidence[..., 0] + p * self.evidence[..., 1]
        return np.asarray(np.log(np.maximum(both, TINY)).sum(axis=1))

    def total(self, p: Floats) -> float:
        """Return the weighted log-likelihood of all rows."""
        return float(self.weight @ self.likelihood(p))

    @staticmethod
    def join(parts: Sequence["Judged"]) -> "Judged":
        """Return the rows of all parts."""
        return Judged(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.evidence for part in parts]),
            np.concatenate([part.weight for part in parts]),
        )


def own_labels(task: Task, codes: Codes, rows: NDArray[np.int64], weight: Floats) -> Judged:
    """Return labelled rows as judges by their own labels; a missing element counts nothing.

    Args:
        task: the task.
        codes: labels of all n rows.
        rows: the rows that judge.
        weight: (n,) how much each row counts.
    """
    found = codes[rows]
    if isinstance(task, Multiclass):
        return Judged(rows, one_hot(found, task.width), weight[rows])
    pairs = np.stack([found != 1, found != 0], axis=2).astype(np.float64)
    return Judged(rows, pairs, weight[rows])


def tempered(task: Task, p: Floats, temperature: float) -> Floats:
    """Return softmax(log p / T), or the sigmoid of log-odds / T for a multilabel task."""
    if temperature == 1.0:
        return p
    if isinstance(task, Multiclass):
        return np.asarray(softmax(np.log(np.maximum(p, TINY)) / temperature, axis=1))
    clipped = np.clip(p, TINY, 1 - TINY)
    return np.asarray(expit((np.log(clipped) - np.log1p(-clipped)) / temperature))


def fit_temperature(task: Task, p: Floats, judged: Judged) -> float:
    """Return the temperature of the highest posterior on a grid from .15 to 6.

    The likelihood is that of the judging rows; log T has a normal prior around 0, so that a few
    rows hardly move it (Guo et al., "On calibration of modern neural networks", 2017).

    Args:
        task: the task.
        p: (r, K) or (r, L), predictions of the judging rows, made without them.
        judged: the rows.
    """
    if not len(judged.rows):
        return 1.0
    prior = -0.5 * (np.log(TEMPERATURES) / SPREAD) ** 2
    score = [judged.total(tempered(task, p, float(t))) for t in TEMPERATURES] + prior
    best = int(np.argmax(score))
    if 0 < best < len(score) - 1:
        # the top of the parabola through the three best points, in log T
        low, top, high = score[best - 1 : best + 2]
        shift = 0.5 * (low - high) / (low - 2 * top + high)
        step = np.log(TEMPERATURES[1] / TEMPERATURES[0])
        return float(np.exp(np.log(TEMPERATURES[best]) + shift * step))
    return float(TEMPERATURES[best])


def mixture_weights(likelihood: Floats, weight: Floats, pseudo: float = 1.0) -> NDArray[np.float64]:
    """Return the weights of a mixture of learners, (K,), by EM.

    w_k = (pseudo / K + sum_i c_i r_ik) / (pseudo + sum_i c_i), with r_ik the share of learner k in
    the mixture's likelihood of row i and c_i the row's weight.

    Args:
        likelihood: (n, K) log-likelihood of every row under every learner.
        weight: (n,) how much each row counts.
        pseudo: pseudo-rows of all learners together.
    """
    learners = likelihood.shape[1]
    w = np.full(learners, 1 / learners)
    total = float(weight.sum())
    relative = np.exp(likelihood - likelihood.max(axis=1, keepdims=True, initial=-np.inf))
    for _ in range(STEPS):
        share = relative * w
        share = share / np.maximum(share.sum(axis=1, keepdims=True), TINY)
        after = (pseudo / learners + weight @ share) / (pseudo + total)
        done = np.abs(after - w).max() < TOLERANCE
        w = after
        if done:
            break
    return np.asarray(w)
