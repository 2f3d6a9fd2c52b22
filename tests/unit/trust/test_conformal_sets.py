"""Conformal sets: the rank by hand, coverage in simulation, whole groups, and what labels allow."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave import Annotations, LabelweaveError, Multiclass, Multilabel
from labelweave.trust import Predictions, evaluate_sets, fit_sets
from labelweave.trust._quantiles import conformal_threshold, least_labels

KIND = Multiclass("kind", ("a", "b", "c", "d"))
SIGNS = Multilabel("signs", ("x", "y"))


def drawn(n: int, seed: int, task: Multiclass = KIND) -> Predictions:
    """Return rows whose labels are drawn from probabilities that a model gives distorted."""
    rng = np.random.default_rng(seed)
    scores = 1.5 * rng.normal(size=(n, task.width))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    shown = p**3 / (p**3).sum(axis=1, keepdims=True)  # over-confident
    return Predictions(Annotations((task,), {task.name: labels}), {task.name: shown})


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=40),
    st.floats(0.05, 0.95),
)
def test_without_groups_the_threshold_is_the_score_of_that_rank(scores: list[float], level: float):
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    expected = sorted(scores)[rank - 1] if rank <= len(scores) else math.inf
    assert conformal_threshold(np.array(scores), level) == expected


def test_the_least_number_of_labels_is_where_the_threshold_becomes_finite():
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        n = least_labels(level)
        assert math.isfinite(conformal_threshold(np.arange(float(n)), level))
        assert math.isinf(conformal_threshold(np.arange(float(n - 1)), level))


def test_rows_of_one_group_weigh_as_much_as_one_row():
    scores, groups = np.arange(20.0), np.arange(20)
    plain = conformal_threshold(scores, 0.9, groups)
    assert plain == conformal_threshold(scores, 0.9)
    again = conformal_threshold(np.repeat(scores, 7), 0.9, np.repeat(groups, 7))
    assert again == plain


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.sampled_from([0.8, 0.9]))
def test_sets_cover_as_often_as_promised(seed: int, level: float):
    # 2,000 rows: the standard deviation of the coverage is below .01
    rule = fit_sets(drawn(2000, seed), level)
    new = drawn(2000, seed + 1)
    sets = rule.predict(new.probabilities, allow_empty=True)
    assert abs(evaluate_sets(new, sets)["kind"].coverage - level) < 0.04


def test_mean_coverage_over_many_draws_lies_at_the_nominal_level():
    found = []
    for seed in range(60):
        rule, new = fit_sets(drawn(150, seed)), drawn(400, 1000 + seed)
        sets = rule.predict(new.probabilities, allow_empty=True)
        found.append(evaluate_sets(new, sets)["kind"].coverage)
    assert 0.88 <= np.mean(found) <= 0.92


def test_per_class_every_class_is_covered_and_without_it_the_hard_one_is_not():
    def skewed(n: int, seed: int) -> Predictions:
        rng = np.random.default_rng(seed)
        labels = np.where(rng.random(n) < 0.1, 3, rng.integers(0, 3, n))
        right = np.where(labels == 3, 0.5, 0.95)
        seen = np.where(rng.random(n) < right, labels, rng.integers(0, 3, n))
        p = np.full((n, 4), 0.05) + rng.random((n, 4)) / 100
        p[np.arange(n), seen] += 0.8
        p /= p.sum(axis=1, keepdims=True)
        return Predictions(Annotations((KIND,), {"kind": labels}), {"kind": p})

    new = skewed(6000, 2)
    hard = new.labels("kind") == 3
    covered = {}
    for per in ("task", "class"):
        sets = fit_sets(skewed(6000, 1), per=per).predict(new.probabilities, allow_empty=True)
        covered[per] = sets["kind"][hard, 3].mean()
    assert covered["task"] < 0.8
    assert 0.87 <= covered["class"] <= 0.93


SHARES = np.array([0.85, 0.05, 0.05, 0.05])


def chosen_by_class(shares: np.ndarray, n: int, seed: int) -> Predictions:
    """Return rows with these shares of the classes; the model knows the first one best."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, n, p=shares)
    scores = rng.normal(size=(n, 4)) + np.where(labels == 0, 4.0, 1.0)[:, None] * np.eye(4)[labels]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return Predictions(Annotations((KIND,), {"kind": labels}), {"kind": p})


def test_labels_of_each_class_alike_cover_rows_of_other_shares_by_these_shares():
    def coverage(shares: dict[str, np.ndarray] | None) -> float:
        found = []
        for seed in range(40):
            rule = fit_sets(chosen_by_class(np.full(4, 0.25), 200, seed), shares=shares)
            new = chosen_by_class(SHARES, 500, 1000 + seed)
            sets = rule.predict(new.probabilities, allow_empty=True)
            found.append(evaluate_sets(new, sets)["kind"].coverage)
        return float(np.mean(found))

    assert coverage(None) > 0.95
    assert 0.88 <= coverage({"kind": SHARES}) <= 0.92


def test_the_shares_of_the_labels_themselves_change_nothing():
    rows = drawn(300, 4)
    own = np.bincount(rows.labels("kind"), minlength=4) / 300
    plain, same = fit_sets(rows), fit_sets(rows, shares={"kind": own})
    np.testing.assert_allclose(same.cuts[None]["kind"], plain.cuts[None]["kind"])


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"kid": SHARES}, "shares: no task 'kid', expected 'kind'; did you mean 'kind'?"),
        ({"kind": [0.5, 0.5]}, "shares of 'kind': expected 4 numbers from 0 to 1"),
        ({"kind": [2.0, 0, 0, 0]}, "shares of 'kind': expected 4 numbers from 0 to 1"),
    ],
)
def test_shares_that_do_not_fit_are_refused(shares: dict, message: str):
    with pytest.raises(LabelweaveError) as error:
        fit_sets(drawn(20, 0), shares=shares)
    assert str(error.value) == message


