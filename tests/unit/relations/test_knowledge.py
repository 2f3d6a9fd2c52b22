import re
import warnings

import numpy as np
import pandas as pd
import pytest

from labelweave.errors import LabelweaveError, LabelweaveWarning
from labelweave.relations import read_knowledge
from labelweave.tables import ReadOptions
from labelweave.tasks import Binary, Multiclass, Multilabel

EMOTION = Multiclass("emotion", ("joy", "fear", "calm"))
VALENCE = Multiclass("valence", ("bad", "good"))
UNITS = Multilabel("units", ("AU1", "AU4", "AU12"))
MASK = Binary("mask")
SMELL = Binary("smell", "foul", "fresh")
TASKS = (EMOTION, VALENCE, UNITS, MASK, SMELL)


def message(error):
    return f"^{re.escape(error)}$"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_columns_named_by_task_hold_classes(write):
    path = write("emotion,valence,mask,smell\njoy,good,yes,foul\ncalm,,0.25,fresh\n")
    valence, mask, smell = read_knowledge(path, "emotion", TASKS, strength=0.5)
    assert valence.table.tolist() == [[0, 1], [0, 0], [0, 0]]
    assert valence.mask.tolist() == [[True, True], [False, False], [False, False]]
    assert mask.table[:, 0].tolist() == [1, 0, 0.25]
    assert mask.mask[:, 0].tolist() == [True, False, True]
    assert smell.table[:, 0].tolist() == [1, 0, 0]
    assert smell.mask[:, 0].tolist() == [True, False, True]
    assert {r.strength for r in (valence, mask, smell)} == {0.5}
    assert str(mask.origin) == "knowledge table table.csv"


def test_columns_named_by_class_or_label_hold_weights(write):
    path = write("\ufeffwhich, AU12 ,units=AU1,good,bad\n fear ,0,.5,0.2,.8\njoy,1,,1,\n")
    units, valence = read_knowledge(path, "emotion", TASKS)
    assert units.table.tolist() == [[0, 0, 1], [0.5, 0, 0], [0, 0, 0]]
    assert units.mask.tolist() == [[False, False, True], [True, False, True], [False] * 3]
    assert np.allclose(valence.table, [[0, 1], [0.8, 0.2], [0, 0]])
    assert valence.mask[:, 0].tolist() == [True, True, False]
    only = read_knowledge(path, "emotion", TASKS, targets=["valence"])
    assert [r.name for r in only] == ["emotion->valence"]


def test_short_lines_are_unknown_cells(write):
    (units,) = read_knowledge(write("emotion,AU1,AU4\njoy,1\nfear\n"), "emotion", TASKS)
    assert units.mask.tolist() == [[True, False, False], [False] * 3, [False] * 3]


def test_names_of_two_tasks_need_the_task(write):
    tasks = (EMOTION, Multilabel("left", ("up", "a=b")), Multilabel("right", ("up", "down")))
    relations = read_knowledge(
        write("emotion,right=up,left=a=b,down\njoy,1,0.5,0\n"), "emotion", tasks
    )
    right, left = relations
    assert (right.target.name, right.table[0].tolist()) == ("right", [1, 0])
    assert (left.target.name, left.table[0].tolist()) == ("left", [0, 0.5])


