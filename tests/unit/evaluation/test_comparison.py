from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from labelweave.errors import LabelweaveError
from labelweave.evaluation import TestResult, compare, evaluate, metric_names, summarise, verdict
from labelweave.evaluation._comparison import Replicates, bootstrap_weights, replicate_metrics
from labelweave.evaluation._metrics import HIGHER_IS_BETTER
from labelweave.tasks import Binary, Multiclass, Multilabel

RIPE = Binary("ripe")
SPECIES = Multiclass("species", ("a", "b", "c"))


def binary_result(labels, right):
    return TestResult(np.where(right, labels, 1 - labels)[:, None] * 0.8 + 0.1, labels[:, None])


def simulated(generator, accuracies, n, labels=None):
    """One result a run, right with the run's accuracy on each row independently."""
    labels = labels or [generator.integers(0, 2, n) for _ in accuracies]
    return [
        binary_result(truth, generator.random(n) < accuracy)
        for truth, accuracy in zip(labels, accuracies, strict=True)
    ], labels


def species_results(seed, sharpness, runs=3, n=80):
    """Predictions whose probability of the true class grows with `sharpness`."""
    results = []
    for run in range(runs):
        labels = np.random.default_rng([run, 7]).integers(-1, 3, n)
        noise = np.random.default_rng([seed, run]).normal(size=(n, 3))
        logits = np.exp(noise + sharpness * (labels[:, None] == np.arange(3)))
        results.append(TestResult(logits / logits.sum(axis=1, keepdims=True), labels))
    return results


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(0)
    covered = {1: 0, 3: 0}
    for trial in range(150):
        for runs in covered:
            results, _ = simulated(generator, [0.7] * runs, 150)
            found = summarise(RIPE, results, replicates=200, seed=trial)["accuracy"]
            covered[runs] += found.low <= 0.7 <= found.high
    assert 0.90 <= covered[1] / 150 <= 0.99
    assert covered[3] / 150 >= 0.93  # runs alike: the hierarchy errs on the wide side


def test_equally_good_methods_rarely_raise_an_alarm():
    generator = np.random.default_rng(1)
    alarms = 0
    for trial in range(120):
        method, labels = simulated(generator, [0.7, 0.72, 0.68], 100)
        baseline, _ = simulated(generator, [0.7, 0.72, 0.68], 100, labels)
        found = compare(RIPE, method, baseline, replicates=200, seed=trial)["accuracy"]
        alarms += verdict(found) in ("gain", "negative transfer")
    assert alarms / 120 <= 0.08


@pytest.mark.parametrize("runs", [1, 3])
def test_a_method_does_not_differ_from_itself(runs):
    results = species_results(0, 1.0, runs, n=300)
    for found in compare(SPECIES, results, results, replicates=100).values():
        assert (found.mean, found.low, found.high, found.p_value) == (0, 0, 0, 1)
        assert found.values == (0,) * runs
        assert verdict(found) == "no difference"


def test_a_clear_gain_and_a_clear_loss_are_found_in_every_metric():
    method = Replicates(SPECIES, species_results(1, 3.0), replicates=400)
    baseline = Replicates(SPECIES, species_results(2, 0.3), replicates=400)
    gains, losses = method.difference(baseline), baseline.difference(method)
    assert tuple(gains) == metric_names(SPECIES)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"):
        falls = not HIGHER_IS_BETTER[name]
        gain, loss = gains[name], losses[name]
        assert verdict(gain, falls) == "gain"
        assert verdict(loss, falls) == "negative transfer"
        assert 0 < gain.p_value == loss.p_value < 0.02
        assert (gain.mean, gain.low) == pytest.approx((-loss.mean, -loss.high))


@pytest.mark.parametrize("seed", range(12))
def test_an_interval_for_several_tests_is_wider_and_decides_like_its_p_value(seed):
    method, baseline = (
        Replicates(SPECIES, species_results(2 * seed + k, s), replicates=200)
        for k, s in ((0, 1.0 + 0.05 * seed), (1, 1.0))
    )
    alone, joint = method.difference(baseline), method.difference(baseline, tests=9)
    for name, found in joint.items():
        single = alone[name]
        assert (single.low, single.high) == (single.raw_low, single.raw_high)
        assert (found.raw_low, found.raw_high) == (single.low, single.high)
        assert found.low <= single.low <= single.high <= found.high
        assert found.p_adjusted == pytest.approx(min(1, 9 * single.p_value))
        assert (found.p_adjusted < 0.05) == (not found.low <= 0 <= found.high)


