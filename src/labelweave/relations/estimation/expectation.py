"""The E-steps: soft counts from the rows that carry only one of two labels.

Both use the labels of the one task and the predictions of the other, never a prediction for a
label that is known. Predictions are divided by the class frequencies that the head was trained
on, so that what is left is evidence and no prior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from labelweave.relations.estimation.columns import Floats, Matrix
from labelweave.relations.estimation.problem import Problem, Rows

Vector = NDArray[np.float64]


@dataclass
class Counts:
    """Soft counts of a pass over rows, and the derivatives of its likelihood in the power.

    Attributes:
        table: (K, W) effective counts.
        mass: (D, K) expected rows of every class, by data source; zeros where classes are known.
        slope: first derivative, () or (B,).
        curvature: minus the second derivative, same shape.
    """

    table: Matrix
    mass: Matrix
    slope: Vector
    curvature: Vector


def which_class(
    problem: Problem, rows: Rows, log_table: Matrix, log_prior: Matrix, power: float
) -> Counts:
    """Count rows with target labels under the classes that they may belong to.

    r(s) is proportional to p(s|x)^power * prior(s) / frequency(s) * prod_t T[s, y_t], one product
    over all targets. A row counts r(s)^2, not r(s): that is its share of the information about
    row s of the table (the empirical Fisher information), so that many vague rows do not add up to
    certainty.

    Args:
        problem: the data.
        rows: rows without the source's label.
        log_table: (K, W) expected logarithm of the table.
        log_prior: (D, K) log of each data source's class prior over the labelled frequency.
        power: exponent of p(s|x).
    """
    width = problem.source.width
    table = np.zeros((width, problem.columns.width))
    mass = np.zeros_like(log_prior)
    slope = curvature = 0.0
    weights, prior = log_table.T.astype(np.float32), log_prior.astype(np.float32)
    for piece in problem.chunks(rows):
        labels = problem.columns.one_hot(problem.annotations, piece)
        log_p = problem.log_predicted_class(piece)
        data_source = problem.data_source[piece]
        before = _log_softmax(np.float32(power) * log_p + prior[data_source])
        after = np.exp(_log_softmax(labels @ weights + before))
        table += np.square(after).T @ labels
        mass += _groups(data_source, len(mass)) @ after
        guess = np.exp(before)
        mean = (guess * log_p).sum(axis=1)
        slope += float(((after - guess) * log_p).sum(dtype=np.float64))
        curvature += float((guess * np.square(log_p)).sum(dtype=np.float64) - mean @ mean)
    return Counts(table, mass, np.array(slope), np.array(curvature))


def which_label(
    problem: Problem, rows: Rows, log_table: Matrix, mean_table: Matrix, base: Vector, power: Vector
) -> Counts:
    """Count rows with the source's label under the target labels that they may carry.

    r(t) is proportional to p(t|x)^power / base(t) * T[y_s, t], for every block without XX
    Args:
        problem: the data.
        rows: rows with the source's label.
        log_table: (K, W) expected logarithm of the table.
        mean_table: (K, W) expected table.
        base: (W,) label frequencies that the target heads were trained on.
        power: (B,) exponent of p(t|x).
    """
    columns, width = problem.columns, problem.source.width
    table = np.zeros((width, columns.width))
    slope, curvature = np.zeros((2, len(columns.sizes)))
    weights = np.exp(log_table - np.log(base)).astype(np.float32)
    shares = np.bincount(problem.classes[rows], minlength=width) / max(1, len(rows))
    # the label frequencies among these rows, over those that the head knows: the label shift
    shift = (columns.normalised(shares[None] @ mean_table) / base).astype(np.float32)
    exponent = columns.spread(power).astype(np.float32)
    for piece in problem.chunks(rows):
        classes = problem.classes[piece]
        missing = 1 - columns.sums(columns.one_hot(problem.annotations, piece))
        log_q = problem.log_predicted_targets(piece)
        powered = np.exp(exponent * log_q)
        after = columns.normalised(weights[classes] * powered)
        certainty = columns.sums(np.square(after))
        table += _groups(classes, width) @ (after * columns.spread(certainty * missing))
        guess = columns.normalised(powered * shift)
        mean = columns.sums(guess * log_q)
        slope += (missing * columns.sums((after - guess) * log_q)).sum(axis=0)
        spread = columns.sums(guess * np.square(log_q)) - np.square(mean)
        curvature += (missing * spread).sum(axis=0)
    return Counts(table, np.zeros((1, width)), slope, curvature)


def co_labelled(problem: Problem) -> Matrix:
    """Count the labels that stand beside the source's label, (K, W)."""
    table = np.zeros((problem.source.width, problem.columns.width))
    for piece in problem.chunks(problem.class_rows()):
        labels = problem.columns.one_hot(problem.annotations, piece)
        table += _groups(problem.classes[piece], len(table)) @ labels
    return table


def _groups(codes: NDArray[np.int64], width: int) -> csr_array:
    """Return the sparse (width, b) matrix that sums rows by their code."""
    n = len(codes)
    return csr_array((np.ones(n, np.float32), (codes, np.arange(n))), shape=(width, n))


def _log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
