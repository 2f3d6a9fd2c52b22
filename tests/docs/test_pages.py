"""Tutorials and how-to pages: their files, commands and Python run, and print what they show."""

import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest
from command_line import CommandLine
from docs_page import BLOCK, check_output, follow

DOCS = Path(__file__).parents[2] / "docs"
QUICK = ["howto/files", "howto/labels", "howto/decide", "howto/machines", "tutorials/texts"]
TRAINING = ["tutorials/notebook", "tutorials/images"]


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in TRAINING)]
)
def test_the_page_runs_and_prints_what_it_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: CommandLine
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert any(kind == "pycon" for kind, _ in BLOCK.findall(text))
    follow(text, cli)


def page(name: str) -> str:
    return (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the tables of the tutorials, which is the current one."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(DOCS / "tutorials" / "messy_tables.py", tmp_path)
    runpy.run_path("messy_tables.py")
    return tmp_path


def test_own_tables_are_read_and_checked_as_the_page_shows(folder: Path, cli: CommandLine) -> None:
    assert "判定".encode("cp932") in (folder / "station_c.csv").read_bytes()
    ran = follow(page("own-tables"), cli, skipped={"run", "predict"})
    assert ran == ["init", "check", "check", "check"]


@pytest.mark.slow
def test_own_tables_become_a_study_and_the_study_a_service(folder: Path, cli: CommandLine) -> None:
    ran = follow(page("own-tables"), cli)
    assert ran == ["init", "check", "check", "check", "run", "predict"]
    new, predicted = pd.read_csv("new_parts.csv"), pd.read_csv("predicted.csv")
    assert predicted["serial"].tolist() == new["serial"].tolist()
    assert {"surface predicted", "defect predicted", "verdict predicted"} <= set(predicted)
    hot = new["temperature"] > 195
    assert (predicted.loc[hot, "defect predicted"] == "crack").mean() > 0.7
    ran = follow(page("service"), cli, skipped={"serve"})
    assert ran == ["finish", "predict", "export", "monitor", "update", "rollback"]
    assert (folder / "runs" / "parts" / "model" / "model.onnx").stat().st_size > 1000


def test_a_page_that_shows_what_is_not_printed_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: CommandLine
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="Got:"):
        follow("```pycon\n>>> 1 + 1\n3\n```\n", cli)
    with pytest.raises(AssertionError, match="no such line"):
        check_output("check", "no such line\n", "another line\n")
    with pytest.raises(AssertionError, match="no such study file"):
        follow("```console\n$ labelweave check none.yaml\ntask a\n```\n", cli)