def test_a_data_frame_of_numbers():
    tasks = (Multiclass("level", (1, 2)), Multiclass("grade", (7, 8)), MASK)
    frame = pd.DataFrame({"level": [2.0, 1.0], "grade": [7.0, np.nan], "mask": [True, 0.5]})
    grade, mask = read_knowledge(frame, "level", tasks)
    assert grade.table.tolist() == [[0, 0], [1, 0]]
    assert mask.table[:, 0].tolist() == [0.5, 1]
    assert str(mask.origin) == "knowledge table table"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "emotion,AU1\njoi,1\n",
            "table.csv: row 'joi' is no class of task 'emotion', expected 'joy', 'fear', 'calm'; "
            "did you mean 'joy'?",
        ),
        (
            "emotion,AU1\njoy,1\njoy,0\n",
            "table.csv: class 'joy' has two rows, expected one",
        ),
        (
            "emotion,AU13\njoy,1\n",
            "table.csv: column 'AU13' is no task, class or label; did you mean 'AU1'?",
        ),
        (
            "emotion,units\njoy,1\n",
            "table.csv: column 'units' is a task of several labels, expected one of them: 'AU1', "
            "'AU4', 'AU12'",
        ),
        (
            "which,emotion\njoy,joy\n",
            "table.csv: column 'emotion' relates the task to itself",
        ),
        (
            "emotion,AU1,AU1\njoy,1,1\n",
            "{path}: two columns are named 'AU1'",
        ),
        (
            "emotion,AU1, AU1\njoy,1,1\n",
            "{path}: two columns are named 'AU1'",
        ),
        (
            "emotion,AU1,units=AU1\njoy,1,1\n",
            "table.csv: columns 'AU1' and 'units=AU1' mean the same, expected one of them",
        ),
        (
            "emotion,AU1\njoy,1.5\n",
            "table.csv: row 'joy', column 'AU1': found '1.5', expected a probability from 0 to 1",
        ),
        (
            "emotion,AU1\njoy,nan\n",
            "table.csv: row 'joy', column 'AU1': found 'nan', expected a probability from 0 to 1",
        ),
        (
            "emotion,AU1\njoy,often\n",
            "table.csv: row 'joy', column 'AU1': found 'often', expected a probability from 0 to 1",
        ),
        (
            "emotion,mask\njoy,7\n",
            "table.csv: row 'joy', column 'mask': found '7', expected a probability from 0 "
            "to 1 or one of '1', 'true', 'yes', '0', 'false', 'no'",
        ),
        (
            "emotion,smell\nfear,fould\n",
            "table.csv: row 'fear', column 'smell': found 'fould', expected a probability "
            "from 0 to 1 or one of 'foul', 'fresh'; did you mean 'foul'?",
        ),
        (
            "emotion,valence\nfear,goood\n",
            "table.csv: row 'fear', column 'valence': 'goood' is no class of task 'valence', "
            "expected 'bad', 'good'; did you mean 'good'?",
        ),
        (
            "emotion,good\nfear,0.7\n",
            "table.csv: relation emotion->valence: row 'fear' sums to 0.7, expected 1",
        ),
        (
            "emotion\njoy\n",
            "table.csv: found 1 rows and 1 columns, expected a column of classes and at least one "
            "column about them",
        ),
        (
            "emotion,AU1\n",
            "{path}: found no data rows, expected at least one",
        ),
    ],
)
def test_bad_tables(write, text, error):
    path = write(text)
    with pytest.raises(LabelweaveError, match=message(error.replace("{path}", str(path)))):
        read_knowledge(path, "emotion", TASKS)


def test_files_that_are_no_table(write, tmp_path):
    with pytest.raises(LabelweaveError, match=r"table\.csv: the file is empty, expected a header"):
        read_knowledge(write(""), "emotion", TASKS)
    with pytest.raises(
        LabelweaveError, match=r"tabel\.csv: no such file; did you mean 'table\.csv"
    ):
        read_knowledge(tmp_path / "tabel.csv", "emotion", TASKS)
    with pytest.raises(LabelweaveError, match=r"found a folder, expected a table"):
        read_knowledge(tmp_path, "emotion", TASKS)
    with pytest.raises(LabelweaveError, match=r"table: found 3, expected the path of a table, or"):
        read_knowledge(3, "emotion", TASKS)
    with pytest.raises(LabelweaveError, match=r"line 3 has 4 values, expected 3 as in the header"):
        read_knowledge(write("emotion,AU1,AU4\njoy,1\nfear,1,0,0\n"), "emotion", TASKS)
    with pytest.raises(LabelweaveError, match=r'line 2: a quote \("\) opens that no quote closes'):
        read_knowledge(write('emotion,AU1,AU4\n"joy,1\nfear,1,0\n'), "emotion", TASKS)
    binary = tmp_path / "photo.csv"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(LabelweaveError, match=r"photo\.csv"):
        read_knowledge(binary, "emotion", TASKS)


