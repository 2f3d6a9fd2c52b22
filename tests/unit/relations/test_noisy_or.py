import numpy as np
import pytest

from labelweave.errors import LabelweaveError
from labelweave.relations import NoisyOr, evaluate_noisy_or
from labelweave.relations._operations import multiply_in
from labelweave.tasks import Binary, Multilabel

MODES = Multilabel("modes", ("crack", "dent", "burr"))
FAILS = Binary("fails")
BOTH = Multilabel("both", ("stop", "alarm"))
QUICK = {"replicates": 200, "permutations": 60}


def drawn(seed, n, weights, leak):
    generator = np.random.default_rng(seed)
    causes = (generator.random((n, 3)) < [0.3, 0.2, 0.25]).astype(np.int8)
    off = (1 - leak) * np.prod(1 - weights[None] * causes[:, :, None], axis=1)
    return causes, (generator.random(off.shape) > off).astype(np.int8)


def test_the_formula():
    relation = NoisyOr(MODES, FAILS, [[0.8], [0.5], [0.0]], [0.1])
    found = relation.predict([[0, 0, 1], [1, 0, 0], [0.5, 1, 1]])
    np.testing.assert_allclose(found[:, 0], [0.1, 1 - 0.9 * 0.2, 1 - 0.9 * 0.6 * 0.5], rtol=1e-12)


def test_any_failure_mode_fails_the_machine():
    causes = np.random.default_rng(0).integers(0, 2, (300, 3))
    relation = NoisyOr.estimate(
        MODES, FAILS, causes, causes.max(axis=1, keepdims=True), smoothing=0.1
    )
    assert relation.weights.min() > 0.99
    assert relation.leak[0] < 0.01


@pytest.mark.parametrize("soft", [False, True])
def test_fit_recovers_weights_and_leak(soft):
    weights, leak = np.array([[0.9, 0.0], [0.4, 0.6], [0.0, 0.3]]), np.array([0.05, 0.2])
    causes, labels = drawn(1, 8000, weights, leak)
    values = causes.astype(float)
    if soft:
        # calibrated predictions: the causes are drawn from them
        generator = np.random.default_rng(2)
        values = generator.beta(0.3, 0.6, size=causes.shape)
        off = (1 - leak) * np.prod(1 - weights[None] * values[:, :, None], axis=1)
        labels = (generator.random(off.shape) > off).astype(np.int8)
    found = NoisyOr.estimate(MODES, BOTH, values, labels)
    np.testing.assert_allclose(found.weights, weights, atol=0.06)
    np.testing.assert_allclose(found.leak, leak, atol=0.04)


def test_fit_is_a_maximum_of_the_likelihood():
    causes, labels = drawn(3, 400, np.array([[0.7], [0.3], [0.1]]), np.array([0.1]))
    found = NoisyOr.estimate(MODES, FAILS, causes, labels, smoothing=1e-6)

    def log_likelihood(relation):
        q = relation.predict(causes)
        return np.log(np.where(labels == 1, q, 1 - q)).sum()

    best = log_likelihood(found)
    generator = np.random.default_rng(0)
    for _ in range(50):
        near = np.clip(found.weights + generator.normal(scale=0.02, size=(3, 1)), 0, 1)
        leak = np.clip(found.leak + generator.normal(scale=0.02, size=1), 1e-6, 1)
        assert log_likelihood(NoisyOr(MODES, FAILS, near, leak)) <= best + 1e-3


def test_missing_labels_contribute_nothing():
    causes, labels = drawn(4, 500, np.array([[0.9, 0.0], [0.4, 0.6], [0, 0.3]]), np.full(2, 0.1))
    gaps = np.random.default_rng(4).random(500) < 0.4
    known = NoisyOr.estimate(MODES, BOTH, causes[~gaps], labels[~gaps])
    labels[gaps] = -1
    np.testing.assert_allclose(
        NoisyOr.estimate(MODES, BOTH, causes, labels).weights, known.weights, atol=1e-6
    )
    labels[:, 1] = -1
    silent = NoisyOr.estimate(MODES, BOTH, causes, labels)
    assert silent.spoken.tolist() == [True, False]
    assert not silent.weights[:, 1].any()


def test_a_missing_cause_counts_with_its_mean():
    causes, labels = drawn(5, 500, np.array([[0.9], [0.4], [0.2]]), np.full(1, 0.1))
    unknown = causes.astype(float)
    unknown[::3, 0] = -1
    filled = unknown.copy()
    filled[::3, 0] = np.delete(unknown[:, 0], np.arange(0, 500, 3)).mean()
    first, second = (NoisyOr.estimate(MODES, FAILS, each, labels) for each in (unknown, filled))
    np.testing.assert_allclose(first.weights, second.weights)


def trial(seed, informed):
    """A source head that sees the causes, and an own head that sees the target or guesses."""
    weights, leak = np.array([[0.9], [0.7], [0.5]]), np.array([0.05])
    causes, labels = drawn(seed, 600, weights, leak)
    generator = np.random.default_rng(seed)
    p = np.clip(causes * 0.6 + 0.2 + generator.normal(scale=0.1, size=causes.shape), 0.01, 0.99)
    relation = NoisyOr.estimate(MODES, FAILS, p[:300], labels[:300])
    own = relation.predict(p) if informed else generator.uniform(0.2, 0.8, size=labels.shape)
    return evaluate_noisy_or(relation, p[300:], labels[300:], own[300:], seed=seed, **QUICK)


