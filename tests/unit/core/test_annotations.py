import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.tasks import Binary, Multiclass, Multilabel

SPECIES = Multiclass("species", ("oak", "elm", "ash"))
SIGNS = Multilabel("signs", ("toothed", "lobed"))
SICK = Binary("sick")
TASKS = (SPECIES, SIGNS, SICK)


def message(error):
    return f"^{re.escape(error)}$"


@st.composite
def annotations(draw, least=0):
    n = draw(st.integers(least, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Annotations(
        TASKS,
        {
            "species": rng.integers(-1, 3, n),
            "signs": rng.integers(-1, 2, (n, 2)),
            "sick": rng.integers(-1, 2, (n, 1)),
        },
    )


def same(a, b):
    return a.tasks == b.tasks and all((a.labels[t.name] == b.labels[t.name]).all() for t in a.tasks)


def test_columns_of_every_form():
    frame = pd.DataFrame(
        {
            "species": ["elm", None, "", "oak"],
            "toothed": [1.0, np.nan, 0.0, 1.0],
            "sick": ["yes", "NO", None, ""],
        }
    )
    found = Annotations.from_columns(TASKS, frame)
    assert len(found) == 4
    assert found.labels["species"].tolist() == [1, -1, -1, 0]
    assert found.labels["signs"].tolist() == [[1, -1], [-1, -1], [0, -1], [1, -1]]
    assert found.labels["sick"].tolist() == [[1], [0], [-1], [-1]]
    assert found.labels["species"].dtype == np.int64
    assert found.labels["signs"].dtype == np.int8
    assert same(found, Annotations.from_columns(TASKS, frame.to_dict("list")))


def test_a_multilabel_block_under_the_tasks_name():
    block = [[1, None], [0, 1], [None, ""]]
    found = Annotations.from_columns(TASKS, {"signs": np.array(block, object)})
    assert found.labels["signs"].tolist() == [[1, -1], [0, 1], [-1, -1]]
    assert found.labels["species"].tolist() == [-1, -1, -1]


def test_values_that_stand_for_missing_are_compared_by_key():
    columns = {
        "species": ["?", "elm", "-9"],
        "signs": np.array([[1, -9], [-9, 0], [0, 1]]),
        "sick": pd.Series([1.0, -9.0, np.nan]),
    }
    found = Annotations.from_columns(TASKS, columns, missing=["?", -9])
    assert found.labels["species"].tolist() == [-1, 1, -1]
    assert found.labels["signs"].tolist() == [[1, -1], [-1, 0], [0, 1]]
    assert found.labels["sick"].tolist() == [[1], [-1], [-1]]
    assert columns["signs"].tolist() == [[1, -9], [-9, 0], [0, 1]]
    category = pd.Series(["?", "elm", "oak"], dtype="category")
    found = Annotations.from_columns([Multiclass("s")], {"s": category}, missing=["?"])
    assert found.task("s").classes == ("elm", "oak")


def test_classes_are_taken_from_the_column():
    found = Annotations.from_columns([Multiclass("grade")], {"grade": [10, None, 9, 10.0]})
    assert found.task("grade").classes == (9, 10)
    assert found.labels["grade"].tolist() == [1, -1, 0, 1]


def test_a_task_without_labels_is_missing_everywhere():
    found = Annotations(TASKS, {}, rows=2)
    assert len(found) == 2
    assert found.labels["signs"].tolist() == [[-1, -1], [-1, -1]]
    assert not found.labelled("species").any()
    assert len(Annotations(TASKS, {})) == 0


@given(annotations(), st.data())
def test_slices_masks_and_indices(whole, data):
    n = len(whole)
    rows = data.draw(st.lists(st.integers(0, max(0, n - 1)), max_size=2 * n if n else 0))
    mask = np.isin(np.arange(n), rows)
    for taken, index in (
        (whole[rows], rows),
        (whole[mask], np.flatnonzero(mask)),
        (whole[1:5:2], range(n)[1:5:2]),
    ):
        assert len(taken) == len(index)
        for task in TASKS:
            expected = [whole.labels[task.name][i].tolist() for i in index]
            assert taken.labels[task.name].tolist() == expected


@given(st.lists(annotations(), min_size=1, max_size=4))
def test_joined_parts_are_found_again(parts):
    joined = Annotations.concatenate(parts)
    start = 0
    for part in parts:
        assert same(joined[start : start + len(part)], part)
        start += len(part)
    assert len(joined) == start


@given(annotations(), st.sets(st.sampled_from([t.name for t in TASKS])))
def test_keep_hides_all_other_tasks(whole, names):
    kept = whole.keep(list(names))
    assert len(kept) == len(whole)
    for task in TASKS:
        expected = whole.labels[task.name] if task.name in names else -1
        assert (kept.labels[task.name] == expected).all()


@given(annotations())
def test_counts_and_co_labelled_rows_against_loops(whole):
    species = whole.labels["species"]
    assert whole.counts("species").tolist() == [(species == k).sum() for k in range(3)]
    signs = whole.labels["signs"]
    expected = [[(signs[:, j] == v).sum() for v in (0, 1)] for j in range(2)]
    assert whole.counts("signs").tolist() == expected
    together = whole.co_labelled()
    for a in TASKS:
        for b in TASKS:
            rows = sum(
                bool((whole.labels[a.name][i] >= 0).any() and (whole.labels[b.name][i] >= 0).any())
                for i in range(len(whole))
            )
            assert together.loc[a.name, b.name] == rows


def test_co_labelled_counts_stay_exact_beyond_the_precision_of_float32():
    n = 2**24 + 3
    whole = Annotations((Binary("a"),), {"a": np.zeros((n, 1), np.int8)})
    assert whole.co_labelled().loc["a", "a"] == n


@given(annotations())
def test_observed_is_per_element_and_labelled_per_row(whole):
    assert (whole.observed("signs") == (whole.labels["signs"] != -1)).all()
    assert (whole.labelled("signs") == (whole.labels["signs"] != -1).any(axis=1)).all()
    assert (whole.labelled("species") == (whole.labels["species"] != -1)).all()


@given(annotations())
def test_decoded_columns_give_the_same_annotations(whole):
    columns = {
        "species": SPECIES.decode(whole.labels["species"]),
        "sick": SICK.decode(whole.labels["sick"][:, 0]),
    }
    for j, label in enumerate(SIGNS.labels):
        columns[label] = SICK.decode(whole.labels["signs"][:, j])
    assert same(Annotations.from_columns(TASKS, columns), whole)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (
            lambda: Annotations.from_columns(TASKS, {"species": ["oak", "ok"]}),
            "row 2, column 'species': unknown label 'ok'; expected 'oak', 'elm', 'ash'; "
            "did you mean 'oak'?",
        ),
        (
            lambda: Annotations.from_columns(TASKS, {"lobed": [None, "unclear"]}),
            "row 2, column 'lobed': found 'unclear', expected one of '1', 'true', 'yes', '0', "
            "'false', 'no'",
        ),
        (
            lambda: Annotations.from_columns([Multiclass("specie")], {"species": ["a", "b"]}),
            "task 'specie': no column 'specie' to take its classes from; did you mean 'species'?",
        ),
        (
            lambda: Annotations.from_columns(TASKS, {"species": ["oak"], "sick": [1, 0]}),
            "columns of different lengths: {'species': 1, 'sick': 2}",
        ),
        (
            lambda: Annotations(TASKS, {"specis": np.array([0])}),
            "labels of 'specis': no such task, expected 'species', 'signs', 'sick'; "
            "did you mean 'species'?",
        ),
        (
            lambda: Annotations(TASKS, {"species": np.array([0])}, rows=2),
            "labels of different lengths: {'species': 1, 'rows': 2}",
        ),
        (
            lambda: Annotations(TASKS, {"signs": np.zeros((2, 3), int)}),
            "labels of 'signs': found shape (2, 3), expected (2, 2)",
        ),
        (
            lambda: Annotations(TASKS, {"species": np.array([0.0])}),
            "labels of 'species': found type float64, expected integers (-1 = missing)",
        ),
        (
            lambda: Annotations(TASKS, {"species": np.array([-1, 3])}),
            "labels of 'species': found codes from -1 to 3, expected -1 (missing) to 2",
        ),
        (
            lambda: Annotations(TASKS, {"signs": np.array([[-2, 1]])}),
            "labels of 'signs': found codes from -2 to 1, expected -1 (missing) to 1",
        ),
        (lambda: Annotations((), {}), "found no task, expected at least one"),
        (
            lambda: Annotations(TASKS, {}, 1).labelled("sign"),
            "no task 'sign', expected 'species', 'signs', 'sick'; did you mean 'signs'?",
        ),
        (
            lambda: Annotations(TASKS, {}, 1).counts("sign"),
            "no task 'sign', expected 'species', 'signs', 'sick'; did you mean 'signs'?",
        ),
        (
            lambda: Annotations(TASKS, {}, 1).keep(["sign"]),
            "no task 'sign', expected 'species', 'signs', 'sick'; did you mean 'signs'?",
        ),
        (
            lambda: Annotations.concatenate([]),
            "found no annotations to join, expected at least one",
        ),
        (
            lambda: Annotations.concatenate([Annotations((SICK,), {}), Annotations((SIGNS,), {})]),
            "annotations 2 of 2 have other tasks or classes than the first, expected the same: "
            "'sick'",
        ),
    ],
)
def test_bad_input(act, error):
    with pytest.raises(LabelweaveError, match=message(error)):
        act()


@given(annotations())
def test_only_keeps_tasks_in_their_own_order(found):
    part = found.only(["sick", "species"])
    assert part.tasks == (SPECIES, SICK)
    assert len(part) == len(found)
    assert all((part.labels[t.name] == found.labels[t.name]).all() for t in part.tasks)