def test_no_change_larger_than_a_metric_allows_counts_as_detectable():
    labels = np.arange(12) % 2
    right = np.arange(12) > 2
    results = [binary_result(labels, each) for each in (right, np.roll(right, 1), ~right)]
    found = compare(RIPE, results, [binary_result(labels, right)] * 3)["accuracy"]
    assert found.p_value is not None
    assert found.detectable is None
    assert verdict(found) == "not enough data"
    with pytest.raises(LabelweaveError) as caught:
        Replicates(RIPE, results).difference(Replicates(RIPE, results), tests=0)
    assert str(caught.value) == "found 0 tests, expected at least 1"


@pytest.mark.parametrize(
    ("won", "lost"), [(30, 5), (5, 30), (15, 0), (0, 15), (12, 10), (40, 38), (3, 1)]
)
def test_one_run_decides_like_the_exact_mcnemar_test(won, lost):
    labels = np.arange(200) % 2
    baseline, method = np.ones(200, bool), np.ones(200, bool)
    baseline[:won], method[won : won + lost] = False, False
    found = compare(RIPE, [binary_result(labels, method)], [binary_result(labels, baseline)])
    exact = binomtest(won, won + lost).pvalue
    assert (found["accuracy"].p_value < 0.05) == (exact < 0.05)
    assert found["accuracy"].mean == pytest.approx((won - lost) / 200)


def test_a_group_gets_one_weight_for_all_its_rows_in_all_runs():
    groups = [np.random.default_rng(run).integers(0, 25, 80) for run in range(3)]
    results = [
        replace(result, groups=of_row)
        for result, of_row in zip(species_results(0, 1.0), groups, strict=True)
    ]
    found = Replicates(SPECIES, results, replicates=20, seed=5)
    weights = bootstrap_weights(25, 20, seed=5)
    for run, (result, of_row) in enumerate(zip(results, groups, strict=True)):
        expected = replicate_metrics(
            SPECIES, result.probabilities, result.labels, weights[:, of_row]
        )
        assert found.values["macro_f1"][run] == pytest.approx(
            evaluate(SPECIES, result.probabilities, result.labels)["macro_f1"]
        )
        np.testing.assert_allclose(found.replicates["macro_f1"][run], expected["macro_f1"])


def test_pairing_narrows_the_interval_of_a_difference():
    labels = np.arange(300) % 2
    right = np.random.default_rng(0).random(300) < 0.7
    better = right.copy()
    better[:10] = True
    method, baseline = ([binary_result(labels, each)] for each in (better, right))
    found = compare(RIPE, method, baseline)["accuracy"]
    alone = summarise(RIPE, method)["accuracy"]
    assert found.high - found.low < 0.3 * (alone.high - alone.low)


def test_runs_that_differ_widen_the_interval():
    generator = np.random.default_rng(3)
    alike, labels = simulated(generator, [0.7] * 5, 400)
    apart, _ = simulated(generator, [0.5, 0.6, 0.7, 0.8, 0.9], 400, labels)
    narrow, wide = (summarise(RIPE, each)["accuracy"] for each in (alike, apart))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    # the effect of rows is small in comparison: what is left is the t-test over runs
    expected = ttest_1samp(wide.values, 0).confidence_interval(0.95)
    assert (wide.low, wide.high) == pytest.approx(tuple(expected), rel=0.02)


def test_a_run_drawn_twice_brings_two_resamplings_of_its_rows():
    # two runs with the same rows and predictions vary as one run of twice the rows does
    results, _ = simulated(np.random.default_rng(0), [0.7], 400)
    one_run, two_runs = (summarise(RIPE, results * k, 4000)["accuracy"] for k in (1, 2))
    ratio = (one_run.high - one_run.low) / (two_runs.high - two_runs.low)
    assert ratio == pytest.approx(2**0.5, rel=0.08)


