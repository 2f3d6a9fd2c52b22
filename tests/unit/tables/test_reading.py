"""Files as stations, offices and programs write them: read as they are, or refused in one line."""

import datetime
import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave._files import csv_text, write_csv
from labelweave.errors import LabelweaveError
from labelweave.tables import ReadOptions, Roles, Schema, Table, read_cells, read_folder
from labelweave.tables._folders import other_files


def put(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(table: Table) -> dict[str, list[str | None]]:
    return {name: table.cells[name].to_pylist() for name in table.columns}


def typed(table: Table) -> dict[str, list[object]]:
    return Schema.infer([table]).apply(table).to_dict("list")


def refused(path: Path, read: ReadOptions | None = None) -> str:
    with pytest.raises(LabelweaveError) as caught:
        read_cells(path, read)
    assert "\n" not in str(caught.value)
    return str(caught.value)


STATION = "型番;判定 ;トルク\n0117;良;3,4\n007;NG;12,25\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_a_station_in_japan_is_read_as_it_is(tmp_path: Path, encoding: str) -> None:
    table = read_cells(put(tmp_path, STATION.encode(encoding)))
    assert table.columns == ["型番", "判定", "トルク"]
    assert typed(table) == {"型番": ["0117", "007"], "判定": ["良", "NG"], "トルク": [3.4, 12.25]}
    found = "utf-8 (BOM)" if encoding == "utf-8-sig" else encoding
    assert [str(note) for note in table.notes] == [
        f"{tmp_path}/a.csv: columns separated by ';', encoding {found}",
        f"{tmp_path}/a.csv: blanks around column names are left out: '判定 '",
    ]


def test_a_byte_order_mark_alone_is_reported(tmp_path: Path) -> None:
    path = put(tmp_path, "a,b\n1,2\n".encode("utf-8-sig"))
    table = read_cells(path)
    assert table.columns == ["a", "b"]
    assert [str(note) for note in table.notes] == [
        f"{path}: columns separated by ',', encoding utf-8 (BOM)"
    ]
    assert read_cells(path, ReadOptions(sep=",", encoding="utf-8")).notes == ()


@pytest.mark.parametrize("text", ["größe,b\n1,grün\n", "a,b\n1,°C\n2,µm\n", "prix,b\n1,5 €\n"])
def test_a_western_file_is_read(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, text.encode("cp1252"))
    assert texts(read_cells(path)) == texts(read_cells(put(tmp_path, text, "b.csv")))


def test_letters_far_down_a_file_decide_its_encoding(tmp_path: Path) -> None:
    path = put(tmp_path, ("a,b\n" + "1,x\n" * 100_000 + "1,grün\n").encode("latin-1"))
    assert read_cells(path).cells["b"][-1].as_py() == "grün"


def test_options_of_a_file_win(tmp_path: Path) -> None:
    path = put(tmp_path, "a|b\n1,5|é\n".encode("latin-1"))
    read = ReadOptions(sep="|", decimal=",", encoding="latin-1")
    table = read_cells(path, read)
    assert typed(table) == {"a": [1.5], "b": ["é"]}
    assert table.notes == ()
    assert refused(path, ReadOptions(encoding="utf-8")) == (
        f"{path}: line 2 is no utf-8 text, expected one; give the encoding by "
        "'read: {encoding: ...}'"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sep": ";;"}, "sep: found ';;', expected one character, such as ';'"),
        ({"decimal": ";"}, "decimal: found ';', expected '.', ','"),
        ({"thousands": "."}, "thousands: found '.', expected another mark than the decimal one"),
        ({"encoding": "cp923"}, "encoding: found 'cp923', expected a name such as utf-8, cp932 or "
         "latin-1; did you mean 'cp932'?"),
        ({"sheet": 0}, "sheet: found 0, expected a name, or 1 or more"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options, expected) -> None:
    with pytest.raises(LabelweaveError) as caught:
        ReadOptions(**options)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,5", "2,25"], [1.5, 2.25]),
        (["1.234,5", "2"], [1234.5, 2]),
        (["1,234.5", "2"], [1234.5, 2]),
        (["1 234,5", "2"], [1234.5, 2]),
        (["1'234.5", "2"], [1234.5, 2]),
        (["1.5", "2"], [1.5, 2]),
    ],
)
def test_marks_of_numbers_are_found(tmp_path: Path, cells, numbers) -> None:
    path = put(tmp_path, "x\ty\n" + "".join(f"{cell}\ta\n" for cell in cells), "a.tsv")
    assert typed(read_cells(path))["x"] == numbers


def test_what_could_be_thousands_follows_the_rest_of_the_file(tmp_path: Path) -> None:
    german = read_cells(put(tmp_path, "n;x\n1.234;0,5\n2.500;1,5\n"))
    assert typed(german) == {"n": [1234, 2500], "x": [0.5, 1.5]}
    plain = read_cells(put(tmp_path, "n;x\n1.234;0.5\n2.500;1.5\n"))
    assert typed(plain) == {"n": [1.234, 2.5], "x": [0.5, 1.5]}


