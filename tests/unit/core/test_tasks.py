import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelweave.errors import LabelweaveError, is_printable
from labelweave.tasks import (
    Binary,
    Multiclass,
    Multilabel,
    check_distinct,
    factorize,
    key,
    task_from_dict,
    task_to_dict,
)

SPECIES = Multiclass("species", ("oak", "elm", "ash"))
MISSING = [None, float("nan"), np.nan, "", pd.NA, pd.NaT]

texts = st.text(min_size=1, max_size=4).filter(is_printable)
labels = st.one_of(st.booleans(), st.integers(-(10**6), 10**6), texts)
# in Python True == 1, so that one column cannot hold both apart
class_lists = st.lists(labels, min_size=2, max_size=6, unique_by=(key, lambda value: value))


def message(error):
    return f"^{re.escape(error)}$"


@given(class_lists, st.data())
def test_encoding_undoes_decoding(classes, data):
    task = Multiclass("t", classes)
    codes = np.array(data.draw(st.lists(st.integers(-1, len(classes) - 1), max_size=20)), int)
    decoded = task.decode(codes)
    expected = [None if code < 0 else classes[code] for code in codes]
    assert [None if v is None else key(v) for v in decoded] == [
        None if v is None else key(v) for v in expected
    ]
    assert task.encode(decoded).tolist() == codes.tolist()


@given(class_lists, st.data())
def test_encoding_is_the_place_of_the_key(classes, data):
    task = Multiclass("t", classes)
    values = data.draw(st.lists(st.sampled_from([*classes, None, ""]), max_size=20))
    expected = [-1 if value in (None, "") else task.names.index(key(value)) for value in values]
    assert task.encode(values).tolist() == expected


@pytest.mark.parametrize("gap", MISSING, ids=repr)
def test_missing_values_are_minus_one(gap):
    values = ["oak", gap, "ash", gap]
    assert SPECIES.encode(values).tolist() == [0, -1, 2, -1]
    assert SPECIES.encode(pd.Series(values, dtype=object)).tolist() == [0, -1, 2, -1]
    assert Binary("b").encode_label("b", [1, gap, 0, gap]).tolist() == [1, -1, 0, -1]


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 1],
        [1.0, 2.0, 3.0, 1.0],
        ["1", "2", "3", "1"],
        [1, "2", 3.0, "1"],
        np.array([1, 2, 3, 1], np.int8),
        np.array([1, 2, 3, 1], np.float32),
        np.array(["1", "2", "3", "1"]),
        pd.Series([1, 2, 3, 1], dtype="Int64"),
        pd.Series(["1", "2", "3", "1"], dtype="string"),
        pd.Series([1, 2, 3, 1]).astype("category"),
        pd.Series(["1", "2", "3", "1"]).astype("category"),
    ],
    ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', '')}",
)
@pytest.mark.parametrize("classes", [(1, 2, 3), (1.0, 2.0, 3.0), ("1", "2", "3")])
def test_a_number_and_its_text_are_one_label(values, classes):
    assert Multiclass("t", classes).encode(values).tolist() == [0, 1, 2, 0]
    assert Multiclass("t").inferred(values).names == ("1", "2", "3")


def test_text_types_with_gaps():
    for dtype in ("string", "category", object, "str"):
        series = pd.Series(["elm", None, "", "oak"], dtype=dtype)
        assert SPECIES.encode(series).tolist() == [1, -1, -1, 0]


def test_a_category_that_does_not_occur_is_no_class():
    series = pd.Categorical(["b", "a", None], categories=["z", "b", "a"])
    assert Multiclass("t").inferred(series).classes == ("a", "b")


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([10, 9, 2.0, None], (2, 9, 10)),
        (["10", "9", "2"], ("2", "9", "10")),
        ([10, "9", 2], (2, "9", 10)),
        ([2.5, 1.0, float("nan")], (1, "2.5")),
        ([True, False, None], (False, True)),
        (np.array([True, False]), (False, True)),
        ([-1.0, -2.0], (-2, -1)),
        (pd.to_datetime(["2024-02", "2024-01"]), ("2024-01-01 00:00:00", "2024-02-01 00:00:00")),
    ],
)
def test_inferred_classes_are_sorted(values, classes):
    task = Multiclass("t").inferred(values)
    assert task.classes == classes
    assert [type(c) for c in task.classes] == [type(c) for c in classes]
    assert task_from_dict(json.loads(json.dumps(task_to_dict(task)))) == task


