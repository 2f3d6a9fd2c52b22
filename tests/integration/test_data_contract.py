"""The same checks and the same types on every way in: study file, Python, and a saved model."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from command_line import CommandLine

from labelweave import MultiTaskClassifier, Study
from labelweave._targets import annotations_of, row_weights_of, sources_of
from labelweave.annotations import Annotations
from labelweave.data import Collection, Source
from labelweave.errors import LabelweaveError
from labelweave.experiments import parse_study
from labelweave.experiments._loading import load_data, make_split
from labelweave.fitting import load_model
from labelweave.tables._frames import input_frame
from labelweave.tasks import Multiclass


def station(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="cp932")


def rows(n: int, kind: str, seed: int = 0) -> str:
    """Return rows of a station: serial, a number with a decimal comma, a code, the result."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(n):
        bad = i % 2
        torque = f"{3 + 4 * bad + rng.normal() * 0.5:.2f}".replace(".", ",")
        word = {"a": ("OK", "NG"), "b": ("良", "NG")}[kind][bad]
        lines.append(f"{i:05d};{torque};{'01' if bad else '02'};{word}")
    return "\n".join(lines) + "\n"


def study(folder: Path, **changes: Any) -> dict[str, Any]:
    station(folder, "lab_1.csv", "番号;トルク;code;result\n" + rows(40, "a"))
    station(folder, "lab_2.csv", "番号;トルク;code;result\n" + rows(40, "b", 1))
    source = {
        "path": "lab_*.csv",
        "name": "lab",
        "rename": {"トルク": "torque", "番号": "serial"},
        "map": {"result": {"OK": "ok", "良": "ok", "NG": "defect"}},
        "identifier": ["serial"],
        "missing": ["", "-9"],
    }
    return {
        "name": "lab", "tasks": [{"name": "result"}], "sources": [source | changes],
        "methods": ["multi_task"], "split": {"test": 0.2}, "seeds": 1,
        "training": {"steps": 60}, "network": {"hidden": [8]},
    }  # fmt: skip


def refused(content: dict[str, Any], folder: Path) -> str:
    with pytest.raises(LabelweaveError) as caught:
        load_data(parse_study(content), folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_study_of_japanese_stations_predicts_each_row_by_itself(
    tmp_path: Path, cli: CommandLine
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study(tmp_path), allow_unicode=True), encoding="utf-8")
    made = Study.from_file(path)
    made.run(jobs=1, progress=False)
    (folder,) = made.output.glob("runs/multi_task-*/model")
    model = load_model(folder)
    schema = model.encoder.schema
    assert schema is not None
    assert schema.missing == ("", "-9")
    assert {name: (c.role, c.type) for name, c in schema.columns.items()} == {
        "serial": ("identifier", "category"), "torque": ("input", "number"),
        "code": ("input", "category"), "result": ("label", "category"),
    }  # fmt: skip
    new, one = tmp_path / "new.csv", tmp_path / "one.csv"
    station(tmp_path, new.name, "serial;torque;code\n007;3,1;01\n008;-9;02\n009;7000;A1\n")
    answer = cli("predict", folder, new, "--out", tmp_path / "p.csv", "--bom")
    assert answer.code == 0
    assert "warning: " in answer.err
    assert "column 'torque': 1 of 3 rows (33.3%: 3) outside of the range seen" in answer.err
    assert "column 'code': 1 of 3 rows (33.3%: 3) with values that training" in answer.err
    written = (tmp_path / "p.csv").read_text(encoding="utf-8")
    assert written[0] == "\ufeff"
    predicted = pd.read_csv(tmp_path / "p.csv", dtype={"serial": str})
    assert predicted["serial"].tolist() == ["007", "008", "009"]
    station(tmp_path, one.name, "serial;torque;code\n007;3,1;01\n")
    alone = cli("predict", folder, one, "--keep", "torque")
    assert alone.out.splitlines()[1].startswith('"3,1",007,')
    again = pd.read_csv(tmp_path / "p.csv")["result=ok"][0]
    frame = pd.DataFrame({"torque": [3.1], "code": ["01"]})
    assert np.isclose(model.predict_proba(frame)["result"][0, 1], again, atol=1e-6)
    assert cli.refused("predict", folder, new, "--out", new) == (
        f"{new}: is the table to predict, expected another file to write"
    )
    assert cli.refused("predict", folder, new, "--keep", "seriel").endswith(
        "no column 'seriel' to keep, found 'serial', 'torque', 'code'; did you mean 'serial'?"
    )


