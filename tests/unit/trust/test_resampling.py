"""The bootstrap over groups: means by writing every row out, in parts as at once."""

import numpy as np
import pytest

from labelweave.evaluation._comparison import bootstrap_weights
from labelweave.evaluation._metrics import CalibrationError
from labelweave.trust import _resampling
from labelweave.trust._resampling import Resampling, ends


@pytest.mark.parametrize("chunk", [1, 70, 2**19])
def test_means_and_errors_are_those_of_weighted_rows(monkeypatch, chunk: int):
    monkeypatch.setattr(_resampling, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    codes, values, base = rng.integers(0, 30, 90), rng.random(90), rng.random(90) < 0.6
    codes[:30] = np.arange(30)
    draws = Resampling(codes, 40, 3)
    weights = bootstrap_weights(30, 40, 3)[:, codes].astype(float)
    expected = (weights[:, base] @ values[base]) / weights[:, base].sum(axis=1)
    np.testing.assert_allclose(draws.means(values, base), expected)
    rows = np.flatnonzero(base)
    right = (rng.random(len(rows)) < values[rows]).astype(float)
    error = CalibrationError(values[rows], right, np.arange(len(rows)), len(rows))
    np.testing.assert_allclose(draws.errors(error, rows), error(weights[:, rows].T))
    assert draws.interval(values, base, 0.9) == pytest.approx(ends(expected, 0.9))


def test_a_resampling_without_any_of_the_rows_has_no_mean():
    only = np.zeros(5, bool)
    only[0] = True
    found = Resampling(np.arange(5), 50, 0).means(np.ones(5), only)
    drawn = bootstrap_weights(5, 50, 0)[:, 0] > 0
    np.testing.assert_array_equal(np.isnan(found), ~drawn)
