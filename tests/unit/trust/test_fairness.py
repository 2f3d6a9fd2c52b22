"""Fairness: figures against pandas' groupby, planted harm to a group, and thresholds."""

import json

import numpy as np
import pandas as pd
import pytest

from labelweave import Annotations, Binary, LabelweaveError, Multiclass, Multilabel
from labelweave.evaluation import evaluate
from labelweave.evaluation._top_classes import TopClasses
from labelweave.trust import (
    Predictions,
    compare_groups,
    fairness,
    fit_group_thresholds,
    group_weights,
)

KIND = Multiclass("kind", ("a", "b", "c"))
PAID = Binary("paid")


def drawn(n: int, seed: int) -> tuple[Predictions, np.ndarray]:
    """Return rows in groups of two, with a column whose second group has worse predictions."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(np.array(["f", "m"], dtype=object), n)
    kind, paid = rng.integers(0, 3, n), (rng.random(n) < np.where(sex == "m", 0.6, 0.4)).astype(int)
    good = np.where(sex == "m", 0.3, 2.0)[:, None]
    scores = rng.normal(size=(n, 3)) + good * np.eye(3)[kind]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    odds = rng.normal(size=(n, 1)) + (2 * paid[:, None] - 1) + (sex == "m")[:, None]
    labels = {"kind": np.where(rng.random(n) < 0.2, -1, kind), "paid": paid[:, None]}
    shown = {"kind": p, "paid": 1 / (1 + np.exp(-odds))}
    return Predictions(Annotations((KIND, PAID), labels), shown, groups=np.arange(n) // 2), sex


def test_figures_are_those_of_a_groupby():
    rows, sex = drawn(900, 0)
    report = fairness(rows, sex, column="sex", replicates=50)
    frame = pd.DataFrame({
        "sex": sex, "kind": rows.labels("kind"), "guess": rows.probabilities["kind"].argmax(axis=1),
        "paid": rows.labels("paid")[:, 0], "yes": rows.probabilities["paid"][:, 0] >= 0.5,
    })  # fmt: skip
    seen = frame[frame["kind"] >= 0]
    expected = {
        ("kind", "", "accuracy"): (seen["kind"] == seen["guess"]).groupby(seen["sex"]).mean(),
        ("kind", "b", "selection"): (seen["guess"] == 1).groupby(seen["sex"]).mean(),
        ("kind", "b", "recall"): seen[seen["kind"] == 1].groupby("sex")["guess"]
        .apply(lambda g: (g == 1).mean()),
        ("paid", "on", "selection"): frame.groupby("sex")["yes"].mean(),
        ("paid", "on", "recall"): frame[frame["paid"] == 1].groupby("sex")["yes"].mean(),
        ("paid", "on", "false_alarms"): frame[frame["paid"] == 0].groupby("sex")["yes"].mean(),
    }  # fmt: skip
    cells = report.groups.set_index(["question", "class", "metric", "group"])
    gaps = report.gaps.set_index(["question", "class", "metric"])
    for key, by_group in expected.items():
        for group, value in by_group.items():
            assert cells.loc[(*key, group), "value"] == pytest.approx(value)
        assert gaps.loc[key, "gap"] == pytest.approx(by_group.max() - by_group.min())
        assert gaps.loc[key, "highest"] == by_group.idxmax()
    women = sex == "f"
    part = evaluate(PAID, rows.probabilities["paid"][women], rows.labels("paid")[women])
    assert cells.loc[("paid", "", "ece", "f"), "value"] == pytest.approx(part["ece"])
    assert report.sizes == frame["sex"].value_counts().to_dict()
    json.dumps(report.to_dict())


def test_intervals_hold_the_truth_and_whole_groups_are_drawn():
    truth = fairness(*drawn(100_000, 99), replicates=2).groups.set_index(["metric", "group"])
    wanted = truth[truth["question"] == "paid"].loc[("selection", "m"), "value"]
    held, widths = 0, []
    for seed in range(40):
        rows, sex = drawn(300, seed)
        found = fairness(rows, sex, replicates=200, seed=seed).groups
        line = found[(found["question"] == "paid") & (found["metric"] == "selection")
                     & (found["group"] == "m")].iloc[0]  # fmt: skip
        held += line["low"] <= wanted <= line["high"]
        widths.append(line["high"] - line["low"])
    assert held >= 34
    rows, sex = drawn(150, 0)
    four = np.repeat(np.arange(150), 4)  # each row four times, as one group
    copies = Predictions(rows.annotations[four],
                         {n: p[four] for n, p in rows.probabilities.items()}, four)  # fmt: skip
    wide = fairness(copies, sex[four], replicates=400).groups
    apart = fairness(Predictions(copies.annotations, copies.probabilities), sex[four],
                     replicates=400).groups  # fmt: skip
    assert (wide["high"] - wide["low"]).mean() > 1.6 * (apart["high"] - apart["low"]).mean()


def test_small_cells_are_not_shown():
    rows, sex = drawn(200, 1)
    sex[:8] = "x"
    report = fairness(rows, sex, replicates=20)
    few = report.groups[report.groups["group"] == "x"]
    assert few["value"].isna().all()
    assert "x" not in set(report.gaps["lowest"]) | set(report.gaps["highest"])
    shown = report.to_dict()
    assert shown["sizes"]["x"] is None
    assert all(line["n"] is None for line in shown["groups"] if line["group"] == "x")


def test_a_mean_gain_that_hurts_a_group_is_negative_transfer_for_it():
    rng = np.random.default_rng(0)
    n = 3000
    sex = np.where(rng.random(n) < 0.8, "f", "m")
    kind = rng.integers(0, 3, n)

    def predicted(right: np.ndarray) -> Predictions:
        guess = np.where(rng.random(n) < right, kind, (kind + 1) % 3)
        return Predictions(
            Annotations((KIND,), {"kind": kind}), {"kind": 0.8 * np.eye(3)[guess] + 0.2 / 3}
        )

    single = predicted(np.full(n, 0.7))
    joint = predicted(np.where(sex == "f", 0.85, 0.5))
    found = compare_groups(joint, single, sex).set_index("group")
    assert found["verdict"].to_dict() == {"f": "gain", "m": "negative transfer"}
    assert found.loc["m", "difference"] == pytest.approx(-0.2, abs=0.05)
    weighted = found["difference"] @ found["n"] / n
    assert weighted > 0.05
    again = compare_groups(single, single, sex)
    assert set(again["verdict"]) == {"no difference"}
    few = compare_groups(joint[:15], single[:15], np.array(["f"] * 15))
    assert few["verdict"].tolist() == ["not enough data"]
    with pytest.raises(LabelweaveError, match=r"^single: found other rows or labels than in joint"):
        compare_groups(joint, single[:10], sex)


def test_groups_are_compared_by_the_likeliest_classes_as_by_all():
    rng = np.random.default_rng(2)
    n, task = 200, Multiclass("person", tuple(f"p{i}" for i in range(60)))
    codes = rng.integers(-1, 60, n)
    labels, sex = Annotations((task,), {"person": codes}), rng.choice(["f", "m"], n)
    dense = [rng.dirichlet(np.full(60, 0.1), n).astype(np.float32) for _ in range(2)]
    for p in dense:
        p[np.arange(n), np.maximum(codes, 0)] += rng.random(n) < 0.5
        p /= p.sum(axis=1, keepdims=True)
    whole = [Predictions(labels, {"person": p}) for p in dense]
    top = [Predictions(labels, {"person": TopClasses.of(p, codes, 5)}) for p in dense]
    pd.testing.assert_frame_equal(compare_groups(*top, sex), compare_groups(*whole, sex))
    assert isinstance(top[0][:7].probabilities["person"], TopClasses)


@pytest.mark.parametrize("goal", ["selection", "recall"])
def test_thresholds_of_each_group_close_the_gap_on_new_rows(goal: str):
    rows, sex = drawn(6000, 2)
    new, new_sex = drawn(6000, 3)
    rule = fit_group_thresholds(rows, "paid", sex, goal)
    codes = new.labels("paid")[:, 0]
    counts = codes >= 0 if goal == "selection" else codes == 1

    def gap(yes: np.ndarray) -> float:
        rates = [yes[counts & (new_sex == g)].mean() for g in ("f", "m")]
        return abs(rates[0] - rates[1])

    assert gap(new.probabilities["paid"][:, 0] >= 0.5) > 0.1
    assert gap(rule.predict(new.probabilities, new_sex)) < 0.05


def test_under_the_weights_label_and_group_are_independent():
    rng = np.random.default_rng(0)
    group = rng.choice(["f", "m", ""], 600, p=[0.3, 0.5, 0.2])
    codes = np.where(rng.random(600) < np.where(group == "m", 0.7, 0.3), 1, 0)
    codes[rng.random(600) < 0.2] = -1
    labels = Annotations((Multiclass("paid", ("no", "yes")),), {"paid": codes})
    weights = group_weights(labels, "paid", group)
    seen = (codes >= 0) & (group != "")
    assert (weights[~seen] == 1).all()
    assert weights[seen].mean() == pytest.approx(1)
    rates = [
        np.average(codes[seen & (group == g)], weights=weights[seen & (group == g)]) for g in "fm"
    ]
    assert rates[0] == pytest.approx(rates[1])
    assert rates[0] == pytest.approx(codes[seen].mean())
    with pytest.raises(LabelweaveError, match=r"^task 'paid': found no labelled row with a group$"):
        group_weights(labels, "paid", [""] * 600)
    two = Annotations((Multilabel("s", ("x", "y")),), {"s": np.zeros((3, 2), int)})
    with pytest.raises(LabelweaveError, match=r"^task 's': found 2 labels, expected classes or a "):
        group_weights(two, "s", ["a"] * 3)


def test_bad_input_is_refused():
    rows, sex = drawn(50, 0)
    with pytest.raises(LabelweaveError, match=r"^segments: found shape \(3,\), expected \(50,\)$"):
        fairness(rows, sex[:3])
    many, _ = drawn(300, 0)
    with pytest.raises(LabelweaveError, match=r"^groups: found 300 different values, expected at"):
        fairness(many, np.arange(300) / 7, column="age")
    with pytest.raises(LabelweaveError, match=r"^column 'sex': found no group"):
        fairness(rows, np.full(50, None), column="sex")
    with pytest.raises(LabelweaveError, match=r"^task 'kind': found 3 classes or labels, expected"):
        fit_group_thresholds(rows, "kind", sex)
    with pytest.raises(LabelweaveError, match=r"^goal: found 'peace', expected"):
        fit_group_thresholds(rows, "paid", sex, "peace")
