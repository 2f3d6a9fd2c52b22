"""`labelweave private`: a study's model with differential privacy, its promise and its figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine
from trust_example import KIND, OF_SHAPE, SHAPE, rows

import labelweave
from labelweave.results import MeanInterval
from labelweave.serving import PrivateModel, finish_private
from labelweave.trust import audit_model
from labelweave.trust._privacy_file import read_privacy

pytest.importorskip("opacus")
SECRET = "person-4711"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a study of two sources, and rows that are not private."""
    place = tmp_path_factory.mktemp("private")
    for name, seed, labels in (("a", 1, ["kind"]), ("b", 2, ["shape", "hot"])):
        X, y = rows(300, seed)
        person = [f"{SECRET}-{name}{i // 3}" for i in range(300)]
        X["site"] = X["site"].where(np.arange(300) > 0, "onlyhere")
        X.assign(**y[labels], person=person).to_csv(place / f"{name}.csv", index=False)
    rows(100, 3)[0].to_csv(place / "public.csv", index=False)
    table = pd.DataFrame(OF_SHAPE, columns=[f"shape={n}" for n in SHAPE.names])
    table.insert(0, "kind", KIND.names)
    table.to_csv(place / "kind.csv", index=False)
    (place / "study.yaml").write_text(
        "name: s\ntasks: [{name: kind}, {name: shape}, {name: hot, kind: binary}]\n"
        "sources: [{path: a.csv, group: person}, {path: b.csv, group: person}]\n"
        "relations: [{table: kind.csv, source: kind}]\nnetwork: {hidden: [16]}\n"
    )
    return place


@pytest.fixture(scope="module")
def made(folder: Path) -> PrivateModel:
    return finish_private(
        folder / "study.yaml", folder / "public.csv", {"a": 50.0, "b": 20.0}, steps=60, seed=0
    )


def test_the_folder_keeps_the_promise_and_predicts(made: PrivateModel, folder: Path):
    kept = read_privacy(made.folder)
    assert kept is not None
    assert 45 < kept.epsilons["a"] <= 50
    assert 18 < kept.epsilons["b"] <= 20
    assert kept.relations == ["kind->shape"]
    assert made.rows == 477  # whole groups are kept for the test
    assert made.rows_of_a_group == 3
    X, y = rows(200, 4)
    predicted = labelweave.Model.load(made.folder).predict(X)
    assert (predicted["shape"] == y["shape"]).mean() > 0.5
    metric, score = made.scores["shape"]
    assert (metric, score.n) == ("accuracy", 63)
    assert made.checks()[0].value == MeanInterval(kept.epsilons["a"])


def test_no_row_group_or_value_of_the_sources_is_in_it(made: PrivateModel):
    assert {each.name for each in made.folder.iterdir()} == {
        "model.json", "privacy.json", "schema.yaml", "weights.safetensors",
    }  # fmt: skip
    for path in made.folder.iterdir():
        content = path.read_bytes()
        assert SECRET.encode() not in content
        assert b"onlyhere" not in content  # a category of one private row
    description = json.loads((made.folder / "model.json").read_text())
    assert not description["priors"]
    assert description["calibration"] is None


def test_card_and_audit_show_it(made: PrivateModel, folder: Path, cli: CommandLine):
    cli("card", made.folder, "--out", folder / "card.md")
    shown = (folder / "card.md").read_text()
    assert "Differential privacy for a row of each source, delta 0.0002." in shown
    assert f"| a | {made.privacy.epsilons['a']:.2f} |" in shown
    found = audit_model(made.folder)
    assert found.lineage["sources"] == ["a", "b"]
    assert found.privacy[1].startswith("b: epsilon ")
    assert "differential privacy, b: epsilon" in cli("audit", made.folder).out


def test_the_command_prints_promise_and_figures(folder: Path, cli: CommandLine):
    command = ("private", folder / "study.yaml", "--public", folder / "public.csv", "--epsilon", 8,
               "--epsilon", "b=2", "--steps", 5, "--out", folder / "m")  # fmt: skip
    out = cli(*command).out
    assert "fitted on 477 rows" in out
    assert "b: epsilon 2.00 for a row" in out or "b: epsilon 1.9" in out
    assert "a group here has up to 3" in out
    assert "hot: mean average precision" in out or "hot: accuracy" in out
    again = cli.refused(*command)
    assert again == (
        f"{folder / 'm'}: is there already; another fit on the same rows spends its epsilon, too"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epsilon", "b"], "--epsilon: found 'b', expected a number or SOURCE=NUMBER"),
        (["--epsilon", "1", "--epsilon", "c=2"], "epsilon: no source 'c', expected 'a', 'b'"),
        (["--epsilon", "a=1"], "epsilon: found none of source 'b', expected one"),
    ],
)
def test_bad_epsilons_are_one_line(
    folder: Path, cli: CommandLine, arguments: list[str], message: str
):
    found = cli.refused(
        "private", folder / "study.yaml", "--public", folder / "public.csv", "--out",
        folder / "n", *arguments,
    )  # fmt: skip
    assert found == message
    assert not (folder / "n").exists()


def test_a_public_table_without_a_column_is_refused(folder: Path, cli: CommandLine):
    rows(20, 5)[0].drop(columns="heat").to_csv(folder / "less.csv", index=False)
    found = cli.refused("private", folder / "study.yaml", "--public", folder / "less.csv",
                        "--epsilon", 1, "--out", folder / "n")  # fmt: skip
    assert found.startswith(f"{folder / 'less.csv'}: no column 'heat', found 'long_axis'")
