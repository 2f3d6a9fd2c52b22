import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from study_example import tables

from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.experiments._scaffold import propose_study


def plants(folder: Path) -> list[Path]:
    """Write two tables as they come from two plants, and an expert's table."""
    a, b, knowledge = tables()
    b = b.drop(columns="kind")
    for first, table in ((1000, a), (5000, b)):
        table.insert(0, "part id", range(first, first + len(table)))
        table["made"] = pd.date_range("2024-01-30", periods=len(table), freq="h")
        table["remark"] = [f"looks fine, {i} of many" for i in range(len(table))]
        table["operator"] = [f"operator {i // 2}" for i in range(len(table))]
    written = {"a.csv": a, "b.csv": b, "knowledge.csv": knowledge}
    for name, table in written.items():
        table.to_csv(folder / name, index=False)
    return [folder / name for name in written]


def proposed(folder: Path, *frames: pd.DataFrame, labels: list[str] | None = None) -> Any:
    paths = []
    for i, frame in enumerate(frames):
        paths.append(folder / f"t{i}.csv")
        frame.to_csv(paths[-1], index=False)
    return yaml.safe_load(propose_study(paths, folder, labels).text)


def inputs(rows: int = 60) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(rows, 2))
    return pd.DataFrame(values, columns=["x", "y"])


@pytest.mark.slow
def test_the_written_study_is_accepted_and_runs(tmp_path: Path, cli: CommandLine) -> None:
    out = tmp_path / "study.yaml"
    answer = cli("init", *plants(tmp_path), "--out", out)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "label    kind: 3 classes (in the expert's table)",
        "label    round: 2 classes (in the expert's table)",
        "label    hole: 2 classes (in the expert's table)",
        "no input part id: a number for every row",
        "no input made: dates",
        "no input remark: 120 different texts",
        "no input operator: likely personal data: its name says so",
        "inputs   'length', 'width', 'weight', 'noise', 'colour'",
        "         if one of 'colour' is a label: --labels names all of them",
        "relation knowledge.csv: one row a class of kind",
        f"Wrote {out}. Review it, then: labelweave check {out}",
    ]
    schema = json.loads((tmp_path / "labelweave.schema.json").read_text(encoding="utf-8"))
    assert out.read_text(encoding="utf-8").startswith(
        "# yaml-language-server: $schema=labelweave.schema.json\n"
    )
    assert schema["title"] == "StudyConfig"
    study = yaml.safe_load(out.read_text(encoding="utf-8"))
    assert study["tasks"] == [
        {"name": "kind"},
        {"name": "round", "kind": "binary"},
        {"name": "hole", "kind": "binary"},
    ]
    excluded = ["part id", "made", "remark", "operator"]
    assert study["sources"] == [
        {"path": "a.csv", "exclude": excluded},
        {"path": "b.csv", "exclude": excluded},
    ]
    assert study["relations"] == [{"table": "knowledge.csv", "source": "kind"}]
    assert cli("check", out).code == 0
    small = out.read_text(encoding="utf-8").replace("steps: 800", "steps: 5")
    out.write_text(
        re.sub("methods: .*\nseeds: .*", "seeds: 1\nmethods: [full]", small), encoding="utf-8"
    )
    assert cli("run", out, "--jobs", 1).code == 0


def test_every_excluded_column_has_its_reason(tmp_path: Path) -> None:
    lines = [line.strip() for line in propose_study(plants(tmp_path), tmp_path).text.splitlines()]
    assert "- part id   # a number for every row" in lines
    assert "- made   # dates" in lines
    assert "- remark   # 120 different texts" in lines
    assert "- operator   # likely personal data: its name says so" in lines


def test_an_existing_file_is_not_replaced_unasked(tmp_path: Path, cli: CommandLine) -> None:
    paths, out = plants(tmp_path), tmp_path / "study.yaml"
    out.write_text("mine", encoding="utf-8")
    message = f"{out}: exists already; give --out or --force"
    assert cli.refused("init", *paths, "--out", out) == message
    assert out.read_text(encoding="utf-8") == "mine"
    assert cli("init", *paths, "--out", out, "--force").code == 0
    nowhere = tmp_path / "no" / "study.yaml"
    assert cli.refused("init", *paths, "--out", nowhere) == (
        f"{nowhere}: no folder '{tmp_path / 'no'}' to write to"
    )


