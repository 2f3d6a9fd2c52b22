"""Folds: stratified, whole groups, and classes that cannot be held out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.errors import LabelweaveError
from labelweave.learners._folds import ALWAYS, assign_folds
from labelweave.tasks import Multiclass, Multilabel

TASK = Multiclass("kind", ("a", "b", "c"))


@settings(max_examples=40, deadline=None)
@given(
    codes=st.lists(st.integers(-1, 2), min_size=1, max_size=60),
    groups=st.integers(1, 20),
    count=st.integers(2, 5),
    seed=st.integers(0, 100),
)
def test_a_group_is_never_split(codes: list[int], groups: int, count: int, seed: int) -> None:
    labels = np.array(codes)
    group = np.random.default_rng(seed).integers(0, groups, len(labels))
    fold = assign_folds(TASK, labels, group, count, seed)
    for each in np.unique(group):
        assert len(np.unique(fold[group == each])) == 1
    assert fold.min() >= ALWAYS
    assert fold.max() < count


def test_every_class_is_spread_evenly() -> None:
    codes = np.repeat([0, 1, 2], [50, 10, 7])
    fold = assign_folds(TASK, codes, None, 5, 0)
    for code in range(3):
        counts = np.bincount(fold[codes == code], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_a_class_of_one_label_stays_in_every_training_part() -> None:
    codes = np.array([0, 0, 0, 1, 2, 2, -1, -1])
    fold = assign_folds(TASK, codes, None, 3, 0)
    assert fold[3] == ALWAYS
    assert (fold[codes != 1] >= 0).all()


def test_a_class_within_one_group_stays_in_every_training_part() -> None:
    codes = np.array([0, 0, 1, 1, 1])
    fold = assign_folds(TASK, codes, np.array([0, 1, 2, 2, 2]), 2, 0)
    assert (fold[2:] == ALWAYS).all()
    assert sorted(fold[:2]) == [0, 1]


def test_many_rows_are_spread_in_turn() -> None:
    codes = np.random.default_rng(0).integers(0, 3, 10_001)
    codes[0] = -1
    fold = assign_folds(TASK, codes, None, 3, 4)
    for code in range(3):
        counts = np.bincount(fold[codes == code], minlength=3)
        assert counts.max() - counts.min() <= 1
    assert (fold == assign_folds(TASK, codes, None, 3, 4)).all()
    assert (fold != assign_folds(TASK, codes, None, 3, 5)).any()


def test_labels_of_a_multilabel_task_are_spread() -> None:
    task = Multilabel("signs", ("x", "y"))
    codes = np.array([[1, 0]] * 6 + [[0, 1]] * 6 + [[0, -1]] * 12, np.int8)
    fold = assign_folds(task, codes, None, 3, 1)
    for rows in (slice(0, 6), slice(6, 12)):
        assert (np.bincount(fold[rows], minlength=3) == 2).all()


def test_wrong_arguments() -> None:
    with pytest.raises(LabelweaveError, match="found 1, expected at least 2"):
        assign_folds(TASK, np.zeros(4, np.int64), None, 1, 0)
    with pytest.raises(LabelweaveError, match="groups: found 3"):
        assign_folds(TASK, np.zeros(4, np.int64), np.zeros(3, np.int64), 2, 0)
