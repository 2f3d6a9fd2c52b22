"""Taking label noise out of a table: the clean label of each class, and how labels err.

Dawid and Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm"
(1979), with the classes of the source task as the items and the labels of their rows as the
ratings. What tells noise from a table that is vague by nature: noise is the same for all classes
with the same clean label.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.estimation.columns import Matrix
from scipy.special import gammaln, logsumexp


STEPS = 30
STARTS = (0.1, 0.3)  # rates of wrong labels to start from
SHRINK = 50.0  # rows by which a confusion is drawn to the symmetric one of the same rate
QUIET = 20.0  # rows of prior that a label is right
CONCENTRATIONS = np.geomspace(0.1, 100, 25)


@dataclass(frozen=True)
class Unmixed:
    """One block of a table without its noise.

    Attributes:
        confusion: (D, C, C) P(label found | clean label) in every data source.
        table: (K, C) the clean table.
        wrong: (D,) labels found that differ from the clean one.
        support: (D,) labels of classes that have one clean label.
        gain: log-likelihood of the labels over that under a vague table without noise, in nats.
        labels: number of clean labels that classes have; of one alone, noise cannot be told.
    """

    confusion: Matrix
    table: Matrix
    wrong: Matrix
    support: Matrix
    gain: float
    labels: int


def symmetric(classes: int, rate: float) -> Matrix:
    """Return the confusion in which every other class is as likely, (C, C)."""
    other = rate / (classes - 1)
    return np.full((classes, classes), other) + np.eye(classes) * (1 - rate - other)


def unmix(counts: Matrix, base: Matrix, clean: Matrix | None = None) -> Unmixed:
    """Split counts of labels found into clean labels and noise.

    Every class either has one clean label, or is vague: a draw from a Dirichlet distribution
    around the base rate, which then says nothing about the noise.

    Args:
        counts: (D, K, C) labels found, by data source and class of the source task.
        base: (C,) base rate of the labels found.
        clean: (K, C) the clean table, where it is known.
    """
    total = counts.sum(axis=0)
    without_noise = max(float(_log_vague(total, c * base).sum()) for c in CONCENTRATIONS)
    if clean is not None:
        return _given(counts, clean, without_noise)
    # from a low rate alone, EM can take noisy classes for vague ones
    options = [_found(counts, base, start, without_noise) for start in STARTS]
    return max(options, key=lambda found: found.gain)


def _found(counts: Matrix, base: Matrix, start: float, without_noise: float) -> Unmixed:
    total, width = counts.sum(axis=0), len(base)
    vague = _log_vague(total, width * base)
    share, prior = 0.1, np.full(width, 1 / width)
    confusion = np.tile(symmetric(width, start), (len(counts), 1, 1))
    for _ in range(STEPS):
        fit = np.einsum("dsy,dcy->sc", counts, np.log(confusion)) + np.log(prior * (1 - share))
        scores = np.column_stack([fit, vague + np.log(share)])
        likelihood = logsumexp(scores, axis=1)
        weights = np.exp(scores - likelihood[:, None])
        pure, share = weights[:, :-1], (weights[:, -1].sum() + 0.5) / (len(total) + 5)
        prior = (pure.sum(axis=0) + 1) / (pure.sum() + width)
        found = np.einsum("sc,dsy->dcy", pure, counts)
        confusion = _confusion(found)
    table = pure + weights[:, -1:] * _without(total, confusion, base)
    return _unmixed(confusion, table, found, float(likelihood.sum()) - without_noise)


def _given(counts: Matrix, clean: Matrix, without_noise: float) -> Unmixed:
    confusion = np.tile(symmetric(clean.shape[1], STARTS[0]), (len(counts), 1, 1))
    for _ in range(STEPS):
        found = np.einsum("dsy,dscy->dcy", counts, _responsible(clean, confusion))
        confusion = _confusion(found)
    likelihood = (counts * np.log(np.maximum(clean @ confusion, 1e-12))).sum()
    return _unmixed(confusion, clean, found, float(likelihood) - without_noise)


def _unmixed(confusion: Matrix, table: Matrix, found: Matrix, gain: float) -> Unmixed:
    support = found.sum(axis=(1, 2))
    wrong = support - np.trace(found, axis1=1, axis2=2)
    labels = int((table.max(axis=0) > 0.5).sum())
    return Unmixed(confusion, table, np.maximum(wrong, 0.0), support, gain, labels)


def _confusion(found: Matrix) -> Matrix:
    """Return every source's confusion, drawn to that of all, and that to a symmetric one."""
    pooled = found.sum(axis=0)
    rate = (pooled.sum() - np.trace(pooled)) / (pooled.sum() + QUIET)
    pooled = _drawn(pooled, symmetric(len(pooled), float(rate)))
    return np.stack([_drawn(of_source, pooled) for of_source in found])


def _drawn(found: Matrix, towards: Matrix) -> Matrix:
    counts = found + SHRINK * np.maximum(towards, 1e-4)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _responsible(table: Matrix, confusion: Matrix) -> Matrix:
    """Return P(clean label | class, label found), (D, K, C clean, C found)."""
    joint = table[None, :, :, None] * confusion[:, None]
    return np.asarray(joint / np.maximum(joint.sum(axis=2, keepdims=True), 1e-12))


def _without(total: Matrix, confusion: Matrix, base: Matrix) -> Matrix:
    """Return the table of vague classes without the noise of all sources together, (K, C)."""
    mean = confusion.mean(axis=0)[None]
    table = np.tile(base, (len(total), 1))
    counts = total + base  # one row of prior
    for _ in range(STEPS):
        table = np.einsum("sy,scy->sc", counts, _responsible(table, mean)[0])
        table /= table.sum(axis=1, keepdims=True)
    return table


def _log_vague(total: Matrix, prior: Matrix) -> Matrix:
    """Return each class's log-likelihood as a draw from a Dirichlet distribution, (K,)."""
    inner = (gammaln(total + prior) - gammaln(prior)).sum(axis=1)
    rows, strength = total.sum(axis=1), prior.sum()
    return np.asarray(inner - gammaln(rows + strength) + gammaln(strength))
