import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.data import infer_tasks, table_source
from labelweave.errors import LabelweaveError
from labelweave.tables import ReadOptions, read_table
from labelweave.tasks import Binary, Multiclass, Multilabel

SPECIES = Multiclass("species", ("oak", "elm"))


def error(call: Callable[[], object]) -> str:
    with pytest.raises(LabelweaveError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(folder: Path, text: str | bytes, name: str = "plants.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_only_the_given_tokens_are_missing(tmp_path):
    path = written(tmp_path, "a,b,c\nNone,1,x\nNA,,none\nnull,3,N/A\n")
    table = read_table(path)
    assert table["a"].isna().tolist() == [False, True, True]
    assert table["a"][0] == "None"
    assert table["c"].tolist() == ["x", "none", "N/A"]
    np.testing.assert_array_equal(table["b"], [1, np.nan, 3])
    none = read_table(path, ReadOptions(missing=("None",)))
    assert none["a"].isna().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (["1", "2"], True),
        (["1.5", " 2"], True),
        (["1e+3", "-.5"], True),
        (["", "NA"], True),
        (["1", "1,5"], True),
        (["0x1F", "0x2A"], False),
        (["true", "FALSE"], True),
        (["0117", "117"], False),
        (["1E2", "3"], False),
        (["1234567890123456789", "1"], False),
        (["1", "one"], False),
    ],
)
def test_a_column_is_numeric_when_every_cell_is_a_number(tmp_path, cells, numeric):
    rows = "".join(f'"{cell}",x\n' for cell in cells)
    table = read_table(written(tmp_path, "a,b\n" + rows))
    assert pd.api.types.is_numeric_dtype(table["a"]) == numeric


def test_integers_stay_integers_and_gaps_give_integer_classes(tmp_path):
    table = read_table(written(tmp_path, "grade,whole,x\n1,1,0\n,2,0\n2,3,0\n"))
    assert table["whole"].dtype == np.int64
    assert infer_tasks([Multiclass("grade")], [table]) == [Multiclass("grade", (1, 2))]
    texts = read_table(tmp_path / "plants.csv", text=["grade"])
    assert infer_tasks([Multiclass("grade")], [texts]) == [Multiclass("grade", ("1", "2"))]


def test_bom_tabs_quotes_and_blank_lines(tmp_path):
    table = read_table(written(tmp_path, '\ufeffa\tb\n"x\ny"\t1\n\nä\t2\n', "plants.tsv"))
    assert table.to_dict("list") == {"a": ["x\ny", "ä"], "b": [1, 2]}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.integers(0, 9)
        ),
        min_size=1,
    )
)
def test_any_text_survives_a_csv_file(tmp_path_factory, rows):
    frame = pd.DataFrame(rows, columns=["text", "number"])
    frame["text"] = "t" + frame["text"]  # never a number, never missing
    path = tmp_path_factory.getbasetemp() / "plants.csv"
    frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    assert read_table(path).to_dict("list") == frame.to_dict("list")


def test_parquet_like_csv(tmp_path):
    frame = pd.DataFrame({"a": ["x", None, "NA"], "b": [1.5, np.nan, -9]})
    frame.set_index("a").to_parquet(tmp_path / "plants.parquet")
    table = read_table(tmp_path / "plants.parquet", ReadOptions(missing=("NA", "-9")))
    gaps = table[["a", "b"]].isna().to_numpy().tolist()
    assert gaps == [[False, False], [True, True], [True, True]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty, expected a header and rows"),
        ("a,b\n", "found no data rows, expected at least one"),
        ("a,b,a\n1,2,3\n", "two columns are named 'a'"),
        (",b\n1,2\n", "column 1 has no name, expected one for every column"),
        ("a,b\n1,2\n\n3\n", "line 4 has 1 values, expected 2 as in the header"),
        (
            "a,b\n1\n1,2,3\n",
            "line 2 has 1 values, expected 2 as in the header (and 1 more such rows)",
        ),
        ('a,b\n"x\ny",2\n1,2,3\n', "line 4 has 3 values, expected 2 as in the header"),
    ],
)
def test_bad_csv(tmp_path, text, expected):
    path = written(tmp_path, text)
    assert error(lambda: read_table(path)) == f"{path}: {expected}"


