"""The rows to label next, as files of annotation tools."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine
from study_example import write_study

from labelweave.experiments._label_tools import chosen, question
from labelweave.importers import read_annotations
from labelweave.tasks import Binary, Multiclass, Multilabel

SOURCES = [
    {"path": "a.csv", "identifier": ["serial"], "exclude": ["operator"]},
    {"path": "b.csv", "identifier": ["serial"], "exclude": ["operator"]},
]


@pytest.fixture
def asked(tmp_path: Path, cli: CommandLine) -> Path:
    """Return the results' folder of a study that asks for labels."""
    path = write_study(
        tmp_path, methods=["multi_task"], training={"steps": 5, "batch_size": 32}, label_next=9,
        label_tools=["label_studio", "prodigy"], sources=SOURCES,
    )  # fmt: skip
    for name in ("a", "b"):
        table = pd.read_csv(tmp_path / f"{name}.csv", dtype=str)
        table.insert(0, "serial", [f"{name}-{i:03d}" for i in range(len(table))])
        table["operator"] = "Erika Musterfrau"
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    answer = cli("run", path, "--jobs", 1)
    assert answer.code == 0, answer.err
    return tmp_path / "runs" / "parts"


def test_the_rows_and_predictions_are_read_back_once_they_are_annotated(
    asked: Path, cli: CommandLine
) -> None:
    rows = pd.read_csv(asked / "label_next.csv")
    wanted = {
        (f"{entry.source}-{entry.row - 1:03d}", entry.task)
        for entry in rows.itertuples(index=False)
    }
    tables = pd.concat([pd.read_csv(asked.parents[1] / f"{n}.csv", dtype=str) for n in "ab"])
    inputs = tables.set_index("serial")[["length", "width", "weight", "noise", "colour"]]
    shown = json.loads((asked / "label_next.label_studio.json").read_text("utf-8"))
    done = [
        task | {"annotations": [{"completed_by": 1, "result": task["predictions"][0]["result"]}]}
        for task in shown
    ]
    (asked / "done.json").write_text(json.dumps(done), encoding="utf-8")
    lines = (asked / "label_next.prodigy.jsonl").read_text("utf-8").splitlines()
    accepted = [json.dumps(json.loads(line) | {"answer": "accept"}) for line in lines]
    (asked / "done.jsonl").write_text("\n".join(accepted), encoding="utf-8")
    for name, format in (("done.json", "label_studio"), ("done.jsonl", "prodigy")):
        (found,) = read_annotations(asked / name, format, unticked="no", multiple=["form"])
        frame = found.frame.set_index("serial")
        seen = {(serial, "kind") for serial in frame.index[frame["kind"].notna()]}
        columns = [column for column in frame if column.startswith("form.")]
        seen |= {(serial, "form") for serial in frame.index[frame[columns].notna().any(axis=1)]}
        # "none of them" leaves no trace in an answer of Label Studio
        assert seen == wanted or (format == "label_studio" and seen < wanted)
        assert frame[list(inputs)].equals(inputs.loc[frame.index])
    page = (asked / "label_next.label_studio.xml").read_text("utf-8")
    assert '<Choices name="kind" toName="row" choice="single"' in page
    assert '<Choices name="form" toName="row" choice="multiple"' in page
    for file in asked.glob("label_next*"):
        assert "Musterfrau" not in file.read_text("utf-8")


def test_options_of_a_question_are_what_the_reader_makes_columns_of() -> None:
    assert question(Multiclass("kind", ("a", "b"))) == ["a", "b"]
    assert question(Multilabel("marks", ("marks.round", "hole"))) == ["round", "hole"]
    assert question(Binary("defect", positive="NG", negative="OK")) == ["OK", "NG"]
    assert chosen(["round", "hole"], np.array([0, 1])) == ["hole"]
    assert chosen(["a", "b"], "b") == ["b"]
