import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from labelweave.evaluation import evaluate, main_metric, metric_names
from labelweave.evaluation._comparison import bootstrap_weights, replicate_metrics
from labelweave.evaluation._metrics import HIGHER_IS_BETTER
from labelweave.tasks import Binary, Multiclass, Multilabel

seeds = st.integers(0, 2**32 - 1)


def multiclass(seed):
    """Random masked labels; one or two decimals, so that probabilities tie or fill the bins."""
    generator = np.random.default_rng(seed)
    n, classes = generator.integers(1, 40), int(generator.integers(2, 6))
    parts = generator.choice([10, 100])
    scores = generator.multinomial(parts, generator.dirichlet(np.ones(classes), n)) / parts
    # labels from a part of the classes only, so that some lack support
    labels = generator.integers(-1, generator.integers(1, classes + 1), n)
    return Multiclass("species", tuple("abcdef"[:classes])), scores, labels


def multilabel(seed):
    generator = np.random.default_rng(seed)
    n, width = generator.integers(1, 40), int(generator.integers(1, 5))
    scores = generator.random((n, width)).round(generator.choice([1, 2]))
    labels = (generator.random((n, width)) < generator.random(width)).astype(np.int8)
    labels[generator.random((n, width)) < generator.random(width)] = -1
    return Multilabel("signs", tuple("wxyz"[:width])), scores, labels


def nan_mean(values):
    known = [value for value in values if value is not None]
    return np.mean(known) if known else None


def clipped(probability):
    return np.clip(probability, 2.0**-23, 1 - 2.0**-23)


