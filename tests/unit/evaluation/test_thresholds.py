import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from labelweave.errors import LabelweaveError
from labelweave.evaluation import best_thresholds
from labelweave.tasks import Binary, Multiclass, Multilabel


@given(
    st.lists(
        st.tuples(st.one_of(st.sampled_from([0, 0.2, 0.5, 1]), st.floats(0, 1)), st.booleans()),
        min_size=10,
        max_size=30,
    )
)
@settings(max_examples=150, deadline=None)
def test_best_thresholds_reach_the_best_f1(pairs):
    scores = np.array([[score] for score, _ in pairs], dtype=float)
    labels = np.array([[on] for _, on in pairs]).astype(np.int8)
    (found,) = best_thresholds(Binary("ripe"), scores, labels)
    if labels.all() or not labels.any():
        assert found == 0.5
        return
    on = scores >= scores.T
    best = (2 * (on & (labels == 1)).sum(axis=0) / (on.sum(axis=0) + labels.sum())).max()
    assert f1_score(labels, scores >= found) == pytest.approx(best)


def test_best_thresholds_per_label():
    task = Multilabel("signs", ("parted", "few", "no positive", "tie", "masked"))
    scores = np.tile(np.linspace(0.05, 0.95, 10)[:, None], 5)
    labels = np.zeros((10, 5), dtype=np.int8)
    labels[7:, 0] = 1
    labels[7:, 1], labels[0, 1] = 1, -1
    labels[[4, 7, 8, 9], 3] = 1
    labels[7:, 4] = 1
    scores, labels = np.vstack([scores, scores]), np.vstack([labels, labels])
    labels[10:, 1] = -1
    labels[10:, 4], scores[10:, 4] = -1, 0.72  # would move the cut, were it not missing
    found = best_thresholds(task, scores, labels)
    np.testing.assert_allclose(found, [0.7, 0.5, 0.5, 0.7, 0.7])


def test_of_equally_good_thresholds_the_nearest_to_one_half_is_taken():
    # F1 is 2/3 from 0.85 up to 0.95, and again from 0.35 down
    scores = np.array([0.9, 0.8, 0.7, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05])[:, None]
    labels = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 0])[:, None]
    assert best_thresholds(Binary("ripe"), scores, labels) == pytest.approx(0.35)


def test_thresholds_of_a_multiclass_task_are_refused():
    with pytest.raises(LabelweaveError) as caught:
        best_thresholds(Multiclass("species", ("a", "b")), [[0.5, 0.5]], [0])
    assert str(caught.value) == (
        "task 'species': found a multiclass task, expected a multilabel or binary one "
        "to choose thresholds for"
    )
