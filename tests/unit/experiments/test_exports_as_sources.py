"""Files of annotation tools as sources of a study."""

from pathlib import Path

import annotation_files as files
import numpy as np
import pytest
from annotation_files import Row

from labelweave.errors import LabelweaveError
from labelweave.experiments import parse_study, read_study_file
from labelweave.experiments._loading import StudyData, load_data

ROWS = [
    Row(
        f"{number}.png", number % 17, ("minor", "major")[number % 2],
        (("scratch",), ("dent", "scratch"), ())[number % 3],
    )
    for number in range(60)
]  # fmt: skip
NAMES = {
    "label_studio": "export.json", "prodigy": "export.jsonl", "hugging_face": "export.parquet",
    "coco": "export.json", "datumaro": "export.json", "cvat": "export.xml",
    "croissant": "croissant.json",
}  # fmt: skip


def loaded(folder: Path, *sources: dict[str, object], **more: object) -> StudyData:
    return load_data(parse_study({"name": "exports", "sources": list(sources), **more}), folder)


@pytest.mark.parametrize("format", NAMES)
def test_an_export_brings_its_tasks_and_labels(format: str, tmp_path: Path) -> None:
    getattr(files, format)(tmp_path / NAMES[format], ROWS)
    objects = format in ("coco", "datumaro", "cvat")
    source = {"path": NAMES[format], "format": format, "exclude": ["image"], "unticked": "no"}
    if objects:  # whose rows have nothing but the image
        source |= {"exclude": [], "inputs": ["image"]}
        data = loaded(tmp_path, source, inputs={"categorical": ["image"]})
    else:
        data = loaded(tmp_path, source)
    tasks = {task.name: task for task in data.tasks}
    several = "category" if objects else "defects"
    assert set(tasks) == {"severity"} | ({several} if format != "croissant" else set())
    labels = data.collection.annotations
    severity = np.array(tasks["severity"].names, dtype=object)[labels.labels["severity"]]
    known = labels.labelled("severity")
    order = np.concatenate([data.collection.numbers[data.collection.source == s]
                            for s in range(len(data.collection.names))]) - 1  # fmt: skip
    if format != "croissant":
        expected = np.array([row.severity for row in ROWS], dtype=object)[order]
        assert (severity[known] == expected[known]).all()
        assert known.sum() == (sum(bool(row.defects) for row in ROWS) if objects else len(ROWS))
        scratch = tasks[several].names.index(f"{several}.scratch")
        found = labels.labels[several][:, scratch]
        assert found.tolist() == [int("scratch" in (ROWS[row].defects or ())) for row in order]
    else:
        assert len(severity) == len(ROWS)
        assert set(data.collection.names) == {"croissant train", "croissant validation"}


def test_parts_and_licence_of_a_description_are_used(tmp_path: Path) -> None:
    files.croissant(tmp_path / "croissant.json", ROWS)
    source = {"path": "croissant.json", "format": "croissant", "exclude": ["image"]}
    data = loaded(tmp_path, source)
    sides = {each.name: each.split for each in data.collection.sources}
    assert sides == {"croissant train": None, "croissant validation": "validation"}
    assert "part" not in data.collection.inputs
    assert any("licenses/by/4.0" in str(note) for note in data.notes)


def test_each_annotator_is_a_source_and_their_samples_stay_together(tmp_path: Path) -> None:
    files.label_studio(tmp_path / "a.json", ROWS, annotator=1)
    source = {
        "path": "a.json", "format": "label_studio", "exclude": ["image"], "annotators": "separate",
        "map": {"severity": {"minor": "small"}},
    }  # fmt: skip
    data = loaded(tmp_path, source, tasks=[{"name": "severity"}])
    assert data.collection.names == ("a 1",)
    assert data.tasks[0].names == ("major", "small")
    assert len(np.unique(data.collection.groups)) == len(ROWS)


def test_no_is_a_word_in_a_study_file(tmp_path: Path) -> None:
    text = "name: x\nsources: [{path: a.json, format: label_studio, unticked: no}]\n"
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    assert read_study_file(tmp_path / "study.yaml").sources[0].unticked == "no"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"format": "label-studio"}, "found 'label-studio'"),
        ({"unticked": "no"}, "found 'unticked' without 'format', which it belongs to"),
        ({"format": "coco", "read": {"sep": ";"}},
         "found 'read' with 'format', which decides how a file is read"),
        ({"format": "prodigy"}, "a.csv: line 1"),
        ({"format": "prodigy", "multiple": ["x"]}, "a.csv: line 1"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_is_one_line(
    source: dict[str, object], expected: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(LabelweaveError) as raised:
        loaded(tmp_path, {"path": "a.csv", **source})
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)
