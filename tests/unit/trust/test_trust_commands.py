"""`labelweave fairness` and its neighbours, on a model's folder and on a small study."""

import json
from pathlib import Path

import pandas as pd
import pytest
from command_line import CommandLine
from study_example import write_study
from trust_example import classifier, rows


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
