"""Repeated cross-validation: its parts, and the variance of its runs."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from labelweave.annotations import Annotations
from labelweave.data import Collection, Source, split_rows
from labelweave.errors import LabelweaveError
from labelweave.evaluation._comparison import Spread, spread
from labelweave.evaluation._label_curves import mean_draws
from labelweave.experiments import parse_study
from labelweave.experiments._power import detectable
from labelweave.tasks import Multiclass


def collection(rows=60, groups=20):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=rows)})
    labels = Annotations.from_columns(
        [Multiclass("kind", ("a", "b", "c"))], {"kind": rng.choice(["a", "b", "c"], rows)}
    )
    return Collection([Source("s", frame, labels, np.arange(rows) % groups)])


def test_the_folds_of_a_repetition_test_every_row_once_and_keep_groups_whole():
    made = collection()
    for first in (0, 5):
        parts = [split_rows(made, seed=seed, folds=5) for seed in range(first, first + 5)]
        tested = np.concatenate([part.test for part in parts])
        assert sorted(tested) == list(range(60))
        for part in parts:
            assert sorted([*part.train, *part.test]) == list(range(60))
            people = [set(made.groups[rows]) for rows in (part.train, part.test)]
            assert not people[0] & people[1]
            assert 8 <= len(part.test) <= 16
    again = [split_rows(made, seed=seed, folds=5).test.tolist() for seed in (0, 5)]
    assert again[0] != again[1]
    with_validation = split_rows(made, validation=0.2, seed=1, folds=5)
    assert with_validation.test.tolist() == split_rows(made, seed=1, folds=5).test.tolist()
    assert len(with_validation.validation) > 0


def test_folds_that_cannot_be_are_refused():
    with pytest.raises(LabelweaveError) as error:
        split_rows(collection(groups=3), folds=5)
    assert str(error.value) == (
        "split: found 3 groups of free rows, expected at least 5, one a fold"
    )
    with pytest.raises(LabelweaveError, match="found test with folds"):
        split_rows(collection(), test=0.2, folds=5)
    with pytest.raises(
        LabelweaveError, match="key 'split': found 'test' with 'folds', expected one of"
    ):
        parse_study(
            {"name": "s", "sources": [{"path": "a.csv"}], "split": {"test": 0.2, "folds": 5}}
        )


def test_the_interval_is_that_of_the_corrected_resampled_t_test():
    """Nadeau and Bengio (2003): S^2 (1 / J + test rows / training rows), t of J - 1 degrees."""
    values = np.array([0.1, 0.2, 0.15, 0.3, 0.25])
    quiet = np.repeat(values[:, None], 50, axis=1)  # rows that do not vary
    found = spread(values, quiet, np.ones(1000), folds=5)
    assert isinstance(found, Spread)
    expected = t.ppf(0.975, 4) * np.sqrt(values.var(ddof=1) * (1 / 5 + 1 / 4))
    assert found.reach(0.025) == pytest.approx(expected)
    plain = spread(values, quiet, np.ones(1000))
    assert plain is not None
    assert found.reach(0.025) / plain.reach(0.025) == pytest.approx(1.5)
    assert found.p_value(found.reach(0.01)) == pytest.approx(0.02)


def test_rows_alone_bound_the_interval_from_below():
    alike = Spread(0.004, 0.006, 0.0, 1e6, 5, folds=True)
    assert alike.reach(0.025) == pytest.approx(1.96 * 0.1, rel=1e-3)


def test_what_can_be_detected_and_draws_have_the_correction_too():
    assert detectable(100, 5, 0.95, folds=5) > detectable(100, 5, 0.95)
    values, rows = np.arange(5.0), np.repeat(np.arange(5.0)[:, None], 4000, axis=1)
    wide, narrow = mean_draws(values, rows, 5), mean_draws(values, rows)
    assert wide.std() / narrow.std() == pytest.approx(1.5, rel=1e-6)
