"""A noisy-OR multiplied in at prediction time: causes and effects revise each other once."""

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.noisy_or import NoisyOr

Floats = NDArray[np.float64]
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
