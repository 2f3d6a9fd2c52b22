import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from labelweave.annotations import Annotations
from labelweave.data import Collection, Source
from labelweave.data._table_encoder import TableEncoder
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass, Multilabel

TASKS = (Multiclass("species", ("oak", "elm", "ash")), Multilabel("leaf", ("lobed", "hairy")))
A = Annotations(
    TASKS,
    {
        "species": np.array([0, 0, 1, -1]),
        "leaf": np.array([[1, 0], [-1, 0], [-1, -1], [-1, -1]], np.int8),
    },
)
B = Annotations(TASKS, {"species": np.array([2, 2])})


def error(call: Callable[[], object]) -> str:
    with pytest.raises(LabelweaveError) as caught:
        call()
    return str(caught.value)


def source_a(**columns: object) -> Source:
    return Source("a", pd.DataFrame({"x": [1, 2, 3, 4], **columns}), A, np.array([1, 1, np.nan, 2]))


def source_b(**columns: object) -> Source:
    return Source("b", pd.DataFrame({"y": ["p", "q"], **columns}), B, np.array(["2", "1"]))


def test_an_array_becomes_columns():
    source = Source("a", np.zeros((4, 2)), A)
    assert list(source.inputs.columns) == ["x0", "x1"]
    assert len(source) == 4


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": ""}, "a source needs a name, found an empty one"),
        ({"inputs": np.zeros((3, 2))},
         "source 'a': found annotations of 4 rows, expected 3 as in the inputs"),
        ({"inputs": np.zeros(4)},
         "source 'a': found shape (4,), expected (rows, columns)"),
        ({"inputs": np.zeros((0, 2))}, "source 'a': found no rows, expected at least one"),
        ({"inputs": pd.DataFrame(np.zeros((4, 2)), columns=["x", "x"])},
         "source 'a': two columns are named 'x'"),
        ({"groups": [1, 2]}, "source 'a': found groups of shape (2,), expected (4,)"),
        ({"split": "valid"}, "source 'a': unknown split 'valid', expected 'train', 'validation', "
         "'test'; did you mean 'validation'?"),
    ],
)  # fmt: skip
def test_bad_sources(changes, expected):
    assert error(lambda: replace(source_a(), **changes)) == expected


def test_rows_follow_each_other_and_absent_columns_are_missing():
    collection = Collection([source_a(), source_b()])
    assert len(collection) == 6
    assert collection.names == ("a", "b")
    assert collection.tasks == TASKS
    assert collection.source.tolist() == [0, 0, 0, 0, 1, 1]
    expected = {"x": [1, 2, 3, 4, None, None], "y": [None, None, None, None, "p", "q"]}
    pd.testing.assert_frame_equal(collection.inputs, pd.DataFrame(expected), check_dtype=False)
    assert collection.annotations.labels["species"].tolist() == [0, 0, 1, -1, 2, 2]
    assert collection.place(5) == "row 2 of source 'b'"
    assert np.isfinite(TableEncoder().fit(collection.inputs).transform(collection.inputs)).all()


def test_groups_are_compared_by_value_and_missing_ones_stand_alone():
    groups = Collection([source_a(), source_b(), replace(source_b(), name="c", groups=None)]).groups
    one, two, alone = groups[0], groups[3], groups[[2, 6, 7]]
    assert groups[[0, 1, 5]].tolist() == [one] * 3
    assert groups[[3, 4]].tolist() == [two] * 2
    assert len({one, two, *alone}) == 5


def test_one_source_is_its_own_collection():
    source = Source("a", pd.DataFrame({"x": [1, 2, 3, 4]}, index=[7, 7, 8, 9]), A)
    collection = Collection([source])
    assert collection.inputs.index.tolist() == [0, 1, 2, 3]
    assert collection.inputs["x"].tolist() == [1, 2, 3, 4]


def test_an_empty_column_takes_the_kind_of_the_other_source():
    collection = Collection([source_a(y=[np.nan] * 4), source_b(x=[None] * 2)])
    assert collection.inputs["x"].dtype.kind == "f"
    assert collection.inputs["y"].tolist()[4:] == ["p", "q"]
    empty = Collection([source_a(z=[np.nan] * 4), source_b()]).inputs
    assert list(empty.columns) == ["x", "z", "y"]
    assert empty["z"].isna().all()


def test_bad_collections():
    assert error(lambda: Collection([])) == "found no source, expected at least one"
    assert error(lambda: Collection([source_a(), source_a()])) == "sources named twice: 'a'"
    assert error(lambda: Collection([source_b(), source_a(y=[1.5, 2, 3, 4])])) == (
        "input column 'y' holds numbers in source 'a' and text in source 'b', expected one kind"
    )
    fewer = Annotations(TASKS[:1], {"species": np.array([2, 2])})
    assert error(lambda: Collection([source_a(), replace(source_b(), annotations=fewer)])) == (
        "source 'b' has the tasks 'species', expected 'species', 'leaf' as in source 'a'"
    )
    tasks = (Multiclass("species", ("oak", "elm")), TASKS[1])
    other = Annotations(tasks, {"species": np.array([0, 0])})
    assert error(lambda: Collection([source_a(), replace(source_b(), annotations=other)])) == (
        "source 'b': task 'species' has the classes 'oak', 'elm', "
        "expected 'oak', 'elm', 'ash' as in source 'a'"
    )


def test_coverage_counts():
    coverage = Collection([source_a(), source_b()]).coverage()
    frame = coverage.to_frame().set_index(["source", "task"])
    assert frame.loc[("a", "species")].tolist() == [4, 3, 3, 2, 3, "elm", 1]
    assert frame.loc[("a", "leaf")].tolist() == [4, 2, 3, 1, 2, "lobed", 1]
    assert frame.loc[("b", "species")].tolist() == [2, 2, 2, 1, 3, "ash", 2]
    assert frame.loc[("b", "leaf")].drop("rarest").tolist() == [2, 0, 0, 0, 2, 0]
    assert coverage.counts("species").to_numpy().tolist() == [[2, 1, 0], [0, 0, 2]]
    assert coverage.counts("leaf").loc["a", ("hairy", "off")] == 2
    assert coverage.co_labelled.to_numpy().tolist() == [[5, 2], [2, 2]]


def test_coverage_as_json():
    state = Collection([source_a(), source_b()]).coverage().to_dict()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert state["sources"] == ["a", "b"]
    assert state["tasks"] == ["species", "leaf"]
    assert state["rows"] == {"a": 4, "b": 2}
    assert state["labelled"] == {"a": {"species": 3, "leaf": 2}, "b": {"species": 2, "leaf": 0}}
    assert state["per_class"]["a"] == {
        "species": {"oak": 2, "elm": 1, "ash": 0}, "leaf": {"lobed": 1, "hairy": 0},
    }  # fmt: skip
    assert state["co_labelled"] == [[5, 2], [2, 2]]


def test_coverage_is_plain_text_off_a_terminal_and_shows_what_has_no_data():
    coverage = Collection([source_a(), source_b()]).coverage()
    lines = str(coverage).splitlines()
    assert "\x1b" not in str(coverage)
    assert max(len(line) for line in lines) <= 100
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == [
        ["a", "species", "4", "3", "3", "2/3", "elm (1)"],
        ["", "leaf", "", "2", "3", "1/2", "lobed (1)"],
        ["b", "species", "2", "2", "2", "1/3", "ash (2)"],
        ["", "leaf", "", "-", "-", "-", "-"],
    ]
    console = Console(width=100, color_system="truecolor", force_terminal=True)
    with console.capture() as capture:
        console.print(coverage)
    assert "\x1b" in capture.get()
