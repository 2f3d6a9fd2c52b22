"""Finite numbers are read at once, whatever else there is value by value: no difference."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from study_example import parts

from labelweave import MultiTaskClassifier
from labelweave.errors import LabelweaveError
from labelweave.model import EncodedPredictor, _numbers_only
from labelweave.serving import _answers, _rows
from labelweave.serving._answers import infer_rows
from labelweave.serving._rows import csv_rows, json_rows

NAMES = ["length", "width", "weight", "noise"]


@pytest.fixture(scope="module")
def model() -> EncodedPredictor:
    inputs, labels = parts()
    made = MultiTaskClassifier(method="multi_task", steps=2, random_state=0)
    return made.fit(inputs, labels[["kind"]]).model_


def by_name(values: Any) -> dict[str, Any]:
    return dict(zip(NAMES, values, strict=True))


GOOD = [[1.5, 2, None, -3e9], [0, 1e-300, 4.0, 5]]
ODD: list[list[Any]] = [
    [1.0, 2.0, 3.0, True], [1.0, 2.0, 3.0, "4"], [1.0, 2.0, 3.0, 10**400],
    [1.0, 2.0, 3.0, 2**64], [1.0, 2.0, 3.0, [4.0]], [1.0, 2.0, 3.0, 1e30],
    [float("inf"), 2.0, 3.0, 4.0], [1.0, float("nan"), 3.0, 4.0], [1.0, 2.0, 3.0, ""],
]  # fmt: skip


def outcome(read: Any, *args: Any) -> Any:
    try:
        found = read(*args)
    except LabelweaveError as error:
        return str(error)
    rows = found[1] if isinstance(found, tuple) else found
    if isinstance(rows.typed, np.ndarray):  # in the order of the encoder
        return rows.typed.tolist()
    return rows.typed[NAMES].to_numpy(np.float64).tolist()


@pytest.mark.parametrize("second", [*GOOD, *ODD], ids=str)
def test_both_ways_of_reading_give_the_same(
    second: list[Any], model: EncodedPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = [GOOD[0], second]
    rows = json.dumps({"rows": [by_name(row) for row in table]}).encode()
    inputs = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": [row[j] for row in table]}
        for j, name in enumerate(NAMES)
    ]
    asked = json.dumps({"id": "1", "inputs": inputs}).encode()
    found = outcome(json_rows, rows, model, 10), outcome(infer_rows, asked, model, 10)
    for module in (_rows, _answers):
        monkeypatch.setattr(module, "plain_json", lambda content: None)
        monkeypatch.setattr(module, "plain_numbers", lambda values: None)
    again = outcome(json_rows, rows, model, 10), outcome(infer_rows, asked, model, 10)
    assert repr(found) == repr(again)
    if second in GOOD:
        assert not isinstance(found[0], str)


@pytest.mark.parametrize(
    "rest",
    [
        "1.5,2,,-3e9\n0,1e-300,4.0,5\n", "1,2,3,4\r\n5,6,7,8", "+1,.5,3.,04\n\n1,2,3,4",
        "-9,1,1,1", "", "\n", "1,2,3\n", "1,2,3,4,5\n", "1,2,3,4_0\n", "1,2,3,1e30\n",
        "1,2,3,--4\n", "1,2,3,e\n", '1,2,3,"4"\n', "1,2,3,nan\n", "1,2,3, 4\n", "1,2,3,4\n" * 11,
        "1,2,3,1e999\n",
    ],
    ids=repr,
)  # fmt: skip
def test_both_ways_of_reading_csv_give_the_same(
    rest: str, model: EncodedPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = f"{','.join(NAMES[::-1])}\n{rest}".encode()
    found = outcome(csv_rows, content, model, 10)
    monkeypatch.setattr(_rows, "_plain_csv", lambda *args: None)
    assert repr(found) == repr(outcome(csv_rows, content, model, 10))
    if rest.startswith("1.5"):
        assert found == [pytest.approx([-3e9, np.nan, 2, 1.5], nan_ok=True), [5, 4, 1e-300, 0]]


def test_a_frame_of_numbers_is_read_as_column_by_column(model: EncodedPredictor) -> None:
    schema = model.encoder.schema
    assert schema is not None
    frame = pd.DataFrame([[1.0, np.nan, 3.0, 4.0, 9.0]], columns=[*NAMES[::-1], "other"], index=[7])
    quick = _numbers_only(schema, frame)
    assert quick is not None
    pd.testing.assert_frame_equal(quick, schema.apply(frame, all_columns=False))
    for other in (
        frame.astype({"noise": str}),
        frame.astype({"noise": "float32"}),
        frame.assign(noise=np.inf),
        frame[["other"]],
    ):
        assert _numbers_only(schema, other) is None
