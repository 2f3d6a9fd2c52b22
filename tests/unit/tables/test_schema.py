"""What every column is: decided once from all files, kept, and the same for every row."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.data import Collection, Source
from labelweave.errors import LabelweaveError
from labelweave.tables import (
    ReadOptions,
    Roles,
    Schema,
    Table,
    read_cells,
)
from labelweave.tables._new_rows import new_row_notes
from labelweave.tasks import Multiclass


def cells(folder: Path, text: str, name: str = "a.csv", read: ReadOptions | None = None) -> Table:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_cells(path, read)


def frame_cells(place: str = "a", **columns: object) -> Table:
    return Table.of_frame(pd.DataFrame(columns), place)


def refused(call: object) -> str:
    with pytest.raises(LabelweaveError) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_codes_of_one_file_do_not_make_numbers_of_another(tmp_path: Path) -> None:
    training = [cells(tmp_path, "code\n01\n02\nA1\n"), cells(tmp_path, "code\n01\n02\n", "b.csv")]
    schema = Schema.infer(training)
    assert schema.columns["code"].type == "category"
    new = cells(tmp_path, "code\n01\n02\n", "new.csv")
    assert schema.apply(new)["code"].tolist() == ["01", "02"]
    # and the other way: a number in training is one in a file of whole numbers
    numbers = Schema.infer([cells(tmp_path, "x\n1.5\n2\n")])
    assert numbers.apply(cells(tmp_path, "x\n2\n", "n.csv"))["x"].dtype == np.float64


@pytest.mark.parametrize("new", ["True\nFALSE", "TRUE\nfalse", "1\n0", "1.0\n0.0"])
@pytest.mark.parametrize("old", ["True\nFalse", "1\n0"])
def test_true_and_one_are_the_same_input_however_a_file_writes_them(tmp_path, old, new) -> None:
    schema = Schema.infer([cells(tmp_path, f"on\n{old}\n")])
    assert schema.apply(cells(tmp_path, f"on\n{new}\n", "b.csv"))["on"].tolist() == [1, 0]
    assert schema.apply(pd.DataFrame({"on": [True, False]}))["on"].tolist() == [1, 0]


def test_missing_words_of_the_training_files_hold_for_new_ones(tmp_path: Path) -> None:
    read = ReadOptions(missing=("", "-9", "?"))
    schema = Schema.infer([cells(tmp_path, "x,c\n1.5,a\n-9,?\n", read=read)])
    schema.to_yaml(tmp_path / "schema.yaml")
    again = Schema.from_yaml(tmp_path / "schema.yaml")
    assert again.missing == ("", "-9", "?")
    for new in (
        pd.DataFrame({"x": [-9, 2], "c": ["?", "a"]}),
        cells(tmp_path, "x,c\n-9,?\n2,a\n", "n.csv", ReadOptions(missing=again.missing)),
    ):
        typed = again.apply(new)
        assert typed.isna().to_numpy().tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize(
    "texts",
    [["0117", "117"], ["250.0", "250.00"], ["1E2", "100"], ["3.1", "3.10"], ["007", "7"],
     ["1234567890123456789", "1234567890123456788"]],
)  # fmt: skip
@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("role", ["labels", "groups", "identifiers", "categorical"])
def test_texts_stay_those_of_the_file(tmp_path, texts, gap, suffix, role) -> None:
    values = [*texts, None] if gap else texts
    path = tmp_path / f"a.{suffix}"
    frame = pd.DataFrame({"c": values, "x": 1.5})
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    roles = Roles(**{role: {"c": "c"} if role == "labels" else ["c"]})
    table = read_cells(path)
    typed = Schema.infer([table], roles).apply(table)["c"]
    assert typed.dropna().tolist() == texts
    assert typed.isna().sum() == gap


def test_long_whole_numbers_with_a_gap_stay_exact_in_parquet(tmp_path: Path) -> None:
    numbers = [1234567890123456788, 1234567890123456789, None]
    pd.DataFrame({"g": pd.array(numbers, "Int64")}).to_parquet(tmp_path / "a.parquet")
    table = read_cells(tmp_path / "a.parquet")
    for roles in (Roles(groups=["g"]), Roles()):
        typed = Schema.infer([table], roles).apply(table)["g"]
        assert typed.dropna().tolist() == [str(n) for n in numbers[:2]]


def test_groups_as_floats_that_lost_digits_are_refused() -> None:
    annotations = Annotations.from_columns([Multiclass("y", ("a", "b"))], {"y": ["a", "b", "a"]})
    groups = np.array([1234567890123456788, np.nan, 1.0])
    merged = (
        "found 1234567890123456768, a whole number beyond 2**53 as a float, which merges such "
        "numbers; expected text, or whole numbers"
    )
    inputs = pd.DataFrame({"x": [1, 2, 3]})
    for values in (groups, groups.astype(object), pd.Series(groups), groups.tolist()):
        found = refused(lambda values=values: Source("s", inputs, annotations, values))
        assert found == f"source 's', groups: {merged}"
    labels = {"k": pd.Series([1234567890123456788, None, 1])}
    assert refused(lambda: Annotations.from_columns([Multiclass("k")], labels)) == merged
    listed = Source("s", pd.DataFrame({"x": [1, 2, 3]}), annotations, [2**60 + 1, None, 2**60 + 2])
    assert len(set(Collection([listed]).groups)) == 3


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("0.5"), Decimal("1.25"), None],
        ["0.5", 1.25, None],
        np.array([0.5, 1.25, None], dtype=object),
        ["0.5", "1.25", ""],
    ],
)
def test_numbers_of_any_kind_are_numbers(values, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": values})
    schema = Schema.infer([Table.of_frame(frame, "X")])
    np.testing.assert_array_equal(schema.apply(frame)["x"], [0.5, 1.25, np.nan])


def test_decimals_of_parquet_are_numbers(tmp_path: Path) -> None:
    pd.DataFrame({"x": [Decimal("3.10"), Decimal("3.25"), None]}).to_parquet(tmp_path / "a.parquet")
    table = read_cells(tmp_path / "a.parquet")
    np.testing.assert_array_equal(Schema.infer([table]).apply(table)["x"], [3.1, 3.25, np.nan])
    labels = Schema.infer([table], Roles(labels={"x": "x"})).apply(table)["x"]
    assert labels.dropna().tolist() == ["3.10", "3.25"]


def test_a_few_words_among_numbers_are_missing_and_noted() -> None:
    values = [str(i / 4) for i in range(98)] + ["?", "<0.05"]
    schema = Schema.infer([frame_cells(x=values)])
    assert schema.columns["x"].missing == ("<0.05", "?")
    assert "'?' (1)" in str(schema.notes[0])
    typed = schema.apply(pd.DataFrame({"x": ["?", "1.5"]}))["x"]
    np.testing.assert_array_equal(typed, [np.nan, 1.5])
    assert refused(lambda: schema.apply(pd.DataFrame({"x": ["1", "thick"]}))) == (
        "row 2, column 'x': found 'thick', expected a number"
    )


def test_many_words_or_codes_among_numbers_make_categories() -> None:
    assert Schema.infer([frame_cells(x=["1", "2", "low", "high"])]).columns["x"].type == "category"
    codes = [str(i) for i in range(99)] + ["A1"]
    assert Schema.infer([frame_cells(x=codes)]).columns["x"].type == "category"


def test_numbers_here_and_text_there_are_one_clear_line() -> None:
    tables = [frame_cells("a.csv", x=[1.5, 2.5]), frame_cells("b.csv", x=["low", "high"])]
    assert refused(lambda: Schema.infer(tables)) == (
        "input column 'x' holds numbers in a.csv and text in b.csv, expected one kind"
    )


def test_decimal_commas_hold_for_new_files_whatever_rows_they_have(tmp_path: Path) -> None:
    schema = Schema.infer([cells(tmp_path, "x;y\n1,5;a\n0,125;b\n")])
    assert (schema.columns["x"].decimal, schema.columns["x"].high) == (",", 1.5)
    alone = schema.apply(cells(tmp_path, "x;y\n1,234;a\n", "n.csv"))
    together = schema.apply(cells(tmp_path, "x;y\n1,234;a\n0,5;b\n", "m.csv"))
    assert alone["x"][0] == together["x"][0] == 1.234
    assert refused(lambda: schema.apply(cells(tmp_path, "x;y\n1.5;a\n", "o.csv"))) == (
        "row 1, column 'x': found '1.5', expected a number with decimal ','"
    )
    said = cells(tmp_path, "x;y\n1.5;a\n", "o.csv", ReadOptions(decimal="."))
    assert schema.apply(said)["x"].tolist() == [1.5]


def test_files_with_commas_and_files_with_points_are_one_column(tmp_path: Path) -> None:
    tables = [
        cells(tmp_path, "x;y\n1,5;a\n0,125;b\n"), cells(tmp_path, "x,y\n2.5,a\n7,b\n", "p.csv"),
        cells(tmp_path, "x,y\n1.125,a\n2.125,b\n", "q.csv"),
    ]  # fmt: skip
    schema = Schema.infer(tables)
    assert (schema.columns["x"].decimal, schema.columns["x"].high) == (None, 7)
    found = [value for table in tables for value in schema.apply(table)["x"]]
    assert found == [1.5, 0.125, 2.5, 7.0, 1.125, 2.125]
    unclear = cells(tmp_path, "x;y\n1.125;a\n", "r.csv")
    assert refused(lambda: schema.apply(unclear)) == (
        "column 'x': its numbers may have a decimal point or comma, expected 'decimal' to say which"
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(["1", "2.5", "a", "01", "", "1.0", "true", "-9"]),
                       st.integers(-5, 5).map(str), st.floats(-9, 9).map(repr)),
             min_size=1, max_size=12),
    st.data(),
)  # fmt: skip
def test_a_row_is_read_the_same_whatever_other_rows_are_next_to_it(values, data) -> None:
    schema = Schema.infer([Table.of_frame(pd.DataFrame({"x": values}), "X")])
    whole = schema.apply(pd.DataFrame({"x": values}))
    row = data.draw(st.integers(0, len(values) - 1))
    alone = schema.apply(pd.DataFrame({"x": [values[row]]}))
    if len(whole.columns):
        a, b = whole["x"].iloc[row], alone["x"].iloc[0]
        assert (pd.isna(a) and pd.isna(b)) or a == b


def test_dates_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    text = "at,x\n2026-01-05 06:30,1\n2026-02-01,2\n,3\n"
    table = cells(tmp_path, text)
    schema = Schema.infer([table])
    assert list(schema.apply(table)) == ["x"]
    assert str(schema.notes[0]) == (
        "input columns of dates, left out (the key inputs.dates makes numbers of them): 'at'"
    )
    asked = Schema.infer([table], Roles(dates={"at": ("elapsed", "month", "weekday", "hour")}))
    typed = asked.apply(table)
    np.testing.assert_allclose(typed["at (elapsed)"], [6.5 / 24, 27, np.nan])
    np.testing.assert_array_equal(typed["at (month)"], [1, 2, np.nan])
    np.testing.assert_array_equal(typed["at (weekday)"], [0, 6, np.nan])
    np.testing.assert_array_equal(typed["at (hour)"], [6.5, 0, np.nan])
    stamps = pd.DataFrame({"at": pd.to_datetime(["2026-01-05 06:30"]), "x": [1]})
    np.testing.assert_allclose(asked.apply(stamps)["at (elapsed)"], [6.5 / 24])


def test_day_and_month_that_may_be_swapped_are_refused(tmp_path: Path) -> None:
    table = cells(tmp_path, "at,x\n01/02/2026,1\n03/04/2026,2\n")
    assert refused(lambda: Schema.infer([table], Roles(dates={"at": ("month",)}))) == (
        "column 'at': day and month may be swapped in all of its dates, expected a file with years "
        "first, or with a day above 12"
    )
    sure = cells(tmp_path, "at,x\n01/02/2026,1\n31/04/2026,2\n30/04/2026,3\n")
    typed = Schema.infer([sure], Roles(dates={"at": ("month",)})).apply(sure)
    np.testing.assert_array_equal(typed["at (month)"], [2, np.nan, 4])


def test_whole_numbers_that_a_gap_made_floats_are_whole(tmp_path: Path) -> None:
    tables = [cells(tmp_path, "y\n1\n2\n"), cells(tmp_path, "y,x\n1.0,1\n,2\n3.0,3\n", "b.csv")]
    schema = Schema.infer(tables, Roles(labels={"y": "y"}))
    assert schema.columns["y"].categories == ("1", "2", "3")
    assert schema.apply(tables[1])["y"].dropna().tolist() == ["1", "3"]


def test_a_schema_is_the_same_after_its_file(tmp_path: Path) -> None:
    table = frame_cells(x=[1.5, 2.5], c=["a", "b"], y=["u", "v"], at=["2026-01-01", "2026-01-02"])
    roles = Roles(labels={"y": "y"}, dates={"at": ("elapsed",)})
    schema = Schema.infer([table, frame_cells(c=["c"], y=["u"])], roles)
    schema.to_yaml(tmp_path / "schema.yaml")
    assert Schema.from_yaml(tmp_path / "schema.yaml") == schema
    assert schema.columns["x"].optional
    assert not schema.columns["c"].optional


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("format: 2\n", "format 2, expected 1"),
        ("format: 1\ncolumns: {x: {rol: input}}\n",
         "key 'columns.x.rol': no such key"),
        ("format: 1\ncolumns: {x: {role: inputs}}\n", "key 'columns.x.role': "),
        ("format: [\n", "line 2: cannot be read as YAML: "),
    ],
)  # fmt: skip
def test_a_damaged_schema_is_one_clear_line(tmp_path, text, expected) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(text)
    assert refused(lambda: Schema.from_yaml(path)).startswith(f"{path}: {expected}")


def test_new_rows_are_held_against_those_of_training() -> None:
    rng = np.random.default_rng(0)
    old = pd.DataFrame(
        {"x": rng.uniform(1, 2, 50), "w": rng.uniform(1, 2, 50), "c": ["a", "b"] * 25}
    )
    schema = Schema.infer([Table.of_frame(old, "X")])
    assert new_row_notes(schema, schema.apply(old)) == []
    new = old.assign(x=old["x"] * 1000)
    new.loc[[3, 7], "c"] = ["z", "y"]
    new.loc[1, "w"] = 9
    low, high = schema.columns["x"].low, schema.columns["x"].high
    wide = schema.columns["w"]
    assert new_row_notes(schema, schema.apply(new), ["d"]) == [
        "column 'd' is not there: it counts as missing in all rows",
        f"column 'x': 50 of 50 rows (100.0%: 1, 2, 3, 4, 5, ...) outside of the range seen in "
        f"training, {low:g} to {high:g}; they would be inside if they were not 1000 times as "
        "large: other units?",
        f"column 'w': 1 of 50 rows (2.0%: 2) outside of the range seen in training, {wide.low:g} "
        f"to {wide.high:g}",
        "column 'c': 2 of 50 rows (4.0%: 4, 8) with values that training has not seen: 'z', 'y'",
    ]