def test_only_news_is_evidence():
    for seed in range(10):
        news = trial(seed, informed=False)
        assert news.verdict == "related", news.reason
        assert news.benchmark == "own predictions"
        assert news.p_value_classes is None
        assert news.filtered().strength == pytest.approx(news.trust)
    related = sum(trial(seed, informed=True).verdict == "related" for seed in range(20))
    assert related <= 1


def test_an_experts_prior_holds_where_data_are_few_and_yields_where_they_are_many():
    causes, labels = drawn(7, 3000, np.array([[0.9], [0.1], [0.5]]), np.full(1, 0.05))
    expert = NoisyOr(MODES, FAILS, np.full((3, 1), 0.7), [0.2], [[True], [True], [False]])
    none = NoisyOr.estimate(MODES, FAILS, causes[:0], labels[:0], prior=expert)
    np.testing.assert_allclose(none.weights[:2], 0.7, atol=1e-3)
    np.testing.assert_allclose(none.leak, 0.2, atol=1e-3)
    assert none.mask.tolist() == [[True], [True], [False]]
    many = NoisyOr.estimate(MODES, FAILS, causes, labels, prior=expert)
    np.testing.assert_allclose(many.weights[:, 0], [0.9, 0.1, 0.5], atol=0.06)


def test_shuffled_causes_all_get_another_row():
    relation = NoisyOr(MODES, FAILS, [[0.1], [0.2], [0.3]], [0.1], [[True], [False], [True]])
    for seed in range(5):
        shuffled = relation.permuted(seed)
        assert not (shuffled.mask & (shuffled.weights == relation.weights)).any()
        assert sorted(shuffled.weights[:, 0]) == [0, 0.1, 0.3]
    assert "shuffled" in str(shuffled.origin)


def test_multiplied_in_with_one_target_label_are_the_exact_marginals():
    rng = np.random.default_rng(8)
    relation = NoisyOr(MODES, FAILS, rng.random((3, 1)), [0.2])
    p, t = rng.random((5, 3)), rng.random((5, 1))
    found = multiply_in({"modes": p, "fails": t}, [relation], smoothing=0)
    states = np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, -1).T
    on = relation.predict(states)[:, 0]
    for i in range(5):
        prior = np.prod(np.where(states == 1, p[i], 1 - p[i]), axis=1)
        joint = np.stack([prior * t[i] * on, prior * (1 - t[i]) * (1 - on)])
        joint /= joint.sum()
        np.testing.assert_allclose(found["fails"][i, 0], joint[0].sum(), rtol=1e-9)
        np.testing.assert_allclose(found["modes"][i], joint.sum(axis=0) @ states, rtol=1e-9)
    # a relation that knows nothing changes nothing
    mute = NoisyOr(MODES, FAILS, np.zeros((3, 1)), [0.0], np.zeros((3, 1)))
    same = multiply_in({"modes": p, "fails": t}, [mute])
    np.testing.assert_allclose(same["modes"], p)
    np.testing.assert_allclose(same["fails"], t)


def test_bad_input_gives_one_line():
    causes, labels = drawn(6, 20, np.full((3, 1), 0.5), np.full(1, 0.1))
    wrong = causes.astype(float)
    wrong[2, 1] = 2
    relation = NoisyOr(MODES, FAILS, np.full((3, 1), 0.5), [0.1])
    cases = [
        (lambda: NoisyOr(MODES, MODES, np.zeros((3, 3)), np.zeros(3)),
         "noisy-OR modes->modes: source and target are the same task"),
        (lambda: NoisyOr(MODES, FAILS, np.zeros((2, 1)), [0.1]),
         "noisy-OR modes->fails: found weights of shape (2, 1), expected (3, 1)"),
        (lambda: NoisyOr(MODES, FAILS, np.zeros((3, 1)), [1.5]),
         "noisy-OR modes->fails: found leak from 1.5 to 1.5, expected probabilities from 0 to 1"),
        (lambda: NoisyOr.estimate(MODES, FAILS, causes[:5], labels),
         "noisy-OR modes->fails: found source values of shape (5, 3), expected (20, 3)"),
        (lambda: NoisyOr.estimate(MODES, FAILS, wrong, labels),
         "noisy-OR modes->fails, row 3, 'dent': found 2, expected a probability from 0 to 1, or "
         "-1 = missing"),
        (lambda: NoisyOr.estimate(MODES, FAILS, causes, labels, smoothing=0),
         "noisy-OR modes->fails: smoothing 0, expected a number above 0"),
        (lambda: relation.predict([[0.5, 0.5]]),
         "noisy-OR modes->fails: found source predictions of shape (1, 2), expected probabilities "
         "from 0 to 1 of shape (rows, 3)"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(LabelweaveError) as caught:
            call()
        assert str(caught.value) == message
