"""The page on one's own tables: its commands run, and print what it shows."""

import re
import runpy
import shlex
from pathlib import Path

import pandas as pd
import pytest
from command_line import CommandLine

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
PAGE = (TUTORIALS / "own-tables.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(console|yaml)\n(.*?)```", re.DOTALL)


def followed(cli: CommandLine) -> list[str]:
    """Write the page's study files, run its commands, and return them."""
    ran = []
    for kind, text in BLOCK.findall(PAGE):
        if kind == "yaml":
            assert text.startswith("# study.yaml\n")
            Path("study.yaml").write_text(text, encoding="utf-8")
            continue
        command, *shown = text.splitlines()
        assert command.startswith("$ labelweave ")
        if (asked := shlex.split(command)[2:])[0] in SKIPPED:
            continue
        answer = cli(*asked)
        assert answer.code == 0, answer
        said = " ".join((answer.out + answer.err).split())
        for line in shown:
            assert " ".join(line.split()) in said, (command, line)
        ran.append(asked[0])
    return ran


SKIPPED: set[str] = set()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(TUTORIALS / "messy_tables.py"))
    return tmp_path


def test_tables_are_read_and_checked_as_the_page_shows(
    folder: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "判定".encode("cp932") in (folder / "station_c.csv").read_bytes()
    monkeypatch.setattr(f"{__name__}.SKIPPED", {"run", "predict"})
    assert followed(cli) == ["init", "check", "check", "check"]


@pytest.mark.slow
def test_the_whole_page_runs_and_new_parts_are_predicted(folder: Path, cli: CommandLine) -> None:
    assert followed(cli) == ["init", "check", "check", "check", "run", "predict"]
    new, predicted = pd.read_csv("new_parts.csv"), pd.read_csv("predicted.csv")
    assert predicted["serial"].tolist() == new["serial"].tolist()
    assert {"surface predicted", "defect predicted", "verdict predicted"} <= set(predicted)
    hot = new["temperature"] > 195
    assert (predicted.loc[hot, "defect predicted"] == "crack").mean() > 0.7