FILLED = pd.DataFrame({"emotion": ["joy", "fear"], "AU1": [0.25, 0.0], "mask": [0.5, None]})
EXPORTS = {
    "semicolons.csv": lambda path: FILLED.to_csv(path, sep=";", decimal=",", index=False),
    "tabs.tsv": lambda path: FILLED.to_csv(path, sep="\t", index=False),
    "packed.csv.gz": lambda path: FILLED.to_csv(path, index=False),
    "excel.csv": lambda path: path.write_text(
        "sep=;\nemotion;AU1;mask\njoy;,25;0,5\nfear;0\n", encoding="utf-16"
    ),
    "book.xlsx": lambda path: FILLED.to_excel(path, index=False),
    "rows.parquet": lambda path: FILLED.to_parquet(path),
    "rows.feather": lambda path: FILLED.to_feather(path),
    "rows.jsonl": lambda path: FILLED.to_json(path, orient="records", lines=True),
}


@pytest.mark.filterwarnings("ignore::labelweave.errors.LabelweaveWarning")
@pytest.mark.parametrize("name", EXPORTS)
def test_tables_of_every_kind_give_the_same_relations(name, tmp_path):
    EXPORTS[name](tmp_path / name)
    units, mask = read_knowledge(tmp_path / name, "emotion", TASKS)
    assert units.table[:, 0].tolist() == [0.25, 0, 0]
    assert units.mask[:, 0].tolist() == [True, True, False]
    assert mask.table[:, 0].tolist() == [0.5, 0, 0]
    assert mask.mask[:, 0].tolist() == [True, False, False]
    assert str(mask.origin) == f"knowledge table {name}"


def test_a_table_in_japanese_encoding_is_read_and_reported(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("感情;笑顔\n喜び;0,75\n恐れ;0\n", encoding="cp932")
    tasks = (Multiclass("感情", ("喜び", "恐れ")), Binary("笑顔"))
    with pytest.warns(LabelweaveWarning, match=r"';'.*cp932"):
        (smile,) = read_knowledge(path, "感情", tasks)
    assert smile.table[:, 0].tolist() == [0.75, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_knowledge(path, "感情", tasks, read=ReadOptions(sep=";", encoding="cp932"))


def test_the_first_column_needs_no_name(write, tmp_path):
    by_csv = read_knowledge(write(",AU1\njoy,1\n"), "emotion", TASKS)
    pd.DataFrame({"AU1": [1]}, index=["joy"]).to_excel(tmp_path / "book.xlsx")
    by_excel = read_knowledge(tmp_path / "book.xlsx", "emotion", TASKS)
    for (units,) in (by_csv, by_excel):
        assert units.table.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("source", "targets", "error"),
    [
        ("emotions", None, "table: no task 'emotions'; did you mean 'emotion'?"),
        (
            "units",
            None,
            "table: the source task 'units' is multilabel, expected multiclass",
        ),
        ("emotion", ["mask"], "table: says nothing about task 'mask'"),
        ("emotion", ["unit"], "table: says nothing about task 'unit'; did you mean 'units'?"),
    ],
)
def test_bad_sources_and_targets(source, targets, error):
    frame = pd.DataFrame({"emotion": ["joy"], "AU1": [1]})
    with pytest.raises(LabelweaveError, match=message(error)):
        read_knowledge(frame, source, TASKS, targets=targets)


def test_an_ambiguous_column():
    tasks = (EMOTION, Multilabel("left", ("up",)), Multiclass("way", ("up", "down")))
    frame = pd.DataFrame({"emotion": ["joy"], "up": [1]})
    error = "table: column 'up' is ambiguous, write one of 'left=up', 'way=up'"
    with pytest.raises(LabelweaveError, match=message(error)):
        read_knowledge(frame, "emotion", tasks)
