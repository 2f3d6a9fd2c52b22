from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.data import Part, scatter
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass, Multilabel

TASKS = (Multiclass("species", ("oak", "elm", "ash")), Multilabel("leaf", ("lobed", "hairy")))
RNG = np.random.default_rng(0)
FULL = Annotations(
    TASKS,
    {
        "species": RNG.integers(-1, 3, 200),
        "leaf": RNG.integers(-1, 2, (200, 2)).astype(np.int8),
    },
)
TRAIN = np.arange(20, 180)


def error(call: Callable[[], object]) -> str:
    with pytest.raises(LabelweaveError) as caught:
        call()
    return str(caught.value)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 5))
def test_rows_are_kept_once_with_the_labels_of_their_part(per_class, rows, seed):
    parts = [
        Part("expert", ("species",), per_class=per_class),
        Part("some", ("species", "leaf"), rows=rows),
        Part("rest", ("leaf",)),
    ]
    found = scatter(FULL, TRAIN, parts, seed)
    assert np.sort(found.rows).tolist() == TRAIN.tolist()
    assert found.names == ("expert", "some", "rest")
    for index, part in enumerate(parts):
        mine = found.source == index
        assert (np.diff(found.rows[mine]) > 0).all()
        for task in TASKS:
            labels = found.annotations[mine].labels[task.name]
            full = FULL.labels[task.name][found.rows[mine]]
            np.testing.assert_array_equal(labels, full if task.name in part.tasks else -1)
            assert labels.dtype == full.dtype
    assert np.bincount(found.source)[1] == rows
    expert = found.annotations[found.source == 0]
    whole = FULL[TRAIN].counts("species")
    np.testing.assert_array_equal(expert.counts("species"), np.minimum(whole, per_class))
    assert len(expert) == expert.counts("species").sum()


@pytest.mark.parametrize("seed", [0, 1])
def test_label_curves_are_nested(seed):
    def first_part(part: Part) -> set[int]:
        found = scatter(FULL, TRAIN, [Part("before", ("leaf",), rows=10), part], seed)
        return set(found.rows[found.source == 1])

    curve = [first_part(Part("p", ("species",), per_class=k)) for k in (1, 2, 5, 20)]
    shares = [first_part(Part("p", ("species",), rows=r)) for r in (0.1, 0.3, 100)]
    for smaller, larger in [
        *pairwise(curve),
        *pairwise(shares),
    ]:
        assert smaller < larger
    assert [len(rows) for rows in curve[:3]] == [3, 6, 15]
    assert [len(rows) for rows in shares] == [16, 48, 100]


def test_seed_decides_and_the_order_of_the_rows_does_not():
    parts = [Part("p", ("species",), rows=0.5)]
    first = scatter(FULL, TRAIN, parts, 1)
    assert first.rows.tolist() == scatter(FULL, TRAIN[::-1], parts, 1).rows.tolist()
    assert first.rows.tolist() != scatter(FULL, TRAIN, parts, 2).rows.tolist()


def test_shares_are_not_lost_to_rounding():
    parts = [Part(name, ("species",), rows=share) for name, share in [("a", 0.29), ("b", 0.71)]]
    found = scatter(FULL, np.arange(100), parts)
    assert np.bincount(found.source).tolist() == [29, 71]


def test_small_classes_are_noted():
    few = Annotations(TASKS, {"species": np.array([0, 0, 0, 1])})
    found = scatter(few, np.arange(4), [Part("p", ("species",), per_class=2)])
    assert found.annotations.counts("species").tolist() == [2, 1, 0]
    assert tuple(map(str, found.notes)) == (
        "part 'p': found fewer than 2 rows left of the classes 'elm: 1', 'ash: 0'",
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], "found no part to scatter rows over, expected at least one"),
        ([Part("p", ("leaf",), rows=1)] * 2, "parts named twice: 'p'"),
        ([Part("p", ("leaf",)), Part("q", ("leaf",))],
         "part 'p': found no per_class or rows, which only the last part may lack"),
        ([Part("p", ("leave",))],
         "no task 'leave', expected 'species', 'leaf'; did you mean 'leaf'?"),
        ([Part("p", ("leaf",), per_class=1)],
         "part 'p': per_class needs a multiclass task first, found 'leaf'"),
        ([Part("p", ("leaf",), rows=100), Part("q", ("leaf",), rows=61)],
         "part 'q': found 60 rows left, expected 61"),
    ],
)  # fmt: skip
def test_bad_parts(parts, expected):
    assert error(lambda: scatter(FULL, TRAIN, parts)) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tasks": ()}, "part 'p': found tasks (), expected a name and a task"),
        (
            {"per_class": 1, "rows": 2},
            "part 'p': found both per_class and rows, expected one of them",
        ),
        ({"per_class": 0}, "part 'p': found per_class 0, expected 1 or more"),
        ({"rows": 1.5}, "part 'p': found rows 1.5, expected a share up to 1.0 or a whole number"),
        ({"rows": 0}, "part 'p': found rows 0, expected a share up to 1.0 or a whole number"),
    ],
)
def test_bad_part(options, expected):
    assert error(lambda: Part("p", **{"tasks": ("leaf",), **options})) == expected
