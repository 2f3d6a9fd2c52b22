"""Running costs: ratios of the times of models that take turns on a busy machine."""

import numpy as np
import pytest

from labelweave.experiments._value import consistent, ratio_of_times
from labelweave.results import MeanInterval


def times(ratio: float, disturbed: float, seed: int, calls: int = 64) -> np.ndarray:
    """Draw the times of two models; a share of the calls takes up to twenty times as long."""
    rng = np.random.default_rng(seed)
    slow = 1 + 19 * rng.random((2, calls)) * (rng.random((2, calls)) < disturbed)
    return np.array([[ratio], [1.0]]) * (1 + 0.05 * rng.random((2, calls))) * slow


@pytest.mark.parametrize("disturbed", [0.0, 0.3, 0.6])
def test_other_work_on_the_machine_hardly_moves_the_ratio(disturbed: float) -> None:
    held = 0
    for seed in range(40):
        found = ratio_of_times(times(0.2, disturbed, seed))
        if found.mean is None:
            assert disturbed > 0.5
            continue
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.mean <= found.high
        assert found.mean == pytest.approx(0.2, rel=0.35)
        held += found.low <= 0.2 <= found.high
    assert held >= 36 or disturbed > 0.5


def test_a_ratio_that_varies_wildly_is_no_measurement() -> None:
    drawn = np.exp(np.random.default_rng(0).normal(0, 1.5, (2, 8))).repeat(8, axis=1)
    assert ratio_of_times(drawn) == MeanInterval()


def test_a_large_batch_is_not_faster_than_a_small_one() -> None:
    small, large = times(0.5, 0.2, 1), 30 * times(0.5, 0.2, 2)
    assert consistent({1: small, 256: large})
    assert not consistent({1: 100 * small, 256: large})
    large[0] /= 200
    assert not consistent({1: small, 256: large})