def test_an_unclosed_quote_is_found_wherever_it_ends(tmp_path: Path) -> None:
    rows = "".join(f"{i},x\n" for i in range(51))
    line = 'a quote (") opens that no quote closes in its row (read on to line {}); close it, or '
    line += 'write "" for a quote in a text'
    path = put(tmp_path, 'a,b\n1,"abc\n' + rows)
    assert refused(path) == f"{path}: line 2: {line.format(53)}"
    path = put(tmp_path, 'a,b,c\n1,"abc,2\n' + "3,x,y\n" * 9 + '3,def",4\n5,6,7\n')
    assert refused(path) == f"{path}: line 2: {line.format(12)}"
    path = put(tmp_path, 'a,b\n1,"abc\n2,"def"\n')
    assert refused(path).startswith(f"{path}: line 2: ")
    whole = read_cells(put(tmp_path, 'a,b\n1,"two\nlines, and a ""quote"""\n2,5" pipe\n'))
    assert texts(whole)["b"] == ['two\nlines, and a "quote"', '5" pipe']


def test_small_oddities_of_spreadsheets_are_read(tmp_path: Path) -> None:
    assert texts(read_cells(put(tmp_path, "sep=;\na;b\n1;2\n"))) == {"a": ["1"], "b": ["2"]}
    table = read_cells(put(tmp_path, "a,b,\n1,2,\n3,4,\n"))
    assert table.columns == ["a", "b"]
    assert [str(note) for note in table.notes] == [
        f"{tmp_path}/a.csv: 1 empty column without a name is left out"
    ]


def test_packed_files_are_read(tmp_path: Path) -> None:
    packed = put(tmp_path, gzip.compress(b"a,b\n1,2\n"), "a.csv.gz")
    assert texts(read_cells(packed)) == {"a": ["1"], "b": ["2"]}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.csv", "a\n1\n")
        archive.writestr("y.csv", "a\n2\n")
    path = put(tmp_path, buffer.getvalue(), "a.csv.zip")
    assert texts(read_cells(path, ReadOptions(sheet="y.csv"))) == {"a": ["2"]}
    assert refused(path) == (
        f"{path}: found the files 'x.csv', 'y.csv', expected one; choose it by 'sheet'"
    )
    broken = put(tmp_path, b"no archive", "b.csv.gz")
    assert refused(broken).startswith(f"{broken}: not a readable archive (")


def test_a_workbook_is_read_by_its_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    first = book.active
    first.title = "notes"
    first.append(["x"])
    first.append([1])
    sheet = book.create_sheet("rows")
    sheet.append(["serial", " x", "on", "at", "y"])
    sheet.append(["0117", 1.5, True, datetime.datetime(2026, 1, 2, 3, 4), "OK"])
    sheet.append([None, 3, False, None, None])
    path = tmp_path / "a.xlsx"
    book.save(path)
    for chosen in ("rows", 2):
        table = read_cells(path, ReadOptions(sheet=chosen))
        roles = Roles(labels={"y": "y"}, dates={"at": ("hour",)}, identifiers=["serial"])
        frame = Schema.infer([table], roles).apply(table)
        assert frame["serial"].dropna().tolist() == ["0117"]
        assert frame["x"].tolist() == [1.5, 3]
        assert frame["on"].tolist() == [1, 0]
        np.testing.assert_allclose(frame["at (hour)"], [3 + 4 / 60, np.nan])
    assert [str(note) for note in read_cells(path).notes] == [
        f"{path}: sheet 'notes' is read, not 'rows'"
    ]
    assert refused(path, ReadOptions(sheet="row")) == (
        f"{path}: no sheet 'row', found 'notes', 'rows'; did you mean 'rows'?"
    )
    damaged = put(tmp_path, b"no workbook", "b.xlsx")
    assert refused(damaged) == f"{damaged}: not a readable workbook (.xlsx)"


def test_json_lines_keep_the_text_of_numbers(tmp_path: Path) -> None:
    path = put(tmp_path, '{"a": 250.00, "b": "x"}\n\n{"a": 1e-3, "c": true}\n', "a.jsonl")
    assert texts(read_cells(path)) == {
        "a": ["250.00", "1e-3"], "b": ["x", None], "c": [None, "true"],
    }  # fmt: skip
    broken = put(tmp_path, '{"a": 1}\n{"a": \n', "b.jsonl")
    assert refused(broken) == f"{broken}: line 2 is no JSON, expected one object a line"
    nested = put(tmp_path, '{"a": [1]}\n', "c.jsonl")
    assert refused(nested) == (
        f"{nested}: line 1, 'a': found a list or an object, expected one value"
    )


def test_files_of_a_pattern_are_one_table(tmp_path: Path) -> None:
    put(tmp_path, "a,b\n1,x\n", "lab_1.csv")
    put(tmp_path, "b,a\ny,2\n", "lab_2.csv")
    table = read_cells(tmp_path / "lab_*.csv")
    assert texts(table) == {"a": ["1", "2"], "b": ["x", "y"]}
    put(tmp_path, "a,c\n1,x\n", "lab_3.csv")
    assert refused(tmp_path / "lab_*.csv") == (
        f"{tmp_path}/lab_3.csv: no column 'b', which {tmp_path}/lab_1.csv has; expected the same "
        f"columns in all files of '{tmp_path}/lab_*.csv'"
    )
    assert refused(tmp_path / "other_*.csv") == f"{tmp_path}/other_*.csv: no file fits this pattern"