def test_estimates_have_values_counts_and_level():
    results = species_results(0, 1.0, n=90)
    found = summarise(SPECIES, results, replicates=300)["accuracy"]
    counts = tuple(int((result.labels >= 0).sum()) for result in results)
    assert (found.counts, found.n, found.seeds) == (counts, round(np.mean(counts)), 3)
    assert found.mean == pytest.approx(np.mean(found.values))
    half = summarise(SPECIES, results, replicates=300, level=0.5)["accuracy"]
    assert found.low < half.low < half.mean < half.high < found.high
    assert summarise(SPECIES, results, replicates=300)["accuracy"] == found
    alone, other = (summarise(SPECIES, results[:1], 300, seed)["accuracy"] for seed in (0, 1))
    assert alone.mean == other.mean
    assert alone.low != other.low


def test_rows_without_labels_change_nothing():
    labels = np.random.default_rng(0).integers(-1, 2, (60, 2))
    labels[:20] = -1
    scores = np.random.default_rng(1).random((60, 2))
    task = Multilabel("signs", ("x", "y"))
    whole = summarise(task, [TestResult(scores, labels)], 50)
    assert whole == summarise(task, [TestResult(scores[20:], labels[20:])], 50)
    assert whole["accuracy"].n == (labels >= 0).sum()


def test_the_interval_of_the_calibration_error_holds_its_value():
    generator = np.random.default_rng(0)
    scores = generator.random((100, 1))
    labels = (generator.random((100, 1)) < scores).astype(int)  # calibrated
    found = summarise(RIPE, [TestResult(scores, labels)])["ece"]
    assert 0 <= found.low < found.mean < found.high


def test_a_run_without_labels_is_left_out():
    results, _ = simulated(np.random.default_rng(0), [0.7, 0.8], 50)
    empty = TestResult(np.full((50, 1), 0.5), np.full((50, 1), -1))
    found = summarise(RIPE, [*results, empty], 50)["accuracy"]
    assert found.values[2] is None
    assert (found.seeds, found.counts, found.n) == (2, (50, 50, 0), 33)
    alone = summarise(RIPE, results, 50)["accuracy"]
    assert (found.mean, found.low, found.high) == (alone.mean, alone.low, alone.high)


def test_no_labels_at_all_is_not_enough_data():
    empty = [TestResult(np.full((50, 1), 0.5), np.full((50, 1), -1))] * 2
    for found in compare(RIPE, empty, empty, 10).values():
        assert (found.mean, found.low, found.high, found.p_value) == (None, None, None, None)
        assert (found.n, found.seeds, found.values) == (0, 0, (None, None))
        assert verdict(found) == "not enough data"


def test_replicates_without_data_are_left_out():
    # one positive among 30: about a third of the resamplings have none and so no precision
    labels = np.zeros((30, 1), int)
    labels[4] = 1
    scores = np.full((30, 1), 0.1)
    scores[4] = 0.9
    found = Replicates(RIPE, [TestResult(scores, labels)] * 2, 200)
    assert np.isnan(found.replicates["mean_average_precision"]).any()
    precision = found.summary()["mean_average_precision"]
    assert (precision.low, precision.mean, precision.high) == (1, 1, 1)


def test_groups_of_one_row_are_rows():
    results = species_results(0, 1.0)
    rows = [replace(each, groups=np.arange(80) + 80 * run) for run, each in enumerate(results)]
    whole, plain = (summarise(SPECIES, each, 1000)["macro_f1"] for each in (rows, results))
    assert (whole.mean, whole.high - whole.low) == pytest.approx(
        (plain.mean, plain.high - plain.low), rel=0.1
    )


