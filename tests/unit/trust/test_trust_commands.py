"""`labelweave fairness` and its neighbours, on a model's folder and on a small study."""

import json
from os.path import relpath
from pathlib import Path

import pandas as pd
import pytest
from command_line import CommandLine
from study_example import write_study
from trust_example import classifier, rows

from labelweave.results import MeanInterval, read_results
from labelweave.trust import RowExplanation
from labelweave.trust._explanation_page import explanation_page


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, and labelled rows next to it."""
    folder = tmp_path_factory.mktemp("trust")
    classifier().save(folder / "model")
    X, y = rows(300, 9)
    X.assign(**y, visit=[i // 2 for i in range(300)]).to_csv(folder / "rows.csv", index=False)
    X.to_csv(folder / "unlabelled.csv", index=False)
    return folder


def test_fairness_of_a_model(model: Path, cli: CommandLine):
    out = model / "fairness.json"
    answer = cli("fairness", model / "model", model / "rows.csv", "--by", "site", "--out", out,
                 "--group", "visit")  # fmt: skip
    assert "groups of 'site': north" in answer.out
    shown = json.loads(out.read_text())
    cells = {(c["question"], c["class"], c["metric"], c["group"]): c for c in shown["groups"]}
    labels = pd.read_csv(model / "rows.csv")
    right = classifier().predict(labels[rows(1, 0)[0].columns])["kind"] == labels["kind"]
    for site in ("north", "south"):
        assert cells["kind", "", "accuracy", site]["value"] == pytest.approx(
            right[labels["site"] == site].mean()
        )
        assert shown["sizes"][site] == (labels["site"] == site).sum()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rows.csv"], "--by: found none, expected the name of a column"),
        ([None, "--by", "site"], "found a model without a table, expected a table of rows, too"),
        (["rows.csv", "--by", "sites"],
         "{folder}/rows.csv: no column 'sites', found 'long_axis', 'width', 'height', 'heat', "
         "'noise', 'dust', 'site', 'kind' and 3 more; did you mean 'site'?"),
        (["unlabelled.csv", "--by", "site"],
         "{folder}/unlabelled.csv: found no label column, expected one named as a task: 'kind', "
         "'shape', 'hot'"),
    ],
)  # fmt: skip
def test_fairness_refuses(model: Path, cli: CommandLine, arguments: list, message: str):
    table = [] if arguments[0] is None else [model / arguments[0]]
    found = cli.refused("fairness", model / "model", *table, *arguments[1:])
    assert found == message.format(folder=model)


@pytest.mark.slow
def test_fairness_of_a_study_compares_joint_with_single_in_each_group(
    tmp_path: Path, cli: CommandLine
):
    path = write_study(tmp_path, seeds=[1, 2])
    refused = cli.refused("fairness", path, "--by", "colour")
    assert "results.json" in refused
    cli("run", path, "--jobs", 1)
    answer = cli("fairness", path, "--by", "colour", "--out", tmp_path / "out.json")
    assert "accuracy of full against single_task, each group:" in answer.out
    shown = json.loads((tmp_path / "out.json").read_text())
    assert {line["group"] for line in shown["joined"]} == {"red", "blue"}
    assert {line["question"] for line in shown["joined"]} == {"kind", "form=round", "form=hole"}
    assert sum(shown["sizes"].values()) == 120  # 60 test rows in each of two seeds
    output = tmp_path / "runs" / "parts"
    assert f"Kept for the report: labelweave report {relpath(output)}" in answer.out
    kept = {check.name: check for check in read_results(output).checks["fairness"]}
    cells = {(c["question"], c["metric"], c["group"]): c for c in shown["groups"]}
    red = cells["kind", "accuracy", "red"]
    assert kept["kind, red"].value == MeanInterval(red["value"], red["low"], red["high"])
    cli("report", output)
    assert "kind, red" in (output / "report.html").read_text(encoding="utf-8")


def test_explain_writes_a_page_and_json(model: Path, cli: CommandLine):
    out = model / "explained"
    answer = cli("explain", model / "model", model / "rows.csv", "--rows", 4, "--out", out,
                 "--labelled", model / "rows.csv")  # fmt: skip
    assert "4 of 300 rows explained" in answer.out
    shown = json.loads((out / "explain.json").read_text())
    assert len(shown["rows"]) == 4 * 3
    assert shown["rows"][0]["nearest"][0]["row"] == 0
    assert {line["task"] for line in shown["importance"]} == {"kind", "shape", "hot"}
    assert "relation kind->shape" in {line["part"] for line in shown["gains"]}
    page = (out / "explain.html").read_text()
    assert "kind-&gt;shape" in page
    assert "Not measured" not in page


def test_explain_without_labels_says_what_is_not_measured(model: Path, cli: CommandLine):
    out = model / "plain"
    cli("explain", model / "model", model / "unlabelled.csv", "--rows", 2, "--out", out)
    assert json.loads((out / "explain.json").read_text())["importance"] is None
    assert (out / "explain.html").read_text().count("Not measured") == 2


def test_names_of_a_page_are_no_html():
    shown = RowExplanation(0, "<b>task", "<script>", 0.5, None, {"<i>": 0.1}, {}, ())
    page = explanation_page("<x>.csv", [shown], None, None)
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;x&gt;.csv" in page


def test_a_label_that_a_task_does_not_know_is_refused(model: Path, cli: CommandLine):
    pd.read_csv(model / "rows.csv").assign(shape="square").to_csv(model / "odd.csv", index=False)
    found = cli.refused("explain", model / "model", model / "odd.csv", "--out", model / "odd")
    assert "shape" in found
    assert "square" in found
    assert not (model / "odd").exists()
