"""Calibration maps against scikit-learn's, figures against its metrics, and abstention."""

import json
import math

import numpy as np
import pytest
from sklearn import metrics as oracle
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from labelweave import Annotations, Binary, LabelweaveError, Multiclass, Multilabel
from labelweave.evaluation import best_temperature, evaluate
from labelweave.evaluation._calibration_maps import chosen_kind, fitted_map
from labelweave.trust import (
    Calibration,
    Predictions,
    calibrated,
    calibration_figures,
    cross_calibrate,
    fit_abstention,
    fit_calibration,
    risk_coverage,
)
from labelweave.trust._predictions import learnable_labels

KIND = Multiclass("kind", ("a", "b", "c"))
SIGNS = Multilabel("signs", ("x", "y"))
HOT = Binary("hot")


def drawn(n: int, seed: int, power: float = 3.0) -> Predictions:
    """Return rows whose labels are drawn from probabilities that are shown over-confident."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    kind = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    odds = rng.normal(size=(n, 2))
    signs = (rng.random((n, 2)) < 1 / (1 + np.exp(-odds))).astype(int)
    shown = {
        "kind": p**power / (p**power).sum(axis=1, keepdims=True),
        "signs": 1 / (1 + np.exp(-power * odds)),
    }
    return Predictions(Annotations((KIND, SIGNS), {"kind": kind, "signs": signs}), shown)


@pytest.mark.parametrize(("n", "kind"), [(5, "none"), (25, "none"), (60, "temperature"),
                                         (500, "vector"), (4000, "isotonic")])  # fmt: skip
def test_the_number_of_labels_decides_the_map_and_every_map_helps(n: int, kind: str):
    rows, new = drawn(n, 0), drawn(4000, 1)
    calibration = fit_calibration(rows)
    assert calibration.maps["kind"].kind == kind
    before = calibration_figures(new)
    after = calibration_figures(calibrated(new, calibration))
    if kind == "none":
        np.testing.assert_array_equal(
            calibration.apply(new.probabilities)["kind"], new.probabilities["kind"]
        )
        return
    for name in ("kind", "signs=x", "signs=y"):
        for figure in ("ece", "brier", "log_loss"):
            assert getattr(after[name], figure) < getattr(before[name], figure), (name, figure)
        assert after[name].ece < before[name].ece / 2
    saved = json.loads(json.dumps(calibration.to_dict()))
    again = Calibration.from_dict((KIND, SIGNS), saved).apply(new.probabilities)
    for name, p in calibration.apply(new.probabilities).items():
        np.testing.assert_array_equal(again[name], p)


def test_a_temperature_is_that_of_the_evaluation_and_of_the_distortion():
    rows = drawn(4000, 2)
    found = fitted_map(rows.probabilities["kind"], rows.labels("kind"), "temperature")
    expected = best_temperature(KIND, rows.probabilities["kind"], rows.labels("kind"))
    assert 1 / found.scale[0] == pytest.approx(expected, rel=1e-3)
    assert found.scale[0] == pytest.approx(1 / 3, rel=0.1)


def test_vector_scaling_of_a_label_is_logistic_regression_of_its_odds():
    rows = drawn(3000, 3)
    p = rows.probabilities["signs"][:, 0]
    both = np.stack([1 - p, p], axis=1)
    codes = rows.labels("signs")[:, 0]
    found = fitted_map(both, codes, "vector").apply(both)[:, 1]
    odds = np.log(p / (1 - p))[:, None]
    # two factors, of log p and of log (1 - p): the regression has both
    features = np.concatenate([np.log(p)[:, None], np.log(1 - p)[:, None]], axis=1)
    expected = LogisticRegression(C=1e8, max_iter=5000, tol=1e-10).fit(features, codes)
    np.testing.assert_allclose(found, expected.predict_proba(features)[:, 1], atol=5e-3)
    plain = LogisticRegression(C=1e8).fit(odds, codes).predict_proba(odds)[:, 1]
    assert oracle.log_loss(codes, found) <= oracle.log_loss(codes, plain) + 1e-4


def test_isotonic_maps_are_scikit_learn_s_with_a_thousandth_of_the_given():
    rows, new = drawn(3000, 4), drawn(500, 5)
    p, codes = rows.probabilities["kind"], rows.labels("kind")
    found = fitted_map(p, codes, "isotonic").apply(new.probabilities["kind"])
    each = [
        IsotonicRegression(out_of_bounds="clip").fit(p[:, k], codes == k)
        .predict(new.probabilities["kind"][:, k])
        for k in range(3)
    ]  # fmt: skip
    # so that no two different probabilities become equal
    expected = 0.999 * np.stack(each, axis=1) + 0.001 * new.probabilities["kind"]
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-9)


def test_figures_are_those_of_scikit_learn_and_of_the_evaluation():
    rows = drawn(700, 6)
    found = calibration_figures(rows)
    kind, p = rows.labels("kind"), rows.probabilities["kind"]
    assert found["kind"].log_loss == pytest.approx(oracle.log_loss(kind, p), rel=1e-6)
    assert found["kind"].brier == pytest.approx(
        oracle.brier_score_loss(kind, p, labels=[0, 1, 2], scale_by_half=False)
    )
    assert found["kind"].ece == pytest.approx(evaluate(KIND, p, kind)["ece"])
    signs, q = rows.labels("signs")[:, 1], rows.probabilities["signs"][:, 1]
    assert found["signs=y"].brier == pytest.approx(oracle.brier_score_loss(signs, q))
    assert found["signs=y"].log_loss == pytest.approx(oracle.log_loss(signs, q), rel=1e-6)


def test_without_labels_there_are_no_figures_and_nothing_is_changed():
    none = Predictions(
        Annotations((HOT,), {"hot": np.full((3, 1), -1)}), {"hot": np.full((3, 1), 0.2)}
    )
    assert calibration_figures(none)["hot"].ece is None
    assert fit_calibration(none).maps["hot"].kind == "none"
    assert chosen_kind(np.array([500, 0])) == "none"


def test_cross_fitted_maps_help_rows_that_did_not_fit_them_and_noise_stays_as_it_is():
    rows, new = drawn(800, 10), drawn(4000, 11)
    found = cross_calibrate(rows)
    before, after = (calibration_figures(each)["kind"] for each in (found.before, found.after))
    assert found.calibration.maps["kind"].kind == "vector"
    assert after.log_loss < before.log_loss
    truly = calibration_figures(calibrated(new, found.calibration))["kind"].log_loss
    assert after.log_loss == pytest.approx(truly, abs=0.05)
    fair = drawn(60, 12, power=1.0)
    assert {each.kind for each in cross_calibrate(fair).calibration.maps.values()} <= {
        "none", "temperature",
    }  # fmt: skip
    kept = cross_calibrate(fair)
    for name, each in kept.calibration.maps.items():
        task = name.partition("=")[0]
        if each.kind == "none" and task == "kind":
            np.testing.assert_array_equal(kept.after.probabilities[task], fair.probabilities[task])


def test_with_few_labels_of_a_fair_model_no_map_is_applied():
    def kinds(n: int, seeds: int, power: float) -> list[str]:
        found = [cross_calibrate(only_kind(drawn(n, seed, power))) for seed in range(seeds)]
        return [each.calibration.maps["kind"].kind for each in found]

    def only_kind(rows: Predictions) -> Predictions:
        return Predictions(rows.annotations, {"kind": rows.probabilities["kind"]})

    assert set(kinds(50, 20, 1.0)) == {"none"}  # by the sign of the mean a fifth have a map
    assert "none" not in kinds(400, 5, 3.0)


def test_rows_of_a_group_are_calibrated_by_maps_that_saw_none_of_them():
    rows = drawn(60, 13)
    one = Predictions(rows.annotations, rows.probabilities, np.zeros(60))
    assert cross_calibrate(one).calibration.maps["kind"].kind == "none"


def test_labels_of_a_class_that_one_group_has_are_not_judged():
    labels = Annotations(
        (KIND, HOT),
        {"kind": np.array([0, 0, 1, 2, 2]), "hot": np.array([[0], [0], [1], [1], [-1]])},
    )
    assert learnable_labels(labels).labels["kind"].tolist() == [0, 0, -1, 2, 2]
    tied = learnable_labels(labels, ["a", "b", "c", "d", "d"])
    assert tied.labels["kind"].tolist() == [0, 0, -1, -1, -1]
    assert tied.labels["hot"].ravel().tolist() == [0, 0, 1, 1, -1]
    assert labels.labels["kind"].tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_no_two_probabilities_of_a_label_change_places(power: float):
    rows = drawn(3000, 14, power)
    p = np.linspace(0, 1, 101)[:, None]
    for kind in ("temperature", "vector", "isotonic"):
        codes = rows.labels("signs")[:, 0]
        q = rows.probabilities["signs"][:, 0]
        found = fitted_map(np.stack([1 - q, q], axis=1), codes, kind)
        mapped = found.apply(np.concatenate([1 - p, p], axis=1))[:, 1]
        assert (np.diff(mapped) > 0).all(), kind


def test_answers_are_wrong_as_rarely_as_wanted_and_others_are_withheld():
    rows, new = drawn(4000, 7), drawn(4000, 8)
    rule = fit_abstention(rows, 0.2)
    answered = rule.answers(new.probabilities)["kind"]
    right = new.probabilities["kind"].argmax(axis=1) == new.labels("kind")
    assert (~right).mean() > 0.35
    assert (~right[answered]).mean() < 0.22
    assert answered.mean() == pytest.approx(rule.cuts["kind"].answered, abs=0.03)
    assert rule.cuts["kind"].error <= rule.cuts["kind"].bound <= 0.2
    assert rule.answers(new.probabilities)["signs"].shape == (4000, 2)


def test_where_no_confidence_is_enough_nothing_is_answered():
    rule = fit_abstention(drawn(40, 0), 0.001)
    assert math.isinf(rule.cuts["kind"].confidence)
    assert not rule.answers(drawn(40, 1).probabilities)["kind"].any()


def test_the_curve_of_risk_and_coverage_is_that_of_counting():
    rows = drawn(60, 9)
    curve = risk_coverage(rows)
    part = curve[curve["question"] == "kind"]
    p, codes = rows.probabilities["kind"], rows.labels("kind")
    for line in part.itertuples():
        kept = p.max(axis=1) >= line.confidence
        assert line.answered == pytest.approx(kept.mean())
        assert line.error == pytest.approx((p.argmax(axis=1) != codes)[kept].mean())
    assert part["answered"].iloc[-1] == 1


@pytest.mark.parametrize("error", [0.0, 1.0, -1.0])
def test_an_error_rate_outside_0_and_1_is_refused(error: float):
    with pytest.raises(LabelweaveError, match=f"^error: found {error}, expected a number between"):
        fit_abstention(drawn(20, 0), error)


@pytest.mark.parametrize(
    "change", [{"kind": "magic"}, {"scale": [1.0]}, {"shift": [0, 0, float("nan")]},
               {"kind": "isotonic"}, {"curves": [[[0.1, 1.0]]]}],
)  # fmt: skip
def test_a_saved_map_that_makes_no_sense_is_refused(change: dict):
    saved = fit_calibration(drawn(60, 0)).to_dict()
    saved["kind"] |= change
    with pytest.raises(LabelweaveError, match=r"^calibration of 'kind': makes no sense, expected"):
        Calibration.from_dict((KIND, SIGNS), saved)
    del saved["kind"]
    with pytest.raises(LabelweaveError, match=r"^calibration of 'kind': found no map of it$"):
        Calibration.from_dict((KIND, SIGNS), saved)