def test_bad_files(tmp_path):
    written(tmp_path, "a,b\n1,2\n")
    near = tmp_path / "plant.csv"
    assert error(lambda: read_table(near)) == f"{near}: no such file; did you mean 'plants.csv'?"
    nowhere = tmp_path / "none" / "plants.csv"
    assert error(lambda: read_table(nowhere)) == f"{nowhere}: no such file"
    sheet = written(tmp_path, "x", "plants.xls")
    assert error(lambda: read_table(sheet)) == (
        f"{sheet}: unknown suffix '.xls', expected '.csv', '.tsv', '.jsonl', '.ndjson', '.txt', "
        "'.parquet', '.feather', '.arrow', '.xlsx', '.gz', '.zip'; did you mean '.xlsx'?"
    )
    export = written(tmp_path, "[]", "done.json")
    assert error(lambda: read_table(export)).endswith(
        "'.zip'; the export of an annotation tool needs its name, as in format: label_studio"
    )
    parquet = written(tmp_path, "x", "plants.parquet")
    assert error(lambda: read_table(parquet)) == f"{parquet}: not a readable Parquet file"
    pd.DataFrame({"a": [[1], [2]]}).to_parquet(parquet)
    assert "column 'a' holds list<" in error(lambda: read_table(parquet))


def plants() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": [1.0, 2.0, 3.0],
            "site": ["a", "a", None],
            "species": ["oak", None, "elm"],
            "lobed": [1, 0, None],
            "hairy": ["yes", "no", ""],
        }
    )


def test_rest_leaves_out_labels_group_and_excluded():
    tasks = [SPECIES, Multilabel("leaf", ("lobed", "hairy")), Binary("edible")]
    source = table_source("a", plants().assign(note="-"), tasks, group="site", exclude=["note"])
    assert list(source.inputs.columns) == ["x"]
    assert source.annotations.labels["species"].tolist() == [0, -1, 1]
    assert source.annotations.labels["leaf"].tolist() == [[1, 1], [0, 0], [-1, -1]]
    assert source.annotations.labels["edible"].tolist() == [[-1], [-1], [-1]]
    assert source.groups is not None
    assert source.groups[:2].tolist() == ["a", "a"]


def test_a_label_of_another_task_is_no_input_of_rest():
    source = table_source("a", plants(), [SPECIES, Binary("hairy")], exclude=["site"])
    assert list(source.inputs.columns) == ["x", "lobed"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"inputs": ["x", "species"]},
         "column 'species' is a label column of task 'species' and cannot be an input"),
        ({"inputs": ["x", "hairy"]},
         "column 'hairy' is a label column of task 'leaf' and cannot be an input"),
        ({"inputs": ["site"], "group": "site"},
         "column 'site' is the group and cannot be an input"),
        ({"inputs": ["x"], "exclude": ["x"]}, "column 'x' is excluded and cannot be an input"),
        ({"inputs": ["x", "x"]}, "two columns are named 'x'"),
        ({"inputs": "x"}, "found inputs 'x', expected 'rest' or a list"),
        ({"inputs": []}, "no input column is left of 'x', 'site', 'species', 'lobed', 'hairy'"),
        ({"group": "sit"}, "no column 'sit', found 'x', 'site', 'species', 'lobed', 'hairy'; "
         "did you mean 'site'?"),
        ({"split": "tests"}, "unknown split 'tests', expected 'train', 'validation', 'test'; "
         "did you mean 'test'?"),
    ],
)  # fmt: skip
def test_bad_columns(options, expected):
    tasks = [SPECIES, Multilabel("leaf", ("lobed", "hairy"))]
    found = error(lambda: table_source("a", plants(), tasks, **options))
    assert found.startswith("source 'a'")
    assert found.endswith(f": {expected}")


def test_a_label_column_in_other_letters_is_refused_as_an_input():
    table = plants().rename(columns={"species": "Species "})
    assert error(lambda: table_source("a", table, [SPECIES])) == (
        "source 'a': column 'Species ' would be an input, but is nearly 'species', "
        "a label column of task 'species'; rename or exclude it"
    )


def test_label_errors_carry_file_and_row(tmp_path):
    path = written(tmp_path, "x,species\n1,oak\n2,NA\n3,oka\n")
    expected = "row 3, column 'species': unknown label 'oka'; expected 'oak', 'elm'"
    near = "; did you mean 'oak'?"
    assert error(lambda: table_source("a", path, [SPECIES])) == f"{path}: {expected}{near}"
    table = read_table(path)
    assert error(lambda: table_source("a", table, [SPECIES], place="p.csv")) == (
        f"p.csv: {expected}{near}"
    )


def test_classes_come_from_all_tables():
    tables = [
        pd.DataFrame({"species": ["oak", None]}),
        pd.DataFrame({"x": [1]}),
        pd.DataFrame({"species": ["ash", "oak"]}),
    ]
    tasks = infer_tasks([Multiclass("species"), Binary("edible")], tables)
    assert tasks == [Multiclass("species", ("ash", "oak")), Binary("edible")]
    assert error(lambda: infer_tasks([Multiclass("specie")], tables)) == (
        "task 'specie': no table has a column 'specie' to take its classes from; "
        "did you mean 'species'?"
    )
