import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.experiments._active_learning import spread_out


def test_of_rows_alike_one_is_named_and_then_another_kind():
    features = np.repeat(np.eye(3) * 5, 4, axis=0)
    features += 0.01 * np.arange(12)[:, None]
    score = np.array([0.9] * 4 + [0.8] * 4 + [0.1] * 4)
    chosen = spread_out(score, features, np.zeros((0, 3)), 3)
    assert chosen[0] == 0
    assert [row // 4 for row in chosen] == [0, 1, 2]
    # what is labelled already need not be named again
    assert [row // 4 for row in spread_out(score, features, features[:1], 2)] == [1, 2]


def test_of_rows_as_far_from_each_other_the_highest_scores_come_first():
    score = np.random.default_rng(0).random(30)
    chosen = spread_out(score, np.eye(30), np.zeros((0, 30)), 10)
    assert chosen.tolist() == np.argsort(-score)[:10].tolist()


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 40), st.integers(0, 10), st.integers(1, 60), st.integers(0, 10_000),
)  # fmt: skip
def test_every_row_is_named_at_most_once_and_as_many_as_there_are(n, labelled, count, seed):
    draw = np.random.default_rng(seed)
    features = draw.integers(0, 2, (n, 2)).astype(np.float32)  # many rows alike
    chosen = spread_out(draw.integers(0, 2, n) / 2, features, features[:labelled], count)
    assert len(set(chosen.tolist())) == len(chosen) == min(n, count)
    assert ((chosen >= 0) & (chosen < n)).all()