def test_the_order_of_rows_and_of_seeds_changes_nothing():
    method, baseline = (
        [replace(r, groups=np.arange(80) // 4 + 10 * run) for run, r in enumerate(results)]
        for results in (species_results(1, 2.0), species_results(2, 0.5))
    )
    order = np.random.default_rng(0).permutation(80)
    moved_method, moved_baseline = (
        [
            TestResult(r.probabilities[order], r.labels[order], groups=r.groups[order])
            for r in results[::-1]
        ]
        for results in (method, baseline)
    )
    expected = compare(SPECIES, method, baseline, 50)
    for name, found in compare(SPECIES, moved_method, moved_baseline, 50).items():
        figures = ("mean", "low", "high", "p_value", "detectable")
        for figure in figures:
            assert getattr(found, figure) == pytest.approx(getattr(expected[name], figure)), name


def test_copies_of_a_row_in_one_group_add_nothing():
    results, _ = simulated(np.random.default_rng(0), [0.7], 100)
    (single,) = results
    many = TestResult(
        np.repeat(single.probabilities, 5, axis=0),
        np.repeat(single.labels, 5, axis=0),
        groups=np.repeat(np.arange(100), 5),
    )
    one_each = replace(single, groups=np.arange(100))
    assert summarise(RIPE, [many])["accuracy"].low == pytest.approx(
        summarise(RIPE, [one_each])["accuracy"].low
    )


def test_a_row_that_every_seed_tests_on_counts_once():
    results, _ = simulated(np.random.default_rng(0), [0.7], 200)
    same = [replace(results[0], groups=np.arange(200))]
    one_run, four_runs = (summarise(RIPE, same * k)["accuracy"] for k in (1, 4))
    assert (one_run.low, one_run.high) == pytest.approx((four_runs.low, four_runs.high))


def test_one_group_gives_no_interval():
    results, _ = simulated(np.random.default_rng(0), [0.7, 0.8], 50)
    found = compare(RIPE, *[[replace(r, groups=np.zeros(50, int)) for r in results]] * 2)
    assert found["accuracy"].mean == 0
    assert (found["accuracy"].low, found["accuracy"].p_value) == (None, None)
    assert verdict(found["accuracy"], None) == "not enough data"


def test_effect_sizes_are_reported_of_shares_only():
    labels = np.arange(200) % 2
    method, baseline = ([binary_result(labels, np.arange(200) < right)] for right in (196, 190))
    found = compare(RIPE, method, baseline)
    expected = 2 * np.arcsin(0.98**0.5) - 2 * np.arcsin(0.95**0.5)
    assert found["accuracy"].effect == pytest.approx(expected)
    assert found["log_loss"].effect is None
    assert found["ece"].effect is None


def one(labels=(0, 1), task=RIPE, groups=None, **options):
    labels = np.array(labels)
    scores = np.full((len(labels), 1), 0.4)
    result = TestResult(scores, labels[:, None], groups=groups)
    return Replicates(task, [result], **{"replicates": 5, **options})


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (
            one((1, 1)),
            "task 'ripe', run 1: found a baseline with other labels, expected the same test rows "
            "in the same order",
        ),
        (
            one(groups=[3, 3]),
            "task 'ripe', run 1: found a baseline with other groups, expected the same test rows "
            "in the same order",
        ),
        (
            one(task=Binary("sold")),
            "task 'ripe': found a baseline on task 'sold', expected the same task",
        ),
        (
            one(seed=1),
            "task 'ripe': found a baseline of 1 runs, seed 1 and 5 replicates, "
            "expected 1 runs, seed 0 and 5 replicates",
        ),
        (
            one(replicates=6),
            "task 'ripe': found a baseline of 1 runs, seed 0 and 6 replicates, "
            "expected 1 runs, seed 0 and 5 replicates",
        ),
    ],
)
def test_unpaired_baselines_get_one_line(baseline, message):
    with pytest.raises(LabelweaveError) as caught:
        one().difference(baseline)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("groups", "kind"),
    [
        ([0], "type int64 and shape (1,)"),
        ([-1, 0], "type int64 and shape (2,)"),
        ([0.5, 1], "type float64 and shape (2,)"),
        (["a", "b"], "type <U1 and shape (2,)"),
    ],
)
def test_groups_that_are_no_codes_get_one_line(groups, kind):
    with pytest.raises(LabelweaveError) as caught:
        one(groups=groups)
    assert str(caught.value) == (
        f"task 'ripe': found groups of {kind}, expected codes from 0, of shape (2,)"
    )


def test_bad_options_get_one_line():
    with pytest.raises(LabelweaveError) as caught:
        summarise(RIPE, [])
    assert str(caught.value) == (
        "task 'ripe': found 0 test results and 1000 replicates, expected at least one of each"
    )
    with pytest.raises(LabelweaveError) as caught:
        one().summary(level=95)
    assert str(caught.value) == "found level 95, expected a number between 0 and 1"
