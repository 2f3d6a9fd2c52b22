import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from labelweave.errors import LabelweaveError
from labelweave.relations import Relation, evaluate_relation
from labelweave.relations._lift import GroupDraws, elements, logit, recalibrate, recalibrated
from labelweave.results import plain
from labelweave.tasks import Binary, Multiclass, Multilabel

QUICK = {"replicates": 200, "permutations": 60}


def world(seed, classes=7, labels=6, n=300, multiclass=False):
    """A true relation, an over-confident source head's predictions, and the target's labels."""
    generator = np.random.default_rng(seed)
    source = Multiclass("s", tuple(f"c{i}" for i in range(classes)))
    names = tuple(f"l{i}" for i in range(labels))
    truth = generator.integers(classes, size=n)
    logits = 2 * generator.normal(size=(n, classes)) + 4 * np.eye(classes)[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if multiclass:
        table = 0.9 * np.eye(labels)[generator.permutation(classes) % labels] + 0.1 / labels
        drawn = (generator.random((n, 1)) > table[truth].cumsum(axis=1)).sum(axis=1)
        return Relation(source, Multiclass("t", names), table), p, np.minimum(drawn, labels - 1)
    table = np.where(generator.random((classes, labels)) < 0.4, 0.9, 0.05)
    drawn = (generator.random((n, labels)) < table[truth]).astype(np.int8)
    return Relation(source, Multilabel("t", names), table), p, drawn


def with_wrong_entries(relation, share, seed):
    wrong = np.random.default_rng(seed).random(relation.table.shape) < share
    table = np.where(wrong, 1 - relation.table, relation.table)
    return Relation(relation.source, relation.target, table)


def estimated_from(relation, p, labels):
    base = labels.mean(axis=0)
    table = (p.T @ labels + 5 * base) / (p.sum(axis=0)[:, None] + 5)
    return Relation(relation.source, relation.target, table)


@pytest.mark.parametrize("multiclass", [False, True])
def test_a_true_relation_holds(multiclass):
    for seed in range(10):
        relation, p, labels = world(seed, multiclass=multiclass)
        found = evaluate_relation(relation, p, labels, seed=seed, **QUICK)
        assert found.verdict == "related", found.reason
        assert 0 < found.low < found.lift < found.high
        assert found.p_value == 1 / 61
        assert 0.5 < found.trust < 1


@pytest.mark.parametrize("multiclass", [False, True])
def test_independent_tasks_come_out_unrelated(multiclass):
    unrelated = 0
    for seed in range(100):
        relation, p, labels = world(seed, n=200, multiclass=multiclass)
        shuffled = np.random.default_rng(seed).permutation(p)
        found = evaluate_relation(relation, shuffled, labels, seed=seed, **QUICK)
        unrelated += found.verdict == "not related"
        if found.verdict == "not related":
            assert found.trust == 0
            assert found.filtered() is None
    assert unrelated >= 99


def test_a_shuffled_table_is_rejected():
    # some rows fit by luck, and then a lift over the base rate remains
    lifted = related = 0
    for seed in range(60):
        relation, p, labels = world(seed, classes=10, labels=3, n=1000)
        found = evaluate_relation(relation.permuted(seed), p, labels, seed=seed, **QUICK)
        lifted += found.low > 0
        related += found.verdict == "related"
    assert lifted >= 12
    assert related <= 5


def test_wrong_entries_pass_against_the_base_rate_and_fail_against_the_estimate():
    kept = {0.0: 0, 0.3: 0}
    related = {0.0: 0, 0.3: 0}
    for seed in range(15):
        relation, p, labels = world(seed, n=600)
        estimate = estimated_from(relation, p[:300], labels[:300])
        for share in kept:
            expert = with_wrong_entries(relation, share, seed)
            alone = evaluate_relation(expert, p[300:], labels[300:], seed=seed, **QUICK)
            both = evaluate_relation(
                expert, p[300:], labels[300:], estimated=estimate, seed=seed, **QUICK
            )
            related[share] += alone.verdict == "related"
            kept[share] += both.verdict == "related"
            assert both.lift == alone.lift
            if both.verdict == "contradicted by the data":
                assert both.against_estimated.high < 0
                assert both.filtered() is None
    assert related[0.0] == kept[0.0] == 15
    assert related[0.3] >= 10
    assert kept[0.3] <= 2


def test_an_estimate_that_learnt_the_heads_confusions_does_not_refute_a_true_table():
    for seed in range(10):
        relation, p, labels = world(seed, n=1200)
        # every class is taken for the next one half of the time
        confused = 0.5 * p + 0.5 * np.roll(p, 1, axis=1)
        estimate = estimated_from(relation, confused[:600], labels[:600])
        found = evaluate_relation(
            relation, confused[600:], labels[600:], estimated=estimate, seed=seed, **QUICK
        )
        assert found.against_estimated.high < 0
        assert found.raw_against_estimated.low > 0
        assert found.verdict == "related"


def test_a_single_label_without_lift_is_left_out():
    relation, p, labels = world(3, n=600)
    labels[:, 2] = np.random.default_rng(99).integers(0, 2, len(labels))
    found = evaluate_relation(relation, p, labels, **QUICK)
    assert found.verdict == "related"
    assert [label.name for label in found.left_out] == ["l2"]
    assert str(found.left_out[0].reason).endswith("on 600 labels: not above 0")
    kept = found.filtered()
    assert not kept.mask[:, 2].any()
    assert kept.mask[:, [0, 1, 3, 4, 5]].all()
    assert kept.strength == pytest.approx(relation.strength * found.trust)


def test_a_rare_label_follows_the_relation():
    relation, p, labels = world(4)
    labels[10:, 1] = -1
    found = evaluate_relation(relation, p, labels, **QUICK)
    rare = found.per_label[1]
    assert (rare.n, rare.keep) == (10, True)
    assert str(rare.reason).endswith("too few to judge alone")
    labels[:, 1] = -1
    nothing = evaluate_relation(relation, p, labels, **QUICK).per_label[1]
    assert (nothing.n, nothing.lift, nothing.keep) == (0, None, True)


def test_overconfidence_and_prior_shift_do_not_hide_a_true_relation():
    relation, p, labels = world(5, multiclass=True, n=600)
    # a head that assumes another class prior and is far too sure
    bent = (p * np.geomspace(1, 1000, p.shape[1])) ** 3
    bent /= bent.sum(axis=1, keepdims=True)
    found = evaluate_relation(relation, bent, labels, **QUICK)
    assert found.raw_lift < 0
    assert found.verdict == "related"


def test_a_relation_turned_round_has_no_lift():
    relation, p, labels = world(6)
    turned = Relation(relation.source, relation.target, 1 - relation.table)
    found = evaluate_relation(turned, p, labels, **QUICK)
    assert found.verdict == "not related"
    assert abs(found.lift) < 0.01


def test_information_counts_all_labels_of_a_row():
    relation, p, labels = world(7)
    found = evaluate_relation(relation, p, labels, **QUICK)
    assert found.information == pytest.approx(6 * found.lift)
    relation, p, labels = world(7, multiclass=True)
    whole = evaluate_relation(relation, p, labels, **QUICK)
    assert whole.information == whole.lift
    apart = evaluate_relation(relation, np.roll(p, 1, axis=0), labels, **QUICK)
    assert apart.information == 0


def test_against_own_predictions_only_news_counts():
    relation, p, labels = world(7, n=600)
    knows = p @ relation.table
    news = evaluate_relation(relation, p, labels, target_probabilities=knows, **QUICK)
    assert news.benchmark == "own predictions"
    assert news.verdict == "not related"
    blind = np.full(labels.shape, 0.5)
    over_blind = evaluate_relation(relation, p, labels, target_probabilities=blind, **QUICK)
    over_base = evaluate_relation(relation, p, labels, **QUICK)
    assert over_blind.lift == pytest.approx(over_base.lift, abs=0.01)


@given(st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_missing_labels_contribute_nothing(seed):
    relation, p, labels = world(seed, n=120)
    gaps = np.random.default_rng(seed).random(labels.shape) < 0.3
    labels[gaps] = -1
    found = evaluate_relation(relation, p, labels, **QUICK)
    assert found.n == (labels >= 0).sum()
    extra = np.random.default_rng(seed).dirichlet(np.ones(7), 50)
    more = evaluate_relation(
        relation, np.vstack([p, extra]), np.vstack([labels, np.full((50, 6), -1)]), **QUICK
    )
    assert more.summary() == found.summary()


def test_the_seed_decides():
    relation, p, labels = world(8)
    first, again, other = (
        evaluate_relation(relation, p, labels, seed=seed, **QUICK).summary() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_rows_of_a_group_stay_together():
    relation, p, labels = world(9, n=100)
    repeated = [np.repeat(part, 8, axis=0) for part in (p, labels)]
    groups = np.repeat([f"person {i}" for i in range(100)], 8)
    single = evaluate_relation(relation, p, labels, **QUICK)
    naive = evaluate_relation(relation, *repeated, **QUICK)
    grouped = evaluate_relation(relation, *repeated, groups=groups, **QUICK)
    assert naive.high - naive.low < 0.6 * (single.high - single.low)
    assert grouped.high - grouped.low > 0.85 * (single.high - single.low)


def test_repeated_rows_are_no_evidence_when_grouped():
    alarms = 0
    for seed in range(40):
        relation, p, labels = world(seed, n=40)
        p = np.random.default_rng(seed).permutation(p)
        repeated = [np.repeat(part, 10, axis=0) for part in (p, labels)]
        groups = np.repeat(np.arange(40), 10)
        found = evaluate_relation(relation, *repeated, groups=groups, seed=seed, **QUICK)
        alarms += found.verdict == "related"
    assert alarms <= 2


def test_intervals_cover_the_mean_about_as_often_as_they_say():
    covered = 0
    for seed in range(150):
        generator = np.random.default_rng(seed)
        groups = np.arange(2400) // 2  # pooled into 1,000 blocks
        values = generator.normal(size=(1200, 1))[groups] + 0.3
        draw = GroupDraws(groups, 150, 0.9, generator)
        _, low, high = draw.mean(values, np.ones_like(values))
        covered += bool(low[0] <= 0.3 <= high[0])
    assert 0.84 <= covered / 150 <= 0.96


def test_recalibration_is_logistic_regression():
    relation, p, labels = world(10, n=200)
    held, _ = elements("s->t", relation.target, labels, np.ones(6, bool), None)
    x = logit(p @ relation.table)
    found = recalibrate([x], held, np.arange(200))
    for j in range(6):
        scaled = np.append((x[:, j] - x[:, j].mean()) / x[:, j].std(), [0, 0])
        # the pseudo-row is half on and half off
        weights = np.append(np.ones(200), [0.5, 0.5])
        oracle = LogisticRegression(C=1.0, tol=1e-10).fit(
            scaled[:, None], np.append(labels[:, j], [0, 1]), weights
        )
        assert found.slopes[0, j] == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
        assert found.intercept[j] == pytest.approx(oracle.intercept_[0], abs=1e-4)


def test_recalibrated_classes_sum_to_one():
    relation, p, labels = world(11, multiclass=True)
    held, _ = elements("s->t", relation.target, labels, np.ones(6, bool), None)
    fold = np.arange(300) % 5
    both = recalibrated(p @ relation.table, held, fold, None, np.random.default_rng(0))
    for part in both:
        np.testing.assert_allclose(part.sum(axis=1), 1)


def test_evidence_is_json_able():
    relation, p, labels = world(12)
    found = evaluate_relation(relation, p, labels, estimated=relation, **QUICK)
    assert found.against_estimated.mean == 0
    text = json.loads(json.dumps(plain(found.summary()), allow_nan=False))
    assert text["verdict"] == found.verdict
    assert text["per_label"][0]["name"] == "l0"
    assert "relation" not in text


def test_not_enough_data():
    relation, p, labels = world(13)
    few = evaluate_relation(relation, p[:3], labels[:3])
    assert few.verdict == "not enough data"
    assert str(few.reason) == (
        "18 labelled elements in 3 groups of rows, expected at least 20 in 5"
    )
    assert few.filtered() is None
    json.dumps(plain(few.summary()), allow_nan=False)
    same = evaluate_relation(relation, p, np.ones_like(labels))
    assert (same.verdict, str(same.reason)) == (
        "not enough data", "every label always has the same value"
    )  # fmt: skip
    none = evaluate_relation(relation, p, np.full_like(labels, -1))
    assert none.n == 0
    silent = Relation(relation.source, relation.target, relation.table, np.zeros((7, 6), bool))
    assert evaluate_relation(silent, p, labels).per_label == ()


@pytest.mark.parametrize("n", [0, 1, 3, 6])
def test_an_experts_table_stands_without_evidence_against_it(n):
    relation, p, labels = world(13)
    few = np.where(np.arange(len(labels))[:, None] < n, labels, -1)
    found = evaluate_relation(relation, p, few, expert=True, **QUICK)
    assert found.holds
    used = found.filtered()
    np.testing.assert_array_equal(used.mask, relation.mask)
    assert 0 < used.strength <= relation.strength
    assert found.information > 0
    if n <= 3:
        assert found.verdict == "not contradicted"
        assert str(found.reason).startswith("no evidence against the given table: ")


def test_many_labels_refuse_an_experts_table_that_is_shuffled_or_has_nothing_to_say():
    relation, p, labels = world(13)
    assert not evaluate_relation(relation.permuted(1), p, labels, expert=True, **QUICK).holds
    flat = Relation(relation.source, relation.target, np.tile(relation.table.mean(axis=0), (7, 1)))
    assert not evaluate_relation(flat, p, labels, expert=True, **QUICK).holds
    other = np.random.default_rng(0).permutation(labels)
    assert not evaluate_relation(relation, p, other, expert=True, **QUICK).holds


def test_bad_input_gives_one_line():
    relation, p, labels = world(14)
    other = world(14, labels=5)[0]
    bad = p.copy()
    bad[4, 2] = 1.5
    unsummed = p.copy()
    unsummed[1] = 0.5
    cases = [
        ({"source_probabilities": p[:, :3]},
         "relation s->t, predictions of 's': found shape (300, 3), expected (300, 7)"),
        ({"source_probabilities": unsummed},
         "relation s->t, predictions of 's', row 2: found probabilities that sum to 3.5, "
         "expected 1"),
        ({"estimated": other},
         "relation s->t: found the estimated relation s->t, expected one between the same tasks "
         "and classes"),
        ({"groups": [1, 2]},
         "relation s->t: found groups of shape (2,), expected (300,)"),
        ({"replicates": 0},
         "relation s->t: found 0 replicates, 200 permutations and level 0.95, expected at least "
         "1, at least 1 and a number between 0 and 1"),
        ({"target_labels": labels + 1},
         "labels of 't': found codes from 1 to 2, expected -1 (missing) to 1"),
    ]  # fmt: skip
    for changed, message in cases:
        arguments = {
            "relation": relation, "source_probabilities": p, "target_labels": labels, **changed
        }  # fmt: skip
        with pytest.raises(LabelweaveError) as caught:
            evaluate_relation(**arguments)
        assert str(caught.value) == message
    with pytest.raises(LabelweaveError, match=r"row 5: found .* to 1.5, expected probabilities"):
        evaluate_relation(relation, bad, labels)


def test_a_rare_label_that_the_relation_predicts_without_an_error_keeps_its_whole_lift() -> None:
    # whole Newton steps of the recalibration went back and forth here, and the lift was gone
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 30, 700)
    source = Multiclass("s", tuple(range(30)))
    relation = Relation(source, Binary("t"), np.eye(30)[:, :1])
    probabilities = 0.97 * np.eye(30)[classes] + 0.03 * rng.dirichlet(np.ones(30), 700)
    labels = (classes == 0).astype(np.int8)[:, None]
    rate = labels.mean()
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    evidence = evaluate_relation(relation, probabilities, labels)
    assert evidence.verdict == "related"
    assert evidence.lift is not None
    assert 0.9 * entropy < evidence.lift < 1.1 * entropy