def test_decoded_values_have_the_type_of_the_classes():
    assert SPECIES.decode(np.array([2, 0])).tolist() == ["ash", "oak"]
    assert Multiclass("t", (3, 5)).decode(np.array([1, 0])).dtype == np.int64
    assert Multiclass("t", (3, 5)).decode(np.array([1, -1])).tolist() == [5, None]
    assert Multiclass("t", (3, 5)).decode(np.array([], int)).dtype == np.int64
    assert Multiclass("t", (False, True)).decode(np.array([1])).dtype == np.bool_
    with pytest.raises(IndexError):
        SPECIES.decode(np.array([3]))


def test_factorize_leaves_its_input_alone():
    values = np.array(["", "a", "b", "a"], dtype=object)
    codes, uniques = factorize(values)
    assert codes.tolist() == [-1, 0, 1, 0]
    assert uniques == ["a", "b"]
    assert values.tolist() == ["", "a", "b", "a"]


@pytest.mark.parametrize(
    ("positive", "negative", "values", "codes"),
    [
        (None, None, [1, 0, "yes", "NO", True, "True", 0.0, None], [1, 0, 1, 0, 1, 1, 0, -1]),
        ("sick", "well", ["sick", "WELL", "", "well"], [1, 0, -1, 0]),
        (True, False, ["yes", "no", "1", 0.0, True], [1, 0, 1, 0, 1]),
        ("no", "yes", ["yes", "no"], [0, 1]),
        (2, 1, [1, 2.0, "2", None], [0, 1, 1, -1]),
    ],
)
def test_binary_values(positive, negative, values, codes):
    task = Binary("state", positive, negative)
    assert task.encode_label("state", values).tolist() == codes
    assert task.encode(np.array(values, object)[:, None])[:, 0].tolist() == codes


def test_binary_decodes_to_its_values_and_missing_to_none():
    codes = np.array([1, 0, -1])
    assert Binary("b", "sick", "well").decode(codes).tolist() == ["sick", "well", None]
    assert Binary("b", "sick", "well").decode(codes[:2]).tolist() == ["sick", "well"]
    assert Binary("b").decode(codes).tolist() == [1, 0, None]
    assert Binary("b", True, False).decode(codes[:2]).tolist() == [True, False]


def test_multilabel_block_element_by_element():
    task = Multilabel("signs", ("a", "b"))
    expected = [[1, -1], [-1, 0], [0, 1]]
    block = [[1, None], ["", "no"], [0.0, "true"]]
    assert task.encode(block).tolist() == expected
    assert task.encode(pd.DataFrame(block)).tolist() == expected
    assert task.encode(np.array([[1.0, np.nan]])).tolist() == [[1, -1]]
    assert task.encode([[1.0, ""]]).tolist() == [[1, -1]]
    assert task.encode(block).dtype == np.int8


