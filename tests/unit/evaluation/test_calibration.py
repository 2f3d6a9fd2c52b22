import numpy as np
import pytest
from scipy.stats import foldnorm

from labelweave.errors import LabelweaveError
from labelweave.evaluation import reliability
from labelweave.evaluation._calibration import confidences
from labelweave.tasks import Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b"))
MARKS = Multilabel("marks", ("x", "y"))


def test_the_error_is_that_of_a_hand_computation():
    # two bins of two: |0.5 - 0.55| and |1 - 0.85|, each of half the elements; in the first, chance
    # alone (the share right has a deviation of .5) makes more than that, in the second nothing
    found = reliability(np.array([0.9, 0.5, 0.8, 0.6]), np.array([1.0, 1.0, 1.0, 0.0]), bins=2)
    again = foldnorm(0.05 / 0.5, scale=0.5).mean()
    assert found.ece == pytest.approx(max(0, 0.5 * (2 * 0.05 - again) + 0.5 * 0.15))
    assert reliability(np.array([0.9, 0.8]), np.array([1.0, 1.0]), bins=1).ece == pytest.approx(
        0.15
    )
    assert [n for *_, n in found.bins] == [2, 2]
    assert found.bins[0][:2] == pytest.approx((0.55, 0.5))
    assert found.bins[1][:2] == pytest.approx((0.85, 1.0))


def test_one_bin_is_the_distance_of_the_means_and_a_bin_each_that_of_every_element():
    rng = np.random.default_rng(0)
    sure, right = rng.random(200), (rng.random(200) < 0.7).astype(float)
    one = abs(sure.mean() - right.mean())
    # a gap of many deviations owes next to nothing to chance
    assert reliability(sure, right, bins=1).ece == pytest.approx(one, rel=0.01)
    assert reliability(sure, right, bins=200).ece == pytest.approx(np.abs(sure - right).mean())
    several = reliability(sure, right, bins=10)
    assert sum(n for *_, n in several.bins) == 200
    assert {n for *_, n in several.bins} == {20}


def test_calibrated_predictions_have_a_small_error_and_confident_ones_a_large_one():
    rng = np.random.default_rng(1)
    sure = rng.random(20_000)
    right = (rng.random(20_000) < sure).astype(float)
    assert reliability(sure, right).ece < 0.02
    assert reliability(sure**0.3, right).ece > 0.2


def test_most_of_what_chance_adds_to_the_error_of_small_test_sets_is_taken_off():
    rng = np.random.default_rng(3)
    calibrated, shifted, plain = [], [], []
    for _ in range(300):
        sure = rng.uniform(0.6, 0.8, 100)
        right = (rng.random(100) < sure).astype(float)
        found = reliability(sure, right)
        calibrated.append(found.ece)
        plain.append(sum(n * abs(share - mean) for mean, share, n in found.bins) / 100)
        shifted.append(reliability(sure + 0.2, right).ece)
    assert np.mean(calibrated) < 0.6 * np.mean(plain)  # the truth is 0
    assert np.mean(shifted) == pytest.approx(0.2, abs=0.02)


def test_equal_confidences_share_a_bin_in_any_order():
    sure, right = np.array([0.7] * 6 + [0.9] * 2), np.array([1, 1, 0, 0, 1, 1, 0, 1.0])
    found = reliability(sure, right, bins=4)
    assert [n for *_, n in found.bins] == [6, 2]
    order = np.random.default_rng(2).permutation(8)
    again = reliability(sure[order], right[order], bins=4)
    assert again.ece == pytest.approx(found.ece)
    assert np.allclose(again.bins, found.bins)


def test_elements_are_those_with_a_label():
    sure, right = confidences(KIND, [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]], [0, 0, -1])
    assert sure.tolist() == [0.9, 0.6]
    assert right.tolist() == [1.0, 0.0]
    sure, right = confidences(MARKS, [[0.9, 0.2], [0.4, 0.6]], [[1, -1], [0, 1]])
    assert sure.tolist() == [0.9, 0.4, 0.6]
    assert right.tolist() == [1.0, 0.0, 1.0]


def test_nothing_labelled_has_no_error():
    found = reliability(*confidences(KIND, [[0.9, 0.1]], [-1]))
    assert (found.ece, found.bins) == (None, ())


def test_wrong_probabilities_are_one_line():
    with pytest.raises(LabelweaveError) as error:
        confidences(KIND, [[0.9, 0.9]], [0])
    expected = "task 'kind', row 1: found probabilities that sum to 1.8, expected 1"
    assert str(error.value) == expected