def expected_calibration_error(probability, outcome):
    """Ten bins of equal mass, ties together; what chance adds comes from normal draws' mean."""
    n = len(probability)
    ends = sorted({sorted(probability)[max(k * n // 10, 1) - 1] for k in range(1, 11)})
    total, low = 0.0, -1.0
    for end in ends:
        mine = (probability > low) & (probability <= end)
        low, size, share = end, mine.sum(), outcome[mine].mean()
        gap = abs(share - probability[mine].mean())
        spread = np.sqrt(share * (1 - share) / (size - 1)) if size > 1 else 0.0
        again = stats.foldnorm(gap / spread, scale=spread).mean() if spread > 0 else gap
        total += size / n * (2 * gap - again)
    return max(0.0, total)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if value is None or np.isnan(value):
            assert found[name] is None, name
        else:
            assert found[name] == pytest.approx(value, abs=1e-9), name


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_multiclass_metrics_agree_with_scikit_learn(seed):
    task, scores, labels = multiclass(seed)
    found = evaluate(task, scores, labels)
    seen = labels >= 0
    if not seen.any():
        assert found == dict.fromkeys(metric_names(task))
        return
    truth, known = labels[seen], scores[seen]
    predicted = known.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes without support, probabilities of exactly 0
        expected = {
            "accuracy": oracle.accuracy_score(truth, predicted),
            "balanced_accuracy": oracle.balanced_accuracy_score(truth, predicted),
            "macro_f1": oracle.f1_score(truth, predicted, average="macro"),
            "log_loss": oracle.log_loss(truth, clipped(known), labels=np.arange(task.width)),
            "ece": expected_calibration_error(known.max(axis=1), predicted == truth),
        }
    assert_same(found, expected)


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_multilabel_metrics_agree_with_scikit_learn(seed):
    task, scores, labels = multilabel(seed)
    thresholds = np.random.default_rng(seed).random(task.width).round(1)
    found = evaluate(task, scores, labels, thresholds)
    seen = labels >= 0
    if not seen.any():
        assert found == dict.fromkeys(metric_names(task))
        return
    predicted = (scores >= thresholds).astype(int)
    f1, balanced, precision = [], [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels whose on or off state does not occur
        for rows, truth, guess, score in zip(seen.T, labels.T, predicted.T, scores.T, strict=True):
            if rows.any():
                balanced.append(oracle.balanced_accuracy_score(truth[rows], guess[rows]))
                occurs = truth[rows].any() or guess[rows].any()
                f1.append(oracle.f1_score(truth[rows], guess[rows]) if occurs else None)
                positive = truth[rows].any()
                precision.append(
                    oracle.average_precision_score(truth[rows], score[rows]) if positive else None
                )
    assert_same(
        found,
        {
            "accuracy": (predicted == labels)[seen].mean(),
            "balanced_accuracy": nan_mean(balanced),
            "macro_f1": nan_mean(f1),
            "mean_average_precision": nan_mean(precision),
            "log_loss": oracle.log_loss(labels[seen], clipped(scores[seen]), labels=[0, 1]),
            "ece": expected_calibration_error(scores[seen], labels[seen]),
        },
    )


@given(seeds, st.sampled_from([multiclass, multilabel]))
@settings(max_examples=100, deadline=None)
def test_a_weight_counts_as_so_many_copies_of_a_row(seed, make):
    task, scores, labels = make(seed)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(labels)))
    found = replicate_metrics(task, scores, labels, weights)
    for index, weight in enumerate(weights):
        repeated = evaluate(task, scores.repeat(weight, axis=0), labels.repeat(weight, axis=0))
        row = {name: float(value[index]) for name, value in found.items()}
        # the bins of a calibration error are those of the rows, not of their copies
        assert repeated.pop("ece") is None or 0 <= row["ece"] <= 1
        assert_same(repeated, {name: value for name, value in row.items() if name != "ece"})


@given(seeds, st.sampled_from([multiclass, multilabel]))
@settings(max_examples=50, deadline=None)
def test_missing_elements_change_nothing(seed, make):
    task, scores, labels = make(seed)
    missing = labels < 0
    changed = scores.copy()
    changed[missing] = np.eye(task.width)[0] if make is multiclass else 0.3
    assert evaluate(task, changed, labels) == evaluate(task, scores, labels)


def test_chunks_of_replicates_join_up(monkeypatch):
    task, scores, labels = multilabel(3)
    weights = bootstrap_weights(len(labels), 50, seed=1)
    whole = replicate_metrics(task, scores, labels, weights)
    monkeypatch.setattr("labelweave.evaluation._comparison.CHUNK", 7 * len(labels))
    for name, values in replicate_metrics(task, scores, labels, weights).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12)


def test_group_weights_are_multinomial_and_depend_on_their_arguments_alone():
    weights = bootstrap_weights(200, 500, seed=3)
    assert (weights.sum(axis=1) == 200).all()
    assert weights.var() == pytest.approx(1 - 1 / 200, rel=0.03)
    np.testing.assert_array_equal(weights, bootstrap_weights(200, 500, seed=3))
    assert (weights != bootstrap_weights(200, 500, seed=4)).any()
    assert bootstrap_weights(0, 5, seed=0).shape == (5, 0)


def test_by_hand():
    task = Multilabel("signs", ("x", "y"))
    scores = np.array([[0.9, 0.2], [0.8, 0.6], [0.4, 0.7], [0.1, 0.5]])
    labels = np.array([[1, -1], [0, -1], [1, 1], [-1, 0]])
    found = evaluate(task, scores, labels)
    assert found["accuracy"] == pytest.approx(2 / 5)  # 0.5 is "on": the last element is wrong
    assert found["balanced_accuracy"] == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["mean_average_precision"] == pytest.approx((5 / 6 + 1) / 2)
    gaps = [0.9 - 1, 0.8 - 0, 0.4 - 1, 0.7 - 1, 0.5 - 0]  # five elements in five bins
    assert found["ece"] == pytest.approx(np.abs(gaps).mean())


def test_metrics_without_data_are_none():
    task = Binary("ripe")
    found = evaluate(task, np.full((3, 1), 0.1), np.zeros((3, 1), int))
    assert found["accuracy"] == found["balanced_accuracy"] == 1
    assert found["macro_f1"] is None
    assert found["mean_average_precision"] is None
    empty = evaluate(Multiclass("a", ("x", "y")), np.empty((0, 2)), np.empty(0, int))
    assert set(empty.values()) == {None}


def test_a_saturated_wrong_output_costs_a_finite_loss():
    found = evaluate(Binary("ripe"), [[1.0]], [[0]])
    assert found["log_loss"] == pytest.approx(15.94, abs=0.01)


def test_names_and_directions():
    three = Multiclass("species", ("a", "b", "c"))
    several = Multilabel("signs", ("x", "y"))
    shared = ("accuracy", "balanced_accuracy", "macro_f1")
    assert metric_names(three) == (*shared, "log_loss", "ece")
    assert metric_names(several) == (*shared, "mean_average_precision", "log_loss", "ece")
    assert [main_metric(t) for t in (three, several)] == ["accuracy", "macro_f1"]
    assert main_metric(Binary("ripe")) == main_metric(Multilabel("ripe", ("ripe",))) == "accuracy"
    assert [name for name, up in HIGHER_IS_BETTER.items() if not up] == ["log_loss", "ece"]


@pytest.mark.parametrize(
    ("task", "counts", "expected"),
    [
        (Binary("ripe"), (97, 3), "mean_average_precision"),
        (Binary("ripe"), (3, 97), "balanced_accuracy"),
        (Binary("ripe"), (80, 20), "accuracy"),
        (Binary("ripe"), (81, 19), "mean_average_precision"),
        (Binary("ripe"), (0, 0), "accuracy"),
        (Multiclass("grade", ("a", "b")), (97, 3), "balanced_accuracy"),
        (Multiclass("grade", ("a", "b", "c")), (50, 45, 5), "accuracy"),
        (Multiclass("grade", ("a", "b", "c")), (5, 90, 5), "balanced_accuracy"),
    ],
)
def test_unequal_classes_are_not_judged_by_accuracy(task, counts, expected):
    codes = np.concatenate([np.repeat(np.arange(len(counts)), counts), [-1] * 500])
    column = codes if isinstance(task, Multiclass) else codes[:, None]
    assert main_metric(task, column) == expected


def test_a_constant_prediction_does_not_look_good_on_a_rare_label():
    codes = (np.arange(1000) % 33 == 0).astype(int)[:, None]
    metric = main_metric(Binary("ripe"), codes)
    found = evaluate(Binary("ripe"), np.full((1000, 1), 0.03), codes)
    assert found["accuracy"] > 0.96
    assert found[metric] == pytest.approx(codes.mean())