@given(st.lists(st.tuples(*[st.sampled_from([1, 0, True, "no", None, ""])] * 3), min_size=1))
def test_multilabel_columns_and_block_agree(rows):
    task = Multilabel("t", ("a", "b", "c"))
    columns = [task.encode_label(n, [r[j] for r in rows]) for j, n in enumerate(task.labels)]
    assert (task.encode(rows) == np.stack(columns, axis=1)).all()


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (
            lambda: SPECIES.encode(["oak", None, "elmm", "elmm"]),
            "row 3, column 'species': unknown label 'elmm'; expected 'oak', 'elm', 'ash'; "
            "did you mean 'elm'?",
        ),
        (
            lambda: Multiclass("t", range(20)).encode([3, 99999]),
            "row 2, column 't': unknown label '99999'; expected '0', '1', '2', '3', '4', '5', "
            "'6', '7' and 12 more",
        ),
        (
            lambda: Binary("b").encode_label("b", [1, "yess"]),
            "row 2, column 'b': found 'yess', expected one of '1', 'true', 'yes', '0', 'false', "
            "'no'; did you mean 'yes'?",
        ),
        (
            lambda: Binary("b", "sick", "well").encode_label("b", ["ill"]),
            "row 1, column 'b': found 'ill', expected one of 'sick', 'well'; did you mean 'well'?",
        ),
        (
            lambda: Multilabel("signs", ("a", "b")).encode([[1, 0], [0, 2]]),
            "row 2, column 'b': found '2', expected one of '1', 'true', 'yes', '0', 'false', 'no'",
        ),
        (
            lambda: Multilabel("signs", ("a", "b")).encode([[1, 0, 1]]),
            "task 'signs': found labels of shape (1, 3), expected (rows, 2)",
        ),
        (
            lambda: Multilabel("signs", ("a", "b")).encode([[1, 0], [1]]),
            "task 'signs': found labels of shape (2,), expected (rows, 2)",
        ),
        (
            lambda: Multiclass("t").inferred(["a", None, "a"]),
            "column 't': found 'a', expected at least two classes",
        ),
        (
            lambda: Multiclass("t").inferred([None, ""]),
            "column 't': found no label at all, expected at least two classes",
        ),
        (lambda: Multiclass("t").width, "task 't': its classes are not known yet"),
        (lambda: Multiclass(""), "a task needs a name, found an empty one"),
        (
            lambda: Multiclass("a\x1bb"),
            r"task 'a\x1bb': expected a name without control characters",
        ),
        (
            lambda: Multiclass("t", ("a", "b\nc")),
            r"task 't': classes: found 'b\nc', expected no control characters",
        ),
        (lambda: Binary(""), "a task needs a name, found an empty one"),
        (lambda: Multiclass("t", ["a"]), "task 't': found 1 classes, expected at least 2"),
        (lambda: Multiclass("t", [1, "1", 1.0]), "task 't': classes named twice: '1'"),
        (
            lambda: Multiclass("t", ["a", ""]),
            "task 't': classes without a name, expected no empty one",
        ),
        (lambda: Multiclass("t", "ab"), "task 't': classes: found the text 'ab', expected a list"),
        (lambda: Multilabel("t", []), "task 't': found 0 labels, expected at least 1"),
        (lambda: Multilabel("t", ["a", "a"]), "task 't': labels named twice: 'a'"),
        (lambda: Multilabel("t", "ab"), "task 't': labels: found the text 'ab', expected a list"),
        (lambda: Binary("b", "x"), "task 'b': give both positive and negative, or neither"),
        (lambda: Binary("b", 1, "1"), "task 'b': positive '1' and negative '1' are one value"),
        (
            lambda: Binary("b", True, "Yes"),
            "task 'b': positive 'True' and negative 'Yes' are one value",
        ),
        (lambda: check_distinct([]), "found no task, expected at least one"),
        (lambda: check_distinct([SPECIES, Binary("species")]), "tasks named twice: 'species'"),
        (
            lambda: task_from_dict({"name": "t", "kind": "multilable"}),
            "task 't': unknown kind 'multilable', expected 'multiclass', 'multilabel', 'binary'; "
            "did you mean 'multilabel'?",
        ),
        (
            lambda: task_from_dict({"name": "t", "kind": "binary", "clases": [1]}),
            "task 't' (binary): no such key 'clases', expected 'name', 'positive', 'negative'",
        ),
        (
            lambda: task_from_dict({"name": "t", "kind": "multilabel"}),
            "task 't' (multilabel): found no 'labels', expected 'name', 'labels'",
        ),
        (
            lambda: task_from_dict({"name": "t", "classes": 3}),
            "task 't': classes: found 3, expected a list",
        ),
    ],
)
def test_bad_input(act, error):
    with pytest.raises(LabelweaveError, match=message(error)):
        act()


@pytest.mark.parametrize(
    "task",
    [
        SPECIES,
        Multiclass("open"),
        Multiclass("numbers", np.arange(3)),
        Multiclass("mixed", (1, "a", True)),
        Multiclass("text", np.array(["a", "b"])),
        Multilabel("signs", ("a", "b")),
        Binary("b"),
        Binary("b", True, False),
        Binary("b", "sick", "well"),
    ],
    ids=lambda task: task.name,
)
def test_description_round_trip(task):
    again = task_from_dict(json.loads(json.dumps(task_to_dict(task))))
    assert again == task
    assert type(again) is type(task)


def test_kind_defaults_to_multiclass():
    assert task_from_dict({"name": "t", "classes": ["a", "b"]}) == Multiclass("t", ("a", "b"))
