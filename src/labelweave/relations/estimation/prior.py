"""What a row of the table looks like before its own data are seen.

Two sources of prior counts: the base rate of the target, with a concentration learnt from all rows
of the table (empirical Bayes: near-deterministic tables get a small one, unrelated tasks a large
one), and the expert's table, which counts as far as the data do not contradict it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, expit, gammaln

from labelweave.relations.estimation.columns import TINY, Columns, Floats, Matrix

LEAST, MOST = 0.01, 100.0  # limits of a concentration, in pseudo-counts
DOUBT = 0.02  # share of the base rate in an expert's row: nothing is impossible


@dataclass
class Expert:
    """An expert's tables as pseudo-counts.

    Args:
        pseudo_counts: (K, W), 0 where the expert says nothing.
        trust: (K, B) probability that the expert's row of a block is right.
    """

    pseudo_counts: Matrix
    trust: Matrix

    def counts(self, columns: Columns) -> Floats:
        """Return the pseudo-counts that are trusted, (K, W)."""
        return self.pseudo_counts * columns.spread(self.trust)


def expert_counts(columns: Columns, table: Matrix, strength: Matrix, base: Matrix) -> Expert:
    """Return an expert's table (K, W) as pseudo-counts of the given strength (K, W).

    The trust starts at one half, so that a right table guides the first steps of EM.
    """
    counts = strength * ((1 - DOUBT) * table + DOUBT * base)
    said = np.asarray(columns.sums(counts) > 0)
    return Expert(counts, np.where(said, 0.5, 0.0))


def update_trust(expert: Expert, columns: Columns, counts: Floats, base: Floats) -> None:
    """Set the trust in every block of the expert's rows from the counts (K, W), in place.

    The posterior probability of "the counts come from a row drawn around the expert's" against "the
    row is drawn around the base rate" (Dirichlet-multinomial likelihoods). The share of right rows,
    the prior of both, is learnt per target from the trust so far.
    """
    said = columns.sums(expert.pseudo_counts) > 0
    given = np.maximum(expert.pseudo_counts, TINY)
    factor = _log_evidence(columns, counts, base + given) - _log_evidence(columns, counts, base)
    for number in range(len(columns.targets)):
        block = columns.target == number
        rows = said[:, block]
        share = (expert.trust[:, block].sum() + 1) / (rows.sum() + 2)
        odds = factor[:, block] + np.log(share / (1 - share))
        expert.trust[:, block] = np.where(rows, expit(odds), 0.0)


def fit_concentration(
    columns: Columns, counts: Floats, base: Floats, start: NDArray[np.float64], steps: int = 10
) -> NDArray[np.float64]:
    """Return the concentration (B,) under which the counts (K, W) are most likely.

    Each row of a block is a draw from Dirichlet(concentration * base). Fixed point of Minka,
    "Estimating a Dirichlet distribution" (2000), section 3; limited to 0.01 to 100 pseudo-counts.
    """
    total = columns.sums(counts)
    value = start
    for _ in range(steps):
        prior = columns.spread(value[None]) * base
        gain = base * (digamma(counts + prior) - digamma(prior))
        upper = columns.sums(gain).sum(axis=0)
        lower = (digamma(total + value) - digamma(value)).sum(axis=0)
        # without a single count both are 0 and any concentration is as good
        ratio = np.where(lower > 1e-9, upper / np.maximum(lower, 1e-9), 1.0)
        value = np.clip(value * ratio, LEAST, MOST)
    return np.asarray(value)


def _log_evidence(columns: Columns, counts: Floats, prior: Floats) -> Matrix:
    """Log-likelihood of each block's counts under a Dirichlet prior, (K, B), up to a constant."""
    inner = columns.sums(gammaln(counts + prior) - gammaln(prior))
    total = columns.sums(prior)
    return np.asarray(inner - gammaln(columns.sums(counts) + total) + gammaln(total))