def test_unknown_labels_name_the_nearest(tmp_path: Path, cli: CommandLine) -> None:
    paths = plants(tmp_path)
    assert cli.refused("init", *paths, "--out", tmp_path / "s.yaml", "--labels", "knd") == (
        "--labels: no table has a column 'knd'; did you mean 'kind'?"
    )
    assert cli.refused("init", tmp_path / "c.csv", "--out", tmp_path / "s.yaml").startswith(
        f"{tmp_path / 'c.csv'}: no such file"
    )
    assert not (tmp_path / "s.yaml").exists()


def test_named_labels_are_the_tasks(tmp_path: Path, cli: CommandLine) -> None:
    out = tmp_path / "study.yaml"
    cli("init", *plants(tmp_path), "--out", out, "--labels", "kind, colour,")
    study = yaml.safe_load(out.read_text(encoding="utf-8"))
    assert study["tasks"] == [{"name": "kind"}, {"name": "colour"}]


def test_integer_labels_with_gaps_are_classes(tmp_path: Path) -> None:
    frame = inputs().assign(grade=np.tile([0, 1, 2], 20))
    frame["grade"] = frame["grade"].astype(float).mask(frame.index % 5 == 0)
    assert proposed(tmp_path, frame)["tasks"] == [{"name": "grade"}]
    study = Study({**proposed(tmp_path, frame), "methods": ["single_task"]}, tmp_path)
    assert study.data.tasks[0].names == ("0", "1", "2")


def test_without_gaps_texts_of_few_values_are_labels(tmp_path: Path) -> None:
    frame = inputs().assign(state=["on", "off", "idle"] * 20, level=[1, 2, 3] * 20)
    assert proposed(tmp_path, frame)["tasks"] == [{"name": "state"}]


def test_inputs_of_both_tables_are_no_labels_because_the_expert_leaves_them_out(
    tmp_path: Path,
) -> None:
    first = inputs().assign(site=["n", "s"] * 30, kind=["a", "b", "c"] * 20)
    second = inputs().assign(site=["n", "s"] * 30, flat=[0, 1] * 30)
    knowledge = pd.DataFrame({"name": ["a", "b", "c"], "flat": [0, 1, 0.5]})
    study = proposed(tmp_path, first, second, knowledge)
    assert study["tasks"] == [{"name": "kind"}, {"name": "flat", "kind": "binary"}]
    assert study["relations"] == [{"table": "t2.csv", "source": "kind"}]


def test_a_table_without_labels_says_so(tmp_path: Path) -> None:
    with pytest.raises(LabelweaveError) as error:
        proposed(tmp_path, inputs())
    assert str(error.value) == (
        "no column looks like a label (few distinct values, gaps or absent from some table); "
        "name them with --labels"
    )


def test_a_measured_whole_number_is_an_input(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).choice(10_000, 60, replace=False)
    frame = inputs().assign(grams=numbers, state=["on", "off"] * 30)
    assert "exclude" not in proposed(tmp_path, frame)["sources"][0]


def test_tables_of_one_name_get_different_names(tmp_path: Path) -> None:
    paths = []
    for folder in ("p", "q"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "parts.csv")
        inputs().assign(state=["on", "off"] * 30).to_csv(paths[-1], index=False)
    study = yaml.safe_load(propose_study(paths, tmp_path).text)
    assert study["sources"] == [
        {"path": "p/parts.csv", "name": "parts 1"},
        {"path": "q/parts.csv", "name": "parts 2"},
    ]


@pytest.mark.parametrize("name", ["a, b", "yes", "x: y", "{a}", "it's", "#1", "1", "größe", "- a"])
def test_any_column_name_is_written_as_it_is(name: str, tmp_path: Path) -> None:
    frame = inputs().assign(**{name: ["one\ntwo, [three", "} # x"] * 30})
    assert proposed(tmp_path, frame)["tasks"] == [{"name": name}]


