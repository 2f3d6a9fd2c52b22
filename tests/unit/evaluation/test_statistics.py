"""The statistics held against scipy's tests and against simulated studies with a known truth."""

import numpy as np
import pytest
from benchmarks.statistics import TASK, accuracy_spread, simulate
from scipy.stats import binomtest, t, ttest_ind, ttest_rel

from labelweave.evaluation import TestResult, cohens_h, compare
from labelweave.evaluation._comparison import Spread, spread
from labelweave.tasks import Binary

RIPE = Binary("ripe")


def rows(right):
    """A run with one row for every entry: its label is 1, predicted right or wrong."""
    scores = np.where(right, 0.9, 0.1)[:, None]
    return TestResult(scores, np.ones((len(right), 1), int))


def accuracies(values, n=20_000):
    """A run for every accuracy; what its choice of rows does is next to nothing."""
    return [rows(np.arange(n) < round(value * n)) for value in values]


@pytest.mark.parametrize(("won", "lost"), [(60, 30), (200, 150), (55, 50), (30, 70), (90, 90)])
def test_one_run_gives_about_mcnemars_p_value(won, lost):
    method, baseline = np.ones(1000, bool), np.ones(1000, bool)
    baseline[:won], method[won : won + lost] = False, False
    found = compare(RIPE, [rows(method)], [rows(baseline)])["accuracy"]
    # the exact test is discrete: it lies a little above
    assert found.p_value == pytest.approx(binomtest(won, won + lost).pvalue, abs=0.02, rel=0.5)


def test_many_rows_give_the_paired_t_test_over_runs():
    method, baseline = [0.81, 0.84, 0.79, 0.86], [0.78, 0.79, 0.79, 0.80]
    found = compare(RIPE, accuracies(method), accuracies(baseline), 100)["accuracy"]
    expected = ttest_rel(method, baseline)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.02)
    assert (found.low, found.high) == pytest.approx(
        tuple(expected.confidence_interval(0.95)), rel=0.02
    )


def test_runs_without_anything_in_common_give_about_welchs_p_value():
    generator = np.random.default_rng(0)
    found, expected = [], []
    for gap in (0.0, 0.01, 0.03):
        values = generator.normal(0.6, 0.05, 25), generator.normal(0.6 + gap, 0.02, 25)
        methods = [[rows(generator.random(2000) < p) for p in of_method] for of_method in values]
        measured = [
            [np.mean(np.asarray(r.probabilities) > 0.5) for r in method] for method in methods
        ]
        found.append(compare(RIPE, *methods, 50)["accuracy"].p_value)
        expected.append(ttest_ind(*measured, equal_var=False).pvalue)
    assert np.argsort(found).tolist() == np.argsort(expected).tolist()
    assert np.log(found) == pytest.approx(np.log(expected), abs=1)


def test_the_spread_of_normal_runs_by_hand():
    generator = np.random.default_rng(0)
    values = np.array([0.1, 0.4, 0.3])
    shared, own = generator.normal(size=(1, 40_000)), generator.normal(size=(3, 40_000))
    found = spread(values, values[:, None] + 0.02 * shared + 0.01 * own, np.ones(500))
    assert found.shared == pytest.approx(0.02**2, rel=0.03)
    assert found.own == pytest.approx(0.01**2 / 3, rel=0.03)
    assert found.runs == pytest.approx(values.var(ddof=1) / 3)
    assert found.groups == pytest.approx(500)
    assert found.reach(0.025) == pytest.approx(
        (t.ppf(0.975, 499) ** 2 * found.shared + t.ppf(0.975, 2) ** 2 * found.runs) ** 0.5
    )


def test_runs_that_agree_by_chance_cannot_hide_what_rows_do():
    alike = Spread(shared=0.0, own=0.01, runs=0.0, groups=101, size=4)
    assert alike.reach(0.025) == pytest.approx(0.1 * t.ppf(0.975, 100))


@pytest.mark.parametrize("size", [1, 3, 10])
@pytest.mark.parametrize("mean", [0.01, -0.2, 0.5])
def test_p_values_and_intervals_say_the_same(size, mean):
    found = Spread(shared=0.002, own=0.003, runs=0.004, groups=60, size=size)
    p = found.p_value(mean)
    assert found.reach(p / 2) == pytest.approx(abs(mean))
    assert found.p_value(-mean) == p
    assert found.p_value(0) == 1