def test_columns_are_renamed_values_mapped_and_tables_joined(tmp_path: Path) -> None:
    table = read_cells(put(tmp_path, "id,トルク,r\n01,1.5,OK\n02,2.5,良\n03,3.5,?\n"))
    table = table.renamed({"トルク": "torque"}).mapped({"r": {"OK": "ok", "良": "ok", "?": None}})
    other = read_cells(put(tmp_path, "id,y\n02,b\n01,a\n09,c\n", "b.csv"))
    joined = table.joined(other, "id")
    assert texts(joined) == {
        "id": ["01", "02", "03"], "torque": ["1.5", "2.5", "3.5"], "r": ["ok", "ok", None],
        "y": ["a", "b", None],
    }  # fmt: skip
    assert str(joined.notes[-1]) == (
        f"{tmp_path}/a.csv: 2 of 3 rows have a row in {tmp_path}/b.csv; 1 of its rows fit none"
    )
    for call, expected in [
        (lambda: table.renamed({"トルク": "x"}), "no column 'トルク', found 'id', 'torque', 'r'"),
        (lambda: table.mapped({"r": {"NG": "ng"}}), "map: column 'r' has no value 'NG'"),
        (lambda: table.joined(other, "serial"), "no column 'serial'"),
    ]:
        with pytest.raises(LabelweaveError, match=r"a\.csv: ") as caught:
            call()
        assert expected in str(caught.value)
    twice = read_cells(put(tmp_path, "id,y\n02,b\n02,a\n", "c.csv"))
    with pytest.raises(LabelweaveError, match="column 'id' has '02' twice, expected each value"):
        table.joined(twice, "id")


def test_endings_of_images_and_what_is_left_out(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.TIF", "c.png", "notes.txt", ".hidden.txt"):
        (tmp_path / name).touch()
    assert read_folder(tmp_path, "image")["image"].tolist() == ["a.jfif", "b.TIF", "c.png"]
    assert other_files(tmp_path) == ["notes.txt"]


FRAME = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1),
        st.floats(allow_nan=False, allow_infinity=False, width=64),
        st.integers(-(2**53) + 1, 2**53 - 1),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(FRAME, st.booleans(), st.booleans())
def test_any_table_that_is_written_is_read_back(tmp_path_factory, rows, bom, formulas) -> None:
    frame = pd.DataFrame(rows, columns=["text", "real", "whole"])
    folder = tmp_path_factory.getbasetemp()
    write_csv(folder / "r.csv", frame, bom=bom, formulas=formulas)
    frame.to_parquet(folder / "r.parquet")
    pyarrow.feather.write_feather(pa.Table.from_pandas(frame), folder / "r.feather")
    frame.to_json(folder / "r.jsonl", orient="records", lines=True, double_precision=15)
    for suffix in ("csv", "parquet", "feather"):
        table = read_cells(folder / f"r.{suffix}", ReadOptions(missing=("",), encoding="utf-8"))
        found = Schema.infer([table], Roles(identifiers=["text"])).apply(table)
        if not formulas or suffix != "csv":
            assert found["text"].tolist() == frame["text"].tolist(), suffix
        np.testing.assert_array_equal(found["real"], frame["real"])
        np.testing.assert_array_equal(found["whole"], frame["whole"])


@settings(max_examples=30, deadline=None)
@given(FRAME)
def test_clean_files_are_read_as_pandas_and_arrow_read_them(tmp_path_factory, rows) -> None:
    frame = pd.DataFrame(rows, columns=["text", "real", "whole"])
    frame["text"] = ["w" + str(i) for i in range(len(frame))]
    path = tmp_path_factory.getbasetemp() / "clean.csv"
    frame.to_csv(path, index=False)
    table = read_cells(path)
    found = Schema.infer([table]).apply(table)
    pandas = pd.read_csv(path, float_precision="round_trip")
    arrow = pyarrow.csv.read_csv(path).to_pandas()
    for other in (pandas, arrow):
        for name in ("real", "whole"):
            np.testing.assert_array_equal(found[name], other[name].astype(np.float64))
        assert found["text"].tolist() == other["text"].tolist()


def test_cells_that_start_a_formula_are_texts_for_a_spreadsheet() -> None:
    frame = pd.DataFrame({"=a": ["=1+1", "-1.5", "@x", "'=x", "plain"], "x": [-1.0, 2, 3, 4, 5]})
    lines = csv_text(frame).splitlines()
    assert lines == ["'=a,x", "'=1+1,-1.0", "-1.5,2.0", "'@x,3.0", "''=x,4.0", "plain,5.0"]
    assert csv_text(frame, formulas=True).startswith("=a,x\n=1+1,")
    assert csv_text(frame, bom=True)[0] == "\ufeff"