def test_complete_labels_are_found_together_with_labels_with_gaps(tmp_path: Path) -> None:
    frame = inputs().assign(
        tool=["n", "s"] * 30, grade=["A", "B", "C"] * 20, verdict_1=["OK", "NG"] * 30
    )
    frame["leak"] = pd.Series(["yes", "no", None] * 20)
    frame["outcome"] = [1, 2] * 30
    (tmp_path / "t.csv").write_text(frame.to_csv(index=False), encoding="utf-8")
    found = propose_study([tmp_path / "t.csv"], tmp_path)
    study = yaml.safe_load(found.text)
    assert [task["name"] for task in study["tasks"]] == ["grade", "verdict_1", "leak", "outcome"]
    assert "label    verdict_1: 2 classes (few values, called like a label)" in found.decisions
    assert "label    leak: 2 classes (few values, with gaps)" in found.decisions
    frame = frame.rename(columns={"verdict_1": "v"})
    (tmp_path / "t.csv").write_text(frame.to_csv(index=False), encoding="utf-8")
    found = propose_study([tmp_path / "t.csv"], tmp_path)
    assert "label    v: 2 classes (its values are verdicts)" in found.decisions
    assert "inputs   'x', 'y', 'tool'" in found.decisions


def test_complete_words_after_a_label_are_labels_and_those_before_it_are_inputs(
    tmp_path: Path,
) -> None:
    table = inputs().assign(
        material=np.resize(["steel", "brass"], 60), surface=np.resize(["matt", "gloss", None], 60),
        finish=np.resize(["fine", "coarse", "none"], 60), width=np.arange(60.0),
    )  # fmt: skip
    study = proposed(tmp_path, table)
    assert [task["name"] for task in study["tasks"]] == ["surface", "finish"]
    other = table.drop(columns="surface")  # there, nothing stands before it
    study = proposed(tmp_path, table, other)
    assert [task["name"] for task in study["tasks"]] == ["surface"]


def test_a_group_and_relations_are_proposed_and_the_study_is_accepted(tmp_path: Path) -> None:
    first = inputs().assign(serial=[f"S{i // 3:03}" for i in range(60)], kind=["a", "b", "c"] * 20)
    first["flat"] = ["yes", "no"] * 30
    second = inputs().assign(
        serial=[f"T{i // 3:03}" for i in range(60)], flat=["no", "yes", None] * 20
    )
    study = proposed(tmp_path, first, second)
    assert [source["group"] for source in study["sources"]] == ["serial", "serial"]
    assert study["seeds"] == 5
    assert study["relations"] == [{"source": "kind", "targets": ["flat"]}]
    assert {"coupled", "student"} <= set(Study(study, tmp_path).methods)


def test_a_binary_task_left_of_classes_is_their_target_and_the_study_is_accepted(
    tmp_path: Path, cli: CommandLine
) -> None:
    values = np.random.default_rng(1).integers(0, 3, size=90)
    grades = np.array(["low", "mid", "high"])[values]
    frame = inputs(90).assign(passed=np.minimum(values, 1), grade=grades)
    frame["customer"] = ["Kaiser", "Otto", "Ohm"] * 30
    frame.loc[:9, "grade"] = None
    frame.to_csv(tmp_path / "a.csv", index=False)
    out = tmp_path / "study.yaml"
    assert cli("init", tmp_path / "a.csv", "--out", out, "--labels", "passed,grade").code == 0
    written = yaml.safe_load(out.read_text("utf-8"))
    assert written["relations"] == [{"source": "grade", "targets": ["passed"]}]
    assert cli("check", out).code == 0
    # a customer is a group or an input, also where it stands right of a label
    assert "customer" not in {task["name"] for task in proposed(tmp_path, frame)["tasks"]}


def test_a_group_that_one_table_lacks_is_no_label(tmp_path: Path) -> None:
    first = inputs().assign(state=["on", "off", "idle"] * 20)
    second = inputs().assign(serial=[f"S{i // 4:03}" for i in range(60)])
    study = proposed(tmp_path, first, second)
    assert study["tasks"] == [{"name": "state"}]
    assert [source.get("group") for source in study["sources"]] == [None, "serial"]


def test_personal_data_are_no_labels(tmp_path: Path) -> None:
    first = inputs().assign(state=["on", "off", "idle"] * 20)
    second = inputs().assign(who=[f"p{i % 4}@example.org" for i in range(60)])
    study = proposed(tmp_path, first, second)
    assert study["tasks"] == [{"name": "state"}]
    assert study["sources"][1]["exclude"] == ["who"]