def test_minus_one_is_no_class_by_itself_in_a_study_as_in_python(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,0\n2,1\n3,-1\n")
    content = {"tasks": [{"name": "y"}], "sources": [{"path": "a.csv"}], "name": "s"}
    assert refused(content, tmp_path) == (
        "task 'y': found -1, which may be a class or mean 'no label'; add '-1' to the source's "
        "'missing', or list the task's 'classes'"
    )
    content["sources"] = [{"path": "a.csv", "missing": ["", "-1"]}]
    assert load_data(parse_study(content), tmp_path).tasks[0].names == ("0", "1")
    content |= {
        "sources": [{"path": "a.csv"}],
        "tasks": [{"name": "y", "classes": [-1, 0, 1]}],
    }
    assert load_data(parse_study(content), tmp_path).tasks[0].names == ("-1", "0", "1")


def test_label_columns_are_no_inputs_in_python_as_in_a_study() -> None:
    table = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": ["a", "b", "a", "b"]})
    with pytest.raises(LabelweaveError) as caught:
        MultiTaskClassifier().fit(table, table[["y"]])
    assert str(caught.value) == (
        "source 'X': column 'y' is a label column of task 'y' and cannot be an input"
    )


@pytest.mark.parametrize(
    ("own", "role"),
    [({"exclude": ["lot"]}, "excluded"), ({"group": "lot"}, "the group"),
     ({"identifier": ["lot"]}, "an identifier")],
)  # fmt: skip
def test_what_one_source_leaves_out_is_no_input_of_another(tmp_path, own, role) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x,y,lot\n1,u,7\n2,v,8\n3,u,9\n")
    sources = [{"path": "a.csv"} | own, {"path": "b.csv"}]
    content = {"tasks": [{"name": "y"}], "sources": sources, "name": "s"}
    assert refused(content, tmp_path) == (
        f"b.csv: column 'lot' would be an input, but is {role} in a.csv; exclude it here as well"
    )
    content["sources"] = [sources[0], {"path": "b.csv", "exclude": ["lot"]}]
    assert list(load_data(parse_study(content), tmp_path).collection.inputs) == ["x"]


def test_long_numbers_with_a_gap_keep_their_groups(tmp_path: Path) -> None:
    lots = [str(1234567890123456700 + i) for i in range(60)]
    lines = "".join(f"{i},{'uv'[i % 2]},{lot}\n" for i, lot in enumerate(lots))
    (tmp_path / "a.csv").write_text(f"x,y,lot\n{lines}61,u,\n")
    content = {
        "tasks": [{"name": "y"}], "sources": [{"path": "a.csv", "group": "lot"}], "name": "s",
    }  # fmt: skip
    assert len(set(load_data(parse_study(content), tmp_path).collection.groups)) == 61


def test_dates_become_numbers_of_a_study_and_of_a_model(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=40).strftime("%d.%m.%Y")
    lines = "".join(f"{day},{i},{'uv'[i % 2]}\n" for i, day in enumerate(days))
    (tmp_path / "a.csv").write_text(f"at,x,y\n{lines}")
    content: dict[str, Any] = {
        "tasks": [{"name": "y"}], "sources": [{"path": "a.csv"}], "name": "s",
    }  # fmt: skip
    data = load_data(parse_study(content), tmp_path)
    assert list(data.collection.inputs) == ["x"]
    notes = [str(note) for note in make_split(parse_study(content), data, 1).notes]
    assert any(note.startswith("input columns of dates, left out") for note in notes)
    content["inputs"] = {"dates": {"at": ["elapsed", "month"]}}
    data = load_data(parse_study(content), tmp_path)
    assert list(data.collection.inputs) == ["at (elapsed)", "at (month)", "x"]
    assert data.collection.inputs["at (elapsed)"].tolist() == list(range(40))


def test_long_numbers_of_an_arrow_table_keep_their_gaps_and_digits() -> None:
    numbers = [1234567890123456788, 1234567890123456789, None]
    table = pa.table({"x": [1.5, 2.5, 3.5], "lot": pa.array(numbers)})
    assert input_frame(table)["lot"].tolist() == numbers
    found = annotations_of({"lot": table["lot"]}, None, None)
    assert found.tasks[0].names == tuple(str(n) for n in numbers[:2])


def test_masks_names_and_long_numbers_survive_on_every_way_in() -> None:
    polars = pytest.importorskip("polars")
    numbers = [2**60 + 1, None, 2**60 + 2, 2**60 + 2]
    mask = [False, True, False, False]
    columns = [
        numbers, pd.array(numbers, "Int64"), pa.array(numbers), pa.chunked_array([numbers]),
        polars.Series(numbers), np.ma.array([2**60 + 1, 7, 2**60 + 2, 2**60 + 2], mask=mask),
    ]  # fmt: skip
    y, X = {"k": ["a", "b", "a", "b"]}, pd.DataFrame({"x": range(4)})
    for column in columns:
        labels = annotations_of({"k": column}, None, None, X)
        assert labels.tasks[0].names == (str(2**60 + 1), str(2**60 + 2)), type(column)
        assert labels.labels["k"].tolist() == [0, -1, 1, 1]
        direct = Annotations.from_columns([Multiclass("k")], {"k": column})
        assert direct.labels["k"].tolist() == [0, -1, 1, 1]
        (source,) = sources_of(X, y, None, None, column)
        assert Collection([source]).groups[2:].tolist() == [1, 1], type(column)
        assert len(set(Collection([source]).groups)) == 3
    values = np.ma.array(np.arange(8.0).reshape(4, 2), mask=np.arange(8).reshape(4, 2) == 5)
    annotations = annotations_of(y, None, None, X)
    assert Source("s", values, annotations).inputs.isna().to_numpy().nonzero()[0].tolist() == [2]
    for table in (pa.table({"p": [1, 2, 3, 4]}), polars.DataFrame({"p": [1, 2, 3, 4]})):
        assert Source("s", table, annotations).inputs.columns.tolist() == ["p"]
    weight = np.ma.array([1.0, 1e9, 1.0, 1.0], mask=mask)
    with pytest.raises(LabelweaveError, match="sample_weight: expected numbers of 0 or more"):
        row_weights_of(weight, X)


def test_new_rows_may_lack_columns_that_a_model_leaves_out() -> None:
    X = pd.DataFrame({"x": np.arange(60.0), "who": [f"p{i}@example.org" for i in range(60)]})
    y = {"k": ["a", "b"] * 30}
    model = MultiTaskClassifier(method="best_single_task", learners=["logistic"]).fit(X, y)
    schema = model.model_.encoder.schema
    assert {name: c.role for name, c in schema.columns.items()} == {"x": "input", "who": "excluded"}
    probability = model.predict_proba(X)["k"]
    np.testing.assert_array_equal(model.predict_proba(X[["x"]])["k"], probability)
    with pytest.raises(LabelweaveError, match="no input column 'x', found 'who'"):
        model.predict(X[["who"]])


def test_python_makes_numbers_of_dates_and_hashes_of_categories(tmp_path: Path) -> None:
    rows = 60
    days = pd.date_range("2024-01-01", periods=rows, freq="D")
    customer = np.resize(["Kaiser", "Meier", "Otto"], rows)
    X = pd.DataFrame({"day": days.strftime("%d.%m.%Y"), "customer": customer, "u": range(rows)})
    y = pd.DataFrame({"kind": np.resize(["a", "b"], rows)})
    quick = {"method": "multi_task", "hidden": (8,), "steps": 5}
    asked = MultiTaskClassifier(dates={"day": ["elapsed", "weekday"]}, hashed=["customer"], **quick)
    model = asked.fit(X, y)
    assert {"day (elapsed)", "day (weekday)", "u"} < set(model.model_.encoder.names_)
    model.save(tmp_path / "model")
    for file in (tmp_path / "model").rglob("*"):
        assert not file.is_file() or b"Kaiser" not in file.read_bytes()
    again = MultiTaskClassifier.load(tmp_path / "model")
    first = again.predict_proba(X[:3])["kind"]
    np.testing.assert_allclose(first, model.predict_proba(X)["kind"][:3], rtol=1e-5)
    other = again.predict_proba(X[:3].assign(customer="Otto"))["kind"]
    assert not np.allclose(first, other), "a hash is still a category"
    with pytest.raises(LabelweaveError, match=r"parameter 'dates\.day\.0': should be 'elapsed'"):
        MultiTaskClassifier(dates={"day": ["year"]}, **quick).fit(X, y)
