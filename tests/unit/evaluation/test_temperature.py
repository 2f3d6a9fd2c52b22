import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax

from labelweave.errors import LabelweaveError
from labelweave.evaluation import best_temperature, evaluate
from labelweave.evaluation._calibration import scores_of
from labelweave.tasks import Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b", "c"))
FORM = Multilabel("form", ("round", "hole"))


def sample(task, rows=4000, seed=0):
    """Return scores and labels drawn from them, a third of the labels missing."""
    rng = np.random.default_rng(seed)
    if task is KIND:
        scores = 1.5 * rng.standard_normal((rows, 3))
        labels = (softmax(scores, axis=1).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    else:
        scores = 1.5 * rng.standard_normal((rows, 2))
        labels = (rng.random((rows, 2)) < expit(scores)).astype(int)
    return scores, np.where(rng.random(labels.shape) < 1 / 3, -1, labels)


def probabilities(task, scores):
    return softmax(scores, axis=1) if task is KIND else expit(scores)


@pytest.mark.parametrize("task", [KIND, FORM])
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_scores_that_are_too_large_by_a_factor_get_it_back(task, factor):
    scores, labels = sample(task)
    found = best_temperature(task, probabilities(task, factor * scores), labels)
    assert found == pytest.approx(factor, rel=0.1)


@given(seed=st.integers(0, 2**32 - 1), task=st.sampled_from([KIND, FORM]), rows=st.integers(1, 30))
@settings(max_examples=20)
def test_the_log_loss_of_its_rows_never_rises(seed, task, rows):
    rng = np.random.default_rng(seed)
    scores, labels = 3 * rng.standard_normal((rows, task.width)), sample(task, rows, seed)[1]
    p = probabilities(task, scores)
    found = best_temperature(task, p, labels)
    assert 0.2 <= found <= 20
    after = evaluate(task, probabilities(task, scores_of(task, p) / found), labels)["log_loss"]
    before = evaluate(task, p, labels)["log_loss"]
    assert before is None or after <= before + 1e-4


def test_without_a_label_nothing_is_changed():
    assert best_temperature(FORM, np.zeros((0, 2)), np.zeros((0, 2), int)) == 1.0
    assert best_temperature(KIND, np.full((2, 3), 1 / 3), [-1, -1]) == 1.0


def test_certain_probabilities_have_finite_scores():
    assert np.isfinite(scores_of(KIND, np.eye(3))).all()
    assert np.isfinite(scores_of(FORM, np.array([[0.0, 1.0]]))).all()
    with pytest.raises(LabelweaveError, match="task 'kind', row 1: found probabilities that sum"):
        best_temperature(KIND, np.ones((1, 3)), [0])
