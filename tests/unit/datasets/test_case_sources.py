"""Published data sets as sources of a study; the data sets are made up in the tests."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from faces_example import face, write_raf_db
from study_example import as_json

from labelweave._options import Options
from labelweave.datasets import DataSet, Reader
from labelweave.datasets._official import joined_tasks
from labelweave.datasets._registry import CASES, READERS
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study, parse_study

WORDS = {word: word for word in ("source", "licence", "paper", "metric")}
MOODS = ["low", "high"]


class UnitOptions(Options):
    units: list[int] | None = None
    sides: Literal["none", "three"] = "none"


def read_units(root: Path, units: list[int] | None, sides: Literal["none", "three"]) -> DataSet:
    """A made-up data set of three persons: units of faces in a folder, unknown here and there."""
    names = [f"AU{unit}" for unit in units or (12, 25)]
    files = sorted(path.name for path in root.glob("*.png"))
    rows = np.arange(len(files))
    table = pd.DataFrame({"image": files, "person": rows % 3, "mood": [MOODS[i % 2] for i in rows]})
    for position, name in enumerate(names):
        table[name] = np.where(rows % 5 == 4, np.nan, (rows + position) % 2)
    table["side"] = np.array(["train", "train", "validation", "test"])[rows % 4]
    labels = {"name": "action_units", "kind": "multilabel", "labels": names}
    knowledge = {"moods.csv": pd.DataFrame({"mood": MOODS, names[0]: [0.2, 0.8]})}
    return DataSet(
        table, ({"name": "mood"}, labels), "person" if sides == "none" else None,
        "side" if sides == "three" else None, knowledge, ("made up",),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _units(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(read_units, options=UnitOptions, title="Made-up units", **WORDS)
    monkeypatch.setitem(READERS, "made-up", lambda: reader)


def write_faces(root: Path, n: int = 30) -> Path:
    for number in range(n):
        face(root / f"{number:03}.png", 5 * (number % 2), 5000 + number)
    return root


def content(**changes: Any) -> dict[str, Any]:
    study: dict[str, Any] = {
        "name": "joined",
        "sources": [
            {"case": "raf-db", "root": "raf"},
            {"case": "made-up", "root": "units", "options": {"units": [12, 6]}},
            {"case": "made-up", "root": "units2", "name": "more"},
        ],
        "inputs": {"image": {"size": 8}},
        "network": {"backbone": "cnn", "channels": [4], "hidden": [8]},
        "relations": [{"known": "du-tao-martinez-2014", "source": "expression"}],
        "relatedness": {"from": "given"},
        "training": {"steps": 20, "batch_size": 16},
        "methods": ["multi_task", "full"],
        "seeds": [0],
        "statistics": {"replicates": 100},
        "label_curves": False,
    }
    return {name: value for name, value in (study | changes).items() if value is not None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_raf_db(tmp_path / "raf")
    write_faces(tmp_path / "units")
    write_faces(tmp_path / "units2", 15)
    return tmp_path


def refused(folder: Path, **changes: Any) -> str:
    with pytest.raises(LabelweaveError) as error:
        Study(parse_study(content(**changes)), folder).first_split()
    return str(error.value)


def test_the_tasks_are_those_of_all_data_sets_and_missing_labels_stay_missing(folder):
    data = Study(parse_study(content()), folder).data
    expression, mood, units = data.tasks
    assert expression.names[0] == "surprise"
    assert mood.names == ("high", "low")
    assert units.names == ("AU12", "AU6", "AU25")  # in the order of the sources
    labels = data.collection.annotations.labels["action_units"]
    assert data.collection.names == ("raf-db train", "raf-db test", "made-up", "more")
    counts = [(labels[data.collection.source == i] >= 0).sum(axis=0).tolist() for i in range(4)]
    assert counts == [[0, 0, 0], [0, 0, 0], [24, 24, 0], [12, 0, 12]]
    (relation,) = data.known
    assert relation.table.shape == (7, 3)
    assert relation.mask.all()


def test_official_parts_and_persons_decide_the_split(folder):
    study = Study(parse_study(content(split={"validation": 0.2, "test": 0.2})), folder)
    fold, collection = study.first_split(), study.data.collection
    sides = [fold.train.index, fold.validation.index, fold.test.index]
    official = [[int((collection.source[s] == i).sum()) for i in (0, 1)] for s in sides]
    assert official[2][1] == 14
    assert official[0][1] == official[1][1] == 0
    assert official[1][0] > 0
    persons = [set(collection.groups[side[collection.source[side] >= 2]]) for side in sides]
    assert not persons[0] & persons[2]
    assert sum(map(len, persons)) == 3  # the same data set has the same persons


def test_without_a_share_only_official_test_rows_are_tested_on(folder):
    study = Study(parse_study(content()), folder)
    assert set(study.data.collection.source[study.first_split().test.index]) == {1}


def test_a_data_set_with_three_parts_keeps_them(folder):
    source = {"case": "made-up", "root": "units", "options": {"sides": "three"}}
    study = Study(
        parse_study(content(sources=[source], relations=None, methods=["multi_task"])), folder
    )
    sources = study.data.collection.sources
    assert [(s.name, s.split, len(s)) for s in sources] == [
        ("made-up train", "train", 16), ("made-up validation", "validation", 7),
        ("made-up test", "test", 7),
    ]  # fmt: skip
    assert study.first_split().notes.count("made-up: made up") == 1
    source |= {"split": "train", "rows": 9}
    one = content(sources=[source], relations=None, methods=["multi_task"])
    (only,) = Study(parse_study(one), folder).data.collection.sources
    assert (only.name, only.split, len(only)) == ("made-up", "train", 9)


def test_tasks_of_data_sets_are_joined_by_name() -> None:
    units = {"name": "units", "kind": "multilabel", "labels": ["AU1", "AU2"]}
    brought = [
        ("a", [{"name": "mood", "classes": ["low", "high"]}, units]),
        ("b", [units | {"labels": ["AU2", "AU9"]}, {"name": "mood", "classes": ["high", "odd"]}]),
    ]
    assert joined_tasks(brought) == {
        "mood": {"name": "mood", "classes": ["low", "high", "odd"]},
        "units": units | {"labels": ["AU1", "AU2", "AU9"]},
    }
    assert joined_tasks([*brought, ("c", [{"name": "mood"}])])["mood"] == {"name": "mood"}
    with pytest.raises(LabelweaveError) as error:
        joined_tasks([*brought, ("c", [{"name": "mood", "kind": "binary"}])])
    assert str(error.value) == (
        "c: task 'mood': found kind 'binary', expected 'multiclass' as in the other data sets"
    )


def test_a_joined_study_runs(folder, cli: CommandLine):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content(split={"test": 0.2}, training={"steps": 80})))
    assert "no label" not in cli("check", path).err
    assert cli("run", path, "--jobs", 1).code == 0
    results = as_json(Study.from_file(path).compare(jobs=1, progress=False))
    assert results["failures"] == []
    assert results["methods"]["multi_task"]["expression"]["accuracy"]["mean"] > 0.5


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"path": "a.csv", "case": "raf-db"}, "found both 'path' and 'case', expected one of them"),
        ({}, "found neither 'path' nor 'case', expected one of them"),
        ({"path": "a.csv", "rows": 3}, "found 'rows' without 'case', which it belongs to"),
        ({"case": "raf-db"}, "'case: raf-db' needs 'root', the folder of its files"),
        (
            {"case": "raf-db", "root": "r", "group": "x"},
            "a published data set has no 'group', which its reader decides",
        ),
        (
            {"case": "raf-db", "root": "r", "options": {"label": "basic"}},
            "no option 'label', expected 'labels', 'images'; did you mean 'labels'?",
        ),
        (
            {"case": "raf-db", "root": "r", "options": {"labels": "mixed"}},
            "option 'labels': found 'mixed', expected 'basic' or 'compound'",
        ),
        (
            {"case": "made-up", "root": "r", "options": {"units": "12"}},
            "option 'units': found '12', expected a list of a whole number or null",
        ),
    ],
)
def test_wrong_sources_are_reported_by_key(folder, source, reason):
    assert refused(folder, sources=[source]) == f"study: key 'sources.0': {reason}"


def test_an_unknown_data_set_is_reported_with_the_nearest(folder):
    found = refused(folder, sources=[{"case": "rafdb", "root": "r"}])
    assert found.startswith("study: key 'sources.0': no reader 'rafdb', expected 'raf-db'")
    assert found.endswith("; did you mean 'raf-db'?")


def test_a_study_that_says_nothing_of_images_is_reported(folder):
    changes = {"inputs": None, "network": None}
    assert refused(folder, **changes) == (
        "raf-db in raf: a data set of images, expected a key 'inputs.image' that says what they "
        "become, such as 'inputs: {image: {size: 224}}'"
    )


def test_the_study_of_data_sets_is_written_and_can_be_checked(folder, cli: CommandLine):
    out = folder / "out"
    answer = cli(
        "case", "raf-db", "--root", folder / "raf", "--option", "images=aligned", "--k", 2,
        "--join", f"made-up={folder / 'units'}", "--rows", 20, "--seeds", 2, "--out", out,
    )  # fmt: skip
    path = out / "study.yaml"
    assert (answer.code, answer.err) == (0, "")
    text = path.read_text()
    assert "# Made-up units (paper)." in text
    assert "# option units: a list of a whole number or null; here None" in text
    assert "# No official parts, so no test rows: made-up. Take an option" in text
    study = yaml.safe_load(text)
    assert study["name"] == "raf-db-made-up-k2"
    assert study["sources"][0] == {
        "case": "raf-db", "root": str(folder / "raf"), "options": {"images": "aligned"}, "rows": 20
    }  # fmt: skip
    assert study["relations"] == [
        {"known": "du-tao-martinez-2014", "source": "expression"},
        {"table": "moods.csv", "source": "mood"},
    ]
    assert study["scatter"][0] == {
        "name": "few_expression", "tasks": ["expression"], "per_class": 2
    }  # fmt: skip
    small = study | {
        "inputs": {"image": {"size": 8}},
        "network": {"backbone": "cnn", "channels": [4], "hidden": [8]},
        "methods": ["full"],
    }
    checked = Study(parse_study(small), out).first_split()
    assert checked.train.annotations.counts("expression").tolist() == [2] * 7


def test_the_list_names_every_case(cli: CommandLine):
    lines = cli("case", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == [*CASES, *READERS]


def test_wrong_names_on_the_command_line_are_reported(tmp_path, cli: CommandLine):
    assert cli.refused("case", "rafdb").endswith("; did you mean 'raf-db'?")
    assert cli.refused("case", "raf-db") == (
        "--root: found none, expected the folder of the official files"
    )
    assert cli.refused("case", "raf-db", "--root", tmp_path, "--option", "basic") == (
        "--option: found 'basic', expected key=value"
    )
    assert cli.refused("case", "leaves", "--join", "a=b").startswith("--join: 'leaves' takes none")
