import json
from pathlib import Path
from typing import Any

import annotation_files as files
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from annotation_files import DEFECTS, SEVERITIES, Row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelweave.errors import LabelweaveError
from labelweave.importers import read_annotations
from labelweave.importers._label_studio import labelling_page, prelabelled
from labelweave.importers._prodigy import choice_line

NAMES = {
    "label_studio": "export.json", "prodigy": "export.jsonl", "hugging_face": "train.parquet",
    "coco": "instances.json", "datumaro": "items.json", "cvat": "annotations.xml",
}  # fmt: skip
ROWS = [
    Row("a.png", 3, "minor", ("scratch", "dent")),
    Row("b.png", 5, None, ("割れ",)),
    Row("c.png", 8, "major", None),
    Row("d.png", 9, "none at all", ()),
]


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def cells(frame: pd.DataFrame, column: str) -> list[Any]:
    return [None if pd.isna(value) else value for value in frame[column]]


def read_one(path: Path, format: str, **options: Any) -> Any:
    (found,) = read_annotations(path, format, **options)
    return found


rows = st.lists(
    st.builds(
        Row,
        image=st.text("abc/ü部", min_size=1, max_size=8).filter(str.strip),
        size=st.integers(-(2**53), 2**53),
        severity=st.sampled_from([None, *SEVERITIES]),
        defects=st.none() | st.lists(st.sampled_from(DEFECTS), unique=True).map(tuple),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row.image,
)


@pytest.mark.parametrize("format", ["label_studio", "prodigy", "hugging_face"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows)
def test_what_is_written_is_read_back(format: str, rows: list[Row], tmp_path: Path) -> None:
    if not any(row.severity for row in rows) or not any(row.defects for row in rows):
        rows = [*rows, Row("last", 1, "minor", ("dent",))]
    path = tmp_path / NAMES[format]
    getattr(files, format)(path, rows)
    multiple = ["defects"] if format == "label_studio" else []
    found = read_one(path, format, unticked="no", multiple=multiple)
    assert cells(found.frame, "image") == [row.image for row in rows]
    assert found.frame["size"].tolist() == [row.size for row in rows]
    assert cells(found.frame, "severity") == [row.severity for row in rows]
    options = {option for row in rows for option in row.defects or ()}
    for option in DEFECTS if format != "label_studio" else options:
        expected = [
            None if r.defects is None else "yes" if option in r.defects else "no" for r in rows
        ]
        assert cells(found.frame, f"defects.{option}") == expected


@pytest.mark.parametrize("format", ["coco", "datumaro", "cvat"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows)
def test_objects_become_labels_of_their_image(format: str, rows: list[Row], tmp_path: Path) -> None:
    rows = [*rows, Row("last", 1, "minor", DEFECTS)]
    path = tmp_path / NAMES[format]
    getattr(files, format)(path, rows)
    found = read_one(path, format, unticked="no")
    assert cells(found.frame, "image") == [row.image for row in rows]
    assert cells(found.frame, "severity") == [row.severity if row.defects else None for row in rows]
    for option in DEFECTS:
        expected = ["yes" if option in (row.defects or ()) else "no" for row in rows]
        assert cells(found.frame, f"category.{option}") == expected
    assert found.licence == ("CC BY 4.0" if format == "coco" else None)


def test_a_described_data_set_gives_names_parts_and_licence(tmp_path: Path) -> None:
    files.croissant(tmp_path / "croissant.json", ROWS)
    found = read_one(tmp_path / "croissant.json", "croissant")
    assert list(found.frame) == ["image", "size", "severity", "part"]
    assert cells(found.frame, "severity") == [row.severity for row in ROWS]
    assert cells(found.frame, "part") == ["validation", "train", "validation", "train"]
    assert (found.part, found.licence) == ("part", "https://creativecommons.org/licenses/by/4.0/")
    assert found.tasks == ({"name": "severity", "kind": "multiclass"},)
    assert found.notes == ("left out: 1 columns of parts.csv that no field names",)
    source = found.source("parts")
    assert list(source.inputs) == ["image", "size"]
    assert source.annotations.labels["severity"].tolist() == [1, -1, 0, 2]


def test_a_box_that_is_not_ticked_is_missing_unless_said_to_be_no(tmp_path: Path) -> None:
    files.label_studio(tmp_path / "x.json", ROWS)
    open_ = read_one(tmp_path / "x.json", "label_studio")
    assert cells(open_.frame, "defects.dent") == ["yes", None, None, None]
    assert open_.notes == (
        "only what holds is known of 'defects'; 'unticked: no' says that the rest does not",
    )
    closed = read_one(tmp_path / "x.json", "label_studio", unticked="no")
    assert cells(closed.frame, "defects.dent") == ["yes", "no", None, "no"]
    assert closed.notes == ()
    codes = closed.source("x").annotations.labels["defects"]
    assert codes.tolist() == [[1, 1, 0], [0, 0, 1], [-1, -1, -1], [0, 0, 0]]


def several_annotators() -> list[dict[str, Any]]:
    def annotation(who: object, choice: str, **changes: Any) -> dict[str, Any]:
        result = {
            "from_name": "ok", "to_name": "image", "type": "choices", "value": {"choices": [choice]}
        }  # fmt: skip
        return {"completed_by": who, "result": [result]} | changes

    bo = {"id": 2, "email": "bo@example.org"}
    return [
        {
            "data": {"x": 1},
            "annotations": [annotation(1, "yes"), annotation(bo, "yes"), annotation(3, "no")],
        },
        {"data": {"x": 2}, "annotations": [annotation(1, "yes"), annotation(bo, "no")]},
        {
            "data": {"x": 3},
            "annotations": [annotation(1, "no"), annotation(bo, "yes", was_cancelled=True)],
        },
        {"data": {"x": 4}, "annotations": []},
    ]


def test_annotators_are_joined_by_majority_and_a_tie_is_missing(tmp_path: Path) -> None:
    found = read_one(write(tmp_path, "x.json", several_annotators()), "label_studio")
    assert cells(found.frame, "ok") == ["yes", None, "no", None]
    assert found.notes == (
        "left out: 1 cancelled annotations",
        "annotators disagree without a majority: 1 labels are missing",
    )
    assert found.group is None


def test_annotators_are_kept_apart_on_request_with_their_samples_tied(tmp_path: Path) -> None:
    path = write(tmp_path, "x.json", several_annotators())
    found = read_annotations(path, "label_studio", annotators="separate")
    assert [each.name for each in found] == ["1", "3", "bo@example.org"]
    assert [cells(each.frame, "ok") for each in found] == [
        ["yes", "yes", "no"],
        ["no"],
        ["yes", "no"],
    ]
    assert [each.frame["sample"].tolist() for each in found] == [["1", "2", "3"], ["1"], ["1", "2"]]
    assert {each.group for each in found} == {"sample"}
    assert found[0].source("one").groups.tolist() == ["1", "2", "3"]  # type: ignore[union-attr]


def test_label_studio_reads_ratings_taxonomies_and_local_files(tmp_path: Path) -> None:
    result = [
        {"from_name": "stars", "to_name": "i", "type": "rating", "value": {"rating": 4}},
        {
            "from_name": "kind",
            "to_name": "i",
            "type": "taxonomy",
            "value": {"taxonomy": [["metal", "steel"]]},
        },
        {"from_name": "note", "to_name": "i", "type": "textarea", "value": {"text": ["x"]}},
        {
            "from_name": "kind",
            "to_name": "i",
            "type": "choices",
            "value": {"choices": ["a"], "x": 1},
        },
    ]
    data = {"image": "/data/local-files/?d=shop%20floor/1.png", "meta": {"line": 3}, "boxes": [1]}
    task = {"data": data, "annotations": [{"result": result}]}
    found = read_one(write(tmp_path, "x.json", [task]), "label_studio")
    assert found.frame.to_dict("records") == [
        {"image": "shop floor/1.png", "line": 3, "stars": "4", "kind": "metal / steel"}
    ]
    assert found.notes == (
        "left out: 1 results 'textarea'",
        "left out: 1 results 'choices' of a part of a sample",
        "left out: 1 inputs 'boxes' that hold several values",
    )


def test_a_rejected_label_is_a_negative_one(tmp_path: Path) -> None:
    lines = [
        {"text": "a", "label": "SCRATCH", "answer": "accept"},
        {"text": "a", "label": "DENT", "answer": "reject"},
        {"text": "b", "label": "SCRATCH", "answer": "reject"},
        {"text": "c", "label": "SCRATCH", "answer": "ignore"},
        {"text": "d", "label": "DENT"},
    ]
    path = write(tmp_path, "x.jsonl", "\n".join(map(json.dumps, lines)))
    for unticked in ("missing", "no"):  # labels asked one at a time say nothing of others
        found = read_one(path, "prodigy", unticked=unticked)
        assert cells(found.frame, "text") == ["a", "b", "c", "d"]
        assert cells(found.frame, "label.SCRATCH") == ["yes", "no", None, None]
        assert cells(found.frame, "label.DENT") == ["no", None, None, None]


def test_a_rejected_choice_says_no_to_what_is_ticked_and_leaves_a_class_open(
    tmp_path: Path,
) -> None:
    base = {"options": [{"id": "A"}, {"id": "B"}, {"id": "C"}]}
    multiple = {"config": {"choice_style": "multiple"}, "meta": {"task": "m"}}
    lines = [
        {"text": "a", **base, **multiple, "accept": ["A", "B"], "answer": "reject"},
        {"text": "a", **base, "accept": "A", "answer": "reject"},
        {"text": "b", **base, "accept": ["B"], "answer": "accept"},
    ]
    found = read_one(write(tmp_path, "x.jsonl", "\n".join(map(json.dumps, lines))), "prodigy")
    assert cells(found.frame, "m.A") == ["no", None]
    assert cells(found.frame, "m.C") == [None, None]
    assert cells(found.frame, "choice") == [None, "B"]
    assert found.notes == (
        "left out: 1 rejected choices of one option, which leave the class open",
    )


def test_objects_that_differ_leave_an_attribute_open(tmp_path: Path) -> None:
    text = """<annotations><image id="0" name="a.png">
    <box label="dent"><attribute name="deep">yes</attribute></box>
    <tag label="dent"><attribute name="deep">no</attribute></tag></image>
    <image id="1" name="b.png"><polygon label="dent">
    <attribute name="deep">no</attribute></polygon></image></annotations>"""
    found = read_one(write(tmp_path, "x.xml", text), "cvat")
    assert cells(found.frame, "deep") == [None, "no"]
    assert found.notes == ("objects of one image differ: 1 attributes are missing",)


DATA = {"length": 3.5, "colour": "blau", "old": None}
QUESTIONS = {"surface": ["ok", "rough"], "defects": ["a", "b & c"]}


def test_prelabelled_tasks_are_read_back_once_they_are_annotated(tmp_path: Path) -> None:
    task = prelabelled(DATA, {"surface": ["rough"], "defects": ["a", "b & c"]}, 0.87, "study")
    assert task["predictions"][0]["score"] == 0.87
    path = write(tmp_path, "tasks.json", [task])
    with pytest.raises(LabelweaveError, match="found no answer to any question"):
        read_annotations(path, "label_studio")  # a prediction is no label
    done = task | {"annotations": [{"completed_by": 1, "result": task["predictions"][0]["result"]}]}
    found = read_one(write(tmp_path, "done.json", [done]), "label_studio")
    assert found.frame.to_dict("records") == [
        {**DATA, "surface": "rough", "defects.a": "yes", "defects.b & c": "yes"}
    ]
    page = labelling_page(DATA, QUESTIONS, ["defects"])
    assert '<Table name="row" value="$row"/>' in page
    assert '<Choices name="defects" toName="row" choice="multiple"' in page
    assert '<Choice value="b &amp; c"/>' in page


@pytest.mark.parametrize("data", [DATA, {"text": "round", "size": 2}])
def test_choice_lines_are_read_back_once_they_are_annotated(
    data: dict[str, Any], tmp_path: Path
) -> None:
    lines = [
        choice_line(data, name, options, options[:1], name == "defects", 0.5)
        for name, options in QUESTIONS.items()
    ]
    done = "\n".join(json.dumps(json.loads(line) | {"answer": "accept"}) for line in lines)
    found = read_one(write(tmp_path, "done.jsonl", done), "prodigy", unticked="no")
    assert found.frame.to_dict("records") == [
        {**data, "surface": "ok", "defects.a": "yes", "defects.b & c": "no"}
    ]


DEEP = "[" * 100_000
TASK = {"data": {"x": 1}}
OPTIONS = [{"id": "A"}, {"id": "B"}]
BAD: list[tuple[str, str, Any, str]] = [
    ("label_studio", "x.json", "", "the file is empty"),
    (
        "label_studio",
        "x.json",
        "[{]",
        "column 3: no JSON: Expecting property name enclosed in double quotes",
    ),
    ("label_studio", "x.json", DEEP, "nested deeper than 64"),
    ("label_studio", "x.json", "[" + "1" * 5000 + "]", "holds a number that is too long"),
    ("label_studio", "x.json", {"a": 1}, "found an object, expected a list"),
    (
        "label_studio",
        "x.json",
        [{"id": 1, "ok": "yes"}],
        "task 1: no keys 'data' and 'annotations', expected the export format 'JSON'",
    ),
    (
        "label_studio",
        "x.json",
        [TASK | {"annotations": [{"results": []}]}],
        "task 1, annotation 1: no key 'result'; did you mean 'results'?",
    ),
    (
        "label_studio",
        "x.json",
        [
            TASK
            | {
                "annotations": [
                    {"result": [{"type": "choices", "from_name": "a", "value": {"choices": "x"}}]}
                ]
            }
        ],
        "task 1, annotation 1, result 1, key 'choices': found 'x', expected a list",
    ),
    (
        "label_studio",
        "x.json",
        [
            TASK
            | {
                "annotations": [
                    {"result": [{"type": "rating", "from_name": "a", "value": {"rating": "x\n"}}]}
                ]
            }
        ],
        "task 1, annotation 1, result 1, key 'rating': found 'x\\n', expected a whole number",
    ),
    ("label_studio", "x.json", [TASK], "found no answer to any question, expected at least one"),
    ("prodigy", "x.jsonl", '{"text": "a"}\n[1]', "line 2: found a list, expected an object"),
    ("prodigy", "x.jsonl", {"label": "A"}, "line 1: no input such as 'text' or 'image'"),
    (
        "prodigy",
        "x.jsonl",
        {"text": "a", "answer": "acept"},
        "line 1: found the answer 'acept', expected 'accept', 'reject', 'ignore'; "
        "did you mean 'accept'?",
    ),
    (
        "prodigy",
        "x.jsonl",
        {"text": "a", "options": OPTIONS, "accept": ["Z"]},
        "line 1, key 'accept': found 'Z', expected 'A', 'B'",
    ),
    ("coco", "x.json", {"images": []}, "no key 'categories'"),
    (
        "coco",
        "x.json",
        {"images": [{"id": 1}, {"id": 1}]},
        "images 2: found id '1' twice, expected it once",
    ),
    (
        "coco",
        "x.json",
        {"images": [{"id": 1}], "categories": [], "annotations": [{"image_id": 2}]},
        "annotations 1: found image_id '2', which no image has",
    ),
    (
        "coco",
        "x.json",
        {
            "images": [{"id": 1}],
            "categories": [],
            "annotations": [{"image_id": 1, "category_id": [1]}],
        },
        "annotations 1: found category_id a list, which no category has",
    ),
    (
        "datumaro",
        "x.json",
        {"categories": {}, "items": [{"id": "a", "annotations": [{"label_id": 0}]}]},
        "item 1, annotation 1: found label_id '0', expected 0 to -1",
    ),
    ("cvat", "x.xml", "<annotations>", "no XML: no element found: line 1, column 13"),
    ("cvat", "x.xml", "<annotations/>", "found no image, expected a file 'CVAT for images'"),
    (
        "cvat",
        "x.xml",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><annotations/>",
        "found a document type, expected none",
    ),
    ("cvat", "x.xml", "<a>" * 30, "elements are nested deeper than 20"),
    (
        "cvat",
        "x.xml",
        "<annotations><image name='a'><box/></image></annotations>",
        "image 'a': a box has no attribute 'label'",
    ),
    (
        "croissant",
        "x.json",
        {"@type": "Thing"},
        "found @type 'Thing', expected a 'sc:Dataset' of Croissant",
    ),
    (
        "croissant",
        "x.json",
        {"@type": "sc:Dataset"},
        "no field is a column of a file, found none to read",
    ),
    ("hugging_face", "x.parquet", "PAR1", "not a readable Parquet file"),
    (
        "label_sudio",
        "x.json",
        "{}",
        "unknown format 'label_sudio', expected 'label_studio', 'prodigy', 'hugging_face', 'coco', "
        "'datumaro', 'cvat', 'croissant'; did you mean 'label_studio'?",
    ),
]


@pytest.mark.parametrize(("format", "name", "content", "message"), BAD)
def test_a_bad_file_gets_one_line(
    format: str, name: str, content: Any, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(LabelweaveError) as error:
        read_annotations(path, format)
    assert str(error.value) == f"{path}: {message}"


def test_more_than_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.label_studio(tmp_path / "x.json", ROWS)
    for module, name, value, message in (
        ("_answers", "MOST_ROWS", 3, "found 4 samples, expected at most 3"),
        ("_answers", "MOST_QUESTIONS", 1, "found 2 questions, expected at most 1"),
        ("_answers", "MOST_OPTIONS", 5, "found 6 options, expected at most 5"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"labelweave.importers.{module}.{name}", value)
            with pytest.raises(LabelweaveError) as error:
                read_annotations(tmp_path / "x.json", "label_studio")
            assert str(error.value) == f"{tmp_path / 'x.json'}: {message}"
    (tmp_path / "folder" / "x.json").mkdir(parents=True)
    with pytest.raises(LabelweaveError, match=r"x.json: found a folder, expected a file$"):
        read_annotations(tmp_path / "folder" / "x.json", "coco")


def test_an_input_with_the_name_of_a_question_is_refused(tmp_path: Path) -> None:
    result = {"from_name": "x", "to_name": "i", "type": "choices", "value": {"choices": ["a"]}}
    path = write(tmp_path, "x.json", [TASK | {"annotations": [{"result": [result]}]}])
    with pytest.raises(LabelweaveError) as error:
        read_annotations(path, "label_studio")
    assert str(error.value) == f"{path}: input 'x' has the name of a label column, expected another"


def test_a_number_that_is_no_class_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    rows = [row._replace(severity="none at all") for row in ROWS]
    files.hugging_face(path, rows)
    table = pd.read_parquet(path)
    assert table["severity"].tolist() == [2] * 4
    arrow = pq.read_table(path)
    place = arrow.column_names.index("severity")
    wrong = arrow.set_column(place, "severity", [np.array([0, 1, 2, 3])])
    pq.write_table(wrong.replace_schema_metadata(arrow.schema.metadata), path)
    with pytest.raises(LabelweaveError) as error:
        read_annotations(path, "hugging_face")
    assert str(error.value) == (
        f"{path}: row 4, column 'severity': found '3', expected 0 to 2, or -1 where the label is "
        "missing"
    )


def test_a_description_reads_nothing_outside_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "croissant.json"
    files.croissant(path, ROWS)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["distribution"][0]["contentUrl"] = "../parts.csv"
    write(tmp_path, "croissant.json", content)
    with pytest.raises(LabelweaveError) as error:
        read_annotations(path, "croissant")
    assert str(error.value) == f"{path}: found the file '../parts.csv', expected one in its folder"
