"""Temperatures and mixture weights against known optima."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.learners._stacking import (
    Judged,
    fit_temperature,
    mixture_weights,
    own_labels,
    tempered,
)
from labelweave.learners._task_stack import stack_weights
from labelweave.tasks import Multiclass, Multilabel

TASK = Multiclass("kind", ("a", "b", "c"))
SIGNS = Multilabel("signs", ("x", "y"))


def draws(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(3, 0.7), n)
    return p, np.array([rng.choice(3, p=row) for row in p])


def judged(codes: np.ndarray) -> Judged:
    return own_labels(TASK, codes, np.arange(len(codes)), np.ones(len(codes)))


def test_calibrated_probabilities_keep_their_temperature() -> None:
    p, y = draws(4000, 0)
    assert abs(fit_temperature(TASK, p, judged(y)) - 1) < 0.08


def test_the_temperature_of_overconfident_probabilities_is_found() -> None:
    p, y = draws(4000, 1)
    sharp = tempered(TASK, p, 0.4)
    assert abs(fit_temperature(TASK, sharp, judged(y)) - 2.5) < 0.2


def test_few_rows_hardly_move_the_temperature() -> None:
    p, y = draws(3, 2)
    right = np.full((3, 3), 0.01)
    right[np.arange(3), y] = 0.98
    assert 0.5 < fit_temperature(TASK, right, judged(y)) < 1.5
    assert fit_temperature(TASK, p[:0], judged(y[:0])) == 1.0


def test_the_mixture_weight_is_the_maximum_of_the_likelihood() -> None:
    rng = np.random.default_rng(3)
    fits = np.log(rng.uniform(0.05, 1, (500, 2)))
    w = mixture_weights(fits, np.ones(500), pseudo=1e-9)
    grid = np.linspace(0.001, 0.999, 999)
    total = [np.log(np.exp(fits) @ [g, 1 - g]).sum() for g in grid]
    assert abs(w[0] - grid[int(np.argmax(total))]) < 0.01


@settings(max_examples=30, deadline=None)
@given(learners=st.integers(1, 6), rows=st.integers(0, 30), seed=st.integers(0, 1000))
def test_weights_are_a_distribution(learners: int, rows: int, seed: int) -> None:
    fits = np.random.default_rng(seed).normal(-1, 1, (rows, learners))
    w = mixture_weights(fits, np.ones(rows))
    assert (w > 0).all()
    assert abs(w.sum() - 1) < 1e-9


def test_one_right_learner_of_seven_gets_most_of_16_labels() -> None:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 3, 16)
    noise = [rng.dirichlet(np.ones(3), 16) for _ in range(6)]
    right = np.full((16, 3), 0.05)
    right[np.arange(16), y] = 0.9
    _, w = stack_weights(TASK, [*noise, right], judged(y))
    assert w[-1] > 0.8


def test_a_missing_element_judges_nothing() -> None:
    codes = np.array([[1, -1], [-1, 0]], np.int8)
    rows = own_labels(SIGNS, codes, np.arange(2), np.ones(2))
    p = np.array([[0.8, 0.3], [0.1, 0.4]])
    np.testing.assert_allclose(rows.likelihood(p), np.log([0.8, 0.6]))


def test_tempering_a_label_is_a_sigmoid_of_its_log_odds() -> None:
    p = np.array([[0.9, 0.2]])
    odds = (p / (1 - p)) ** 0.5
    np.testing.assert_allclose(tempered(SIGNS, p, 2.0), odds / (1 + odds))
