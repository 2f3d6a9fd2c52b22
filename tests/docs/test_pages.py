"""Tutorials and how-to pages: their files, commands and Python run, and print what they show."""

import runpy
import shutil
from pathlib import Path

import pytest
from command_line import CommandLine
from docs_page import BLOCK, check_output, follow

DOCS = Path(__file__).parents[2] / "docs"
QUICK = ["howto/files", "howto/labels", "howto/decide", "howto/machines", "tutorials/texts"]
TRAINING = ["tutorials/notebook", "tutorials/images"]


@pytest.mark.parametrize(
    "page", [*QUICK, *(pytest.param(page, marks=pytest.mark.slow) for page in TRAINING)]
)
def test_the_page_runs_and_prints_what_it_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: CommandLine
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert any(kind == "pycon" for kind, _ in BLOCK.findall(text))
    follow(text, cli)


@pytest.mark.slow
def test_a_study_becomes_a_service_as_the_two_tutorials_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: CommandLine
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DOCS / "tutorials" / "messy_tables.py", tmp_path)
    runpy.run_path("messy_tables.py")
    for name in ("own-tables", "service"):
        ran = follow(
            (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8"), cli, skipped={"serve"}
        )
        assert len(ran) >= 6, name
    assert (tmp_path / "runs" / "parts" / "model" / "model.onnx").stat().st_size > 1000


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