def test_uneven_groups_are_less_informative_than_even_ones():
    replicates = np.random.default_rng(0).normal(size=(2, 100))
    even, uneven = (
        spread(np.zeros(2), replicates, np.array(sizes, float))
        for sizes in ([10, 10, 10, 10], [37, 1, 1, 1])
    )
    assert even.groups == 4
    assert uneven.groups == pytest.approx(1600 / 1372)
    assert uneven.reach(0.025) > 2 * even.reach(0.025)
    assert spread(np.zeros(2), replicates, np.array([40.0])) is None


def test_resamplings_without_a_value_are_left_out():
    replicates = np.random.default_rng(0).normal(size=(3, 4000))
    whole = spread(np.zeros(3), replicates, np.ones(100))
    replicates[0, ::4] = np.nan
    replicates[:, 1::50] = np.nan
    part = spread(np.zeros(3), replicates, np.ones(100))
    assert part.reach(0.025) == pytest.approx(whole.reach(0.025), rel=0.1)
    assert spread(np.zeros(3), np.full((3, 50), np.nan), np.ones(100)) is None


def test_what_can_be_seen_shrinks_with_rows_and_grows_with_tests():
    few, many = (Spread(0.0, 0.1 / n, 0.0, n, 1) for n in (40, 4000))
    assert few.detectable(0.95, 1) == pytest.approx(0.05 * (t.ppf(0.975, 39) + t.ppf(0.8, 39)))
    assert many.detectable(0.95, 1) == pytest.approx(few.detectable(0.95, 1) / 10, rel=0.05)
    assert few.detectable(0.95, 9) > 1.2 * few.detectable(0.95, 1)
    # no row differs, and yet 40 rows show nothing below some twenty points
    assert Spread(0.0, 0.0, 0.0, 40, 1).detectable(0.95, 1, 40) == pytest.approx(0.206, abs=0.01)


@pytest.mark.parametrize("size", [2, 3, 5, 10])
def test_of_changes_that_can_be_seen_four_in_five_are(size):
    draw = np.random.default_rng(size)
    first, second = draw.normal(size=(2, 2000, size))

    def spreads(values):
        return [Spread(0.0, 0.0, v.var(ddof=1) / size, 1e4, size) for v in values]

    visible = float(np.median([each.detectable(0.95, 1) for each in spreads(first)]))
    means = second.mean(axis=1) + visible
    reaches = [each.reach(0.025) for each in spreads(second)]
    assert np.mean(means > reaches) == pytest.approx(0.8, abs=0.04)


def test_cohens_h():
    assert cohens_h(0.5, 0.5) == 0
    assert cohens_h(1.0, 0.0) == pytest.approx(np.pi)
    assert cohens_h(0.2, 0.7) == pytest.approx(-cohens_h(0.7, 0.2))
    assert cohens_h(0.99, 0.98) > 4 * cohens_h(0.51, 0.5)


def test_the_benchmark_measures_what_compare_does():
    method, baseline = simulate(np.random.default_rng(0), 3, 50, group=5, training=0.2)
    expected = compare(TASK, method, baseline, 200)["accuracy"]
    mean, found = accuracy_spread(method, baseline)
    assert mean == pytest.approx(expected.mean)
    assert found.p_value(mean) == pytest.approx(expected.p_value)


@pytest.mark.parametrize(
    ("seeds", "group", "training"), [(3, 1, 0.0), (3, 8, 0.3), (5, 8, 0.0), (5, 1, 0.3)]
)
def test_intervals_hold_the_truth_of_simulated_studies(seeds, group, training):
    held = []
    for trial in range(100):
        generator = np.random.default_rng([trial, seeds])
        mean, found = accuracy_spread(*simulate(generator, seeds, 80, group, training), trial)
        held.append(abs(mean) <= found.reach(0.025))
    assert np.mean(held) >= 0.88


def test_a_change_as_large_as_the_detectable_one_is_mostly_found():
    visible, hits = [], []
    for trial in range(60):
        pair = simulate(np.random.default_rng([trial, 0]), 5, 100)
        visible.append(accuracy_spread(*pair, trial)[1].detectable(0.95, 1, 500))
    for trial in range(100):
        pair = simulate(np.random.default_rng([trial, 1]), 5, 100, gain=float(np.median(visible)))
        mean, found = accuracy_spread(*pair, trial)
        hits.append(found.p_value(mean) < 0.05)
    assert 0.6 <= np.mean(hits) <= 0.97
