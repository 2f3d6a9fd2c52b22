from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from labelweave.annotations import Annotations
from labelweave.data import Collection, Source, leak_check, split_rows
from labelweave.data._splitting import SplitRows
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass, Multilabel

fast = settings(max_examples=60, deadline=None)


def error(call: Callable[[], object]) -> str:
    with pytest.raises(LabelweaveError) as caught:
        call()
    return str(caught.value)


def source(labels: Any, name: str = "a", k: int = 4, **options: Any) -> Source:
    task = Multiclass("species", tuple(f"c{i}" for i in range(k)))
    codes = np.asarray(labels, dtype=np.int64)
    inputs = pd.DataFrame({"x": np.arange(len(codes)) + 1000.0 * ord(name)})
    return Source(name, inputs, Annotations((task,), {"species": codes}), **options)


def sides(found: SplitRows) -> list[np.ndarray]:
    return [found.train, found.validation, found.test]


def assert_complete(found: SplitRows, n: int) -> None:
    assert np.sort(np.concatenate(sides(found))).tolist() == list(range(n))


labels = st.lists(st.integers(-1, 3), min_size=1, max_size=80).map(lambda x: [0, 0, 0, 0, *x])
shares = st.sampled_from([(0.2, 0.0), (0.2, 0.1), (0.25, 0.25), (0.1, 0.3), (0.4, 0.2)])


@fast
@given(labels, shares, st.integers(0, 5))
def test_every_class_gets_its_share_within_one_row(codes, share, seed):
    collection = Collection([source(codes)])
    test, validation = share
    found = split_rows(collection, test, validation, seed)
    n = len(codes)
    assert_complete(found, n)
    wanted = [n - round(validation * n) - round(test * n), round(validation * n), round(test * n)]
    for rows, size in zip(sides(found), wanted, strict=True):
        got = np.bincount(np.array(codes)[rows] + 1, minlength=5)
        whole = np.bincount(np.array(codes) + 1, minlength=5)
        assert np.abs(got - whole * size / n).max() < 1
        assert abs(len(rows) - size) <= 1


@fast
@given(labels, st.lists(st.integers(0, 12), min_size=84, max_size=84), shares, st.integers(0, 5))
def test_no_row_is_lost_and_no_group_crosses(codes, groups, share, seed):
    groups = np.array([g or None for g in groups[: len(codes)]])  # group 0 stands for none
    half = len(codes) // 2
    first = source(codes[:half], groups=groups[:half])
    second = source(codes[half:], "b", groups=groups[half:])
    some_label_in_train = source([0], "c", split="train")
    found = split_rows(Collection([first, second, some_label_in_train]), *share, seed)
    assert_complete(found, len(codes) + 1)
    for member in {g for g in groups if g is not None}:
        rows = np.flatnonzero(groups == member)
        assert sum(np.isin(rows, part).any() for part in sides(found)) == 1