def test_with_two_labels_a_class_no_class_wise_promise_is_possible():
    labels = np.array([0] * 40 + [1] * 40 + [2] * 40 + [3] * 2)
    p = np.full((122, 4), 0.25)
    rows = Predictions(Annotations((KIND,), {"kind": labels}), {"kind": p})
    rule = fit_sets(rows, per="class")
    assert rule.notes == [
        "kind, class=d: no coverage can be promised, found 2 labels, expected at least 9"
    ]
    assert rule.cuts[None]["kind"][3] == conformal_threshold(np.full(122, 0.75), 0.9)


def test_with_too_few_labels_every_class_is_plausible():
    rule = fit_sets(drawn(5, 0))
    assert not rule.promises[0].kept
    assert rule.predict(drawn(30, 1).probabilities)["kind"].all()


def test_whole_groups_are_covered_where_rows_repeat():
    # a person's rows are alike, so 40 persons of 25 rows are 40 draws, not 1,000
    def persons(seed: int) -> Predictions:
        one = drawn(40, seed)
        rows = np.repeat(np.arange(40), np.random.default_rng(seed).integers(1, 50, 40))
        return Predictions(
            one.annotations[rows], {"kind": one.probabilities["kind"][rows]}, groups=rows
        )

    found = []
    for seed in range(80):
        rule, new = fit_sets(persons(seed)), persons(500 + seed)
        sets = rule.predict(new.probabilities, allow_empty=True)["kind"]
        held = sets[np.arange(len(new)), new.labels("kind")]
        by_person = np.bincount(new.group_codes, held) / np.bincount(new.group_codes)
        found.append(by_person.mean())
    assert 0.88 <= np.mean(found) <= 0.94


def test_every_segment_is_covered_and_one_with_few_labels_takes_the_general_threshold():
    easy, hard, few = drawn(1500, 1), drawn(1500, 2), drawn(4, 3)
    wrong = np.roll(hard.probabilities["kind"], 1, axis=1)
    p = np.concatenate([easy.probabilities["kind"], wrong, few.probabilities["kind"]])
    labels = np.concatenate([easy.labels("kind"), hard.labels("kind"), few.labels("kind")])
    rows = Predictions(Annotations((KIND,), {"kind": labels}), {"kind": p})
    site = np.array(["easy"] * 1500 + ["hard"] * 1500 + ["few"] * 4, dtype=object)
    rule = fit_sets(rows, segments=site)
    sets = rule.predict(rows.probabilities, site, allow_empty=True)["kind"]
    held = sets[np.arange(len(rows)), labels]
    for name in ("easy", "hard"):
        assert 0.89 <= held[site == name].mean() <= 0.91
    assert [note.partition(":")[0] for note in rule.notes] == ["kind, segment=few"]
    np.testing.assert_array_equal(rule.cuts["few"]["kind"], rule.cuts[None]["kind"])
    unknown = rule.predict(rows.probabilities, np.full(len(rows), "other", object))["kind"]
    np.testing.assert_array_equal(unknown, rule.predict(rows.probabilities)["kind"])


def test_a_multilabel_task_has_a_set_of_off_and_on_for_each_label():
    rng = np.random.default_rng(0)
    p = rng.random((3000, 2))
    labels = (rng.random((3000, 2)) < p).astype(int)
    labels[rng.random((3000, 2)) < 0.3] = -1
    rows = Predictions(Annotations((SIGNS,), {"signs": labels}), {"signs": p})
    sets = fit_sets(rows[:1500]).predict(rows[1500:].probabilities, allow_empty=True)
    assert sets["signs"].shape == (1500, 2, 2)
    for name, figures in evaluate_sets(rows[1500:], sets).items():
        assert name in ("signs=x", "signs=y")
        assert 0.87 <= figures.coverage <= 0.93


def test_a_set_holds_the_likeliest_class_unless_empty_sets_are_allowed():
    rule, new = fit_sets(drawn(500, 0), 0.2), drawn(500, 1)
    assert evaluate_sets(new, rule.predict(new.probabilities))["kind"].empty == 0
    assert evaluate_sets(new, rule.predict(new.probabilities, allow_empty=True))["kind"].empty > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coverage": 1.0}, "coverage: found 1.0, expected a number between 0 and 1"),
        ({"per": "row"}, "per: found 'row', expected 'task' or 'class'"),
        ({"segments": ["a"]}, r"segments: found shape \(1,\), expected \(20,\)"),
    ],
)
def test_bad_settings_are_refused(change: dict, message: str):
    with pytest.raises(LabelweaveError, match=f"^{message}$"):
        fit_sets(drawn(20, 0), **change)


def test_probabilities_of_another_task_or_shape_are_refused():
    rule = fit_sets(drawn(20, 0))
    with pytest.raises(LabelweaveError, match="expected 'kind', too"):
        rule.predict({"other": np.ones((2, 4))})
    with pytest.raises(LabelweaveError, match=r"found probabilities of shape \(2, 3\), expected"):
        rule.predict({"kind": np.ones((2, 3))})
    with pytest.raises(LabelweaveError, match="no such task, expected 'kind'"):
        Predictions(drawn(20, 0).annotations, {"kin": np.ones((20, 4))})