@fast
@given(labels, st.data())
def test_numbers_of_rows_are_met_exactly_without_groups(codes, data):
    n = len(codes)
    test = data.draw(st.integers(1, n // 3))
    validation = data.draw(st.integers(0, n // 3) | st.sampled_from([0.1, 0.25]))
    half = n // 2
    collection = Collection([source(codes[:half]), source(codes[half:], "b")])
    found = split_rows(collection, test, validation)
    assert_complete(found, n)
    assert len(found.test) == test
    expected = validation if isinstance(validation, int) else round(validation * n)
    assert len(found.validation) == expected


def test_numbers_of_rows_are_met_to_within_a_group():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 400)
    collection = Collection([source(rng.integers(-1, 4, 400), groups=groups)])
    for seed in range(10):
        found = split_rows(collection, 100, 50, seed)
        largest = np.bincount(groups).max()
        assert abs(len(found.test) - 100) < largest
        assert abs(len(found.validation) - 50) < largest


def scattered(n: int, seed: int = 0) -> Collection:
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, 21)
    species = rng.choice(20, n, p=p / p.sum())
    site = rng.integers(0, 4, n)
    leaf = (rng.random((n, 6)) < 0.1 * (1 + site[:, None])).astype(np.int8)
    species[rng.random(n) < 0.5] = -1
    leaf[rng.random(leaf.shape) < 0.3] = -1
    tasks = (
        Multiclass("species", tuple(range(20))),
        Multiclass("site", tuple(range(4))),
        Multilabel("leaf", tuple("abcdef")),
    )
    both = Annotations(tasks, {"species": species, "site": site, "leaf": leaf})
    halves = both[: n // 2], both[n // 2 :].keep(["species", "leaf"])
    inputs = rng.normal(size=(n // 2, 2))
    return Collection([Source(s, inputs, half) for s, half in zip("ab", halves, strict=True)])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_label_of_every_task_is_nearer_to_its_share_than_by_chance(seed):
    n, share, z = 20_000, np.array([0.7, 0.1, 0.2]), []
    collection = scattered(n, seed)
    found = split_rows(collection, 0.2, 0.1, seed)
    for task in collection.tasks:
        whole = collection.annotations.counts(task.name)
        for rows, part in zip(sides(found), share, strict=True):
            off = collection.annotations[rows].counts(task.name) - part * whole
            z += (off / np.sqrt(whole * part * (1 - part))).ravel().tolist()
    # by chance the root mean square is 1, and the largest of these 104 x 3 is about 3
    assert np.sqrt(np.mean(np.square(z))) < 0.35
    assert np.abs(z).max() < 1.5
    assert np.abs(np.array([len(rows) for rows in sides(found)]) - n * share).max() < 40
    of_b = [(collection.source[rows] == 1).sum() for rows in sides(found)]
    assert np.abs(of_b - n / 2 * share).max() < 40


def test_seed_decides():
    data, target = load_digits(return_X_y=True)
    task = Multiclass("digit", tuple(range(10)))
    collection = Collection([Source("digits", data, Annotations((task,), {"digit": target}))])
    first, again, other = (split_rows(collection, 0.2, 0.2, seed) for seed in (3, 3, 4))
    for a, b, c in zip(sides(first), sides(again), sides(other), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.tolist() != c.tolist()
        assert a.dtype == np.int64
        assert (np.diff(a) > 0).all()


def test_fixed_sources_stay_and_take_their_groups_along():
    official = source([0, 1, 2, 3], "b", split="test", groups=np.array([1, 2, 3, 4]))
    rest = source([0, 1, 2, 3] * 5, groups=np.array([1, 2] + [None] * 18))
    collection = Collection([rest, official])
    found = split_rows(collection)
    assert found.test.tolist() == [0, 1, 20, 21, 22, 23]
    assert found.train.tolist() == list(range(2, 20))
    assert tuple(map(str, found.notes)) == (
        "2 free rows follow their group, which is in a source with a fixed split",
        "test rows come only from the sources fixed to test: 'b'",
    )
    assert len(split_rows(collection, test=4).test) == 10
    assert len(split_rows(collection, validation=0.5).validation) == 9


def test_a_group_fixed_to_two_sides_is_refused():
    test = source([0, 1], "b", split="test", groups=np.array(["p", "q"]))
    train = source([0, 1, 2], split="train", groups=np.array(["r", None, "q"]))
    assert error(lambda: split_rows(Collection([train, test]))) == (
        "one group is fixed to two sides: row 3 of source 'a' to train, row 2 of source 'b' to test"
    )


def test_notes_on_labels_too_few_to_split():
    plenty = [0] * 20
    (note,) = split_rows(Collection([source([*plenty, 1, 1], k=2)]), 0.2, 0.2).notes
    assert str(note) == (
        "task 'species': class 'c1' has 2 labelled rows; "
        "a split into train, validation and test needs at least 3"
    )
    (note,) = split_rows(Collection([source([*plenty, 1, 2], k=6)]), 0.2).notes
    assert str(note) == (
        "task 'species': classes with too few labelled rows ('c1': 1, 'c2': 1, 'c3': 0 and 2 more)"
        "; a split into train and test needs at least 2"
    )
    codes = np.array([[0, 1]] * 10 + [[1, 1]] * 9 + [[1, 0]], dtype=np.int8)
    annotations = Annotations((Multilabel("leaf", ("lobed", "hairy")),), {"leaf": codes})
    (note,) = split_rows(Collection([Source("a", np.arange(20.0)[:, None], annotations)])).notes
    assert str(note) == (
        "task 'leaf': label 'hairy' (off) has 1 labelled row; "
        "a split into train and test needs at least 2"
    )


def test_notes_on_sides_without_labels():
    collection = Collection([source([0, 1] * 5, k=2), source([-1] * 4, "b", k=2, split="test")])
    assert (
        str(split_rows(collection).notes[-1])
        == "task 'species': no label in test; it cannot be tested"
    )
    assert tuple(map(str, split_rows(Collection([source([0, 1], k=2)]), 0).notes)) == (
        "the test set is empty; no task can be tested",
    )


def test_a_task_without_a_label_in_train_is_an_error():
    collection = Collection([source([-1] * 10), source([0, 1, 2, 3], "b", split="test")])
    assert error(lambda: split_rows(collection)) == (
        "task 'species': found no label in train (labelled rows: train 0, validation 0, test 4)"
    )


@pytest.mark.parametrize(
    ("test", "validation", "expected"),
    [
        (11, 0, "split: found 10 free rows, expected at least 11 (11 for test)"),
        (6, 0.5,
         "split: found 10 free rows, expected at least 11 (5 for validation and 6 for test)"),
        (1.0, 0, "split: found test 1.0, expected a share from 0 to below 1 or a number of rows"),
        (-1, 0, "split: found test -1, expected a share from 0 to below 1 or a number of rows"),
        (0.2, True,
         "split: found validation True, expected a share from 0 to below 1 or a number of rows"),
    ],
)  # fmt: skip
def test_bad_sizes(test, validation, expected):
    assert error(lambda: split_rows(Collection([source([0, 1] * 5)]), test, validation)) == expected


def test_leaks_between_sides():
    a, b = source([0, 1, 2, 3]), source([0, 1, 2], "b")
    b.inputs["x"] = [np.nan, 7.0, a.inputs["x"][1]]
    a.inputs.loc[0, "x"] = np.nan  # rows without any input are not alike
    collection = Collection([a, b])
    clean = SplitRows(np.array([0, 1, 6]), np.array([2]), np.array([3, 4, 5]))
    assert leak_check(collection, clean) == ()
    leaking = SplitRows(np.array([0, 1, 2]), np.array([3]), np.array([4, 5, 6]))
    expected = (
        "1 row of test has the same inputs as rows of train "
        "(for example row 2 of source 'a' and row 3 of source 'b')"
    )
    assert tuple(map(str, leak_check(collection, leaking))) == (expected,)
    assert error(lambda: leak_check(collection, leaking, on_leak="error")) == expected
    assert error(lambda: leak_check(collection, leaking, on_leak="never")) == (
        "on_leak: found 'never', expected 'warn' or 'error'"
    )


def test_a_group_on_two_sides_is_always_an_error():
    collection = Collection([source([0, 1, 2], groups=np.array([1, None, 1]))])
    crossing = SplitRows(np.array([0]), np.array([1]), np.array([2]))
    assert error(lambda: leak_check(collection, crossing)) == (
        "split: a group is in train and test (for example row 1 of source 'a' and "
        "row 3 of source 'a')"
    )
