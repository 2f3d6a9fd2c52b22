"""The site builds without a warning, no link in it is broken, every public name is on it."""

import os
import re
import subprocess
import sys
from html import unescape
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs import generate

ROOT = Path(__file__).parents[2]
LINK = re.compile(r'(?:href|src)="([^"]*)"')
ANCHOR = re.compile(r'\bid="([^"]*)"')


def broken(site: Path) -> list[str]:
    texts = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    anchors = {page.resolve(): set(ANCHOR.findall(text)) for page, text in texts.items()}
    found = []
    for page, text in texts.items():
        for link in map(unescape, LINK.findall(text)):
            path, _, anchor = unquote(link).partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            target = (page.parent / path.partition("?")[0]).resolve() if path else page.resolve()
            lacking = anchor and target in anchors and anchor not in anchors[target]
            if not target.exists() or lacking:
                found.append(f"{page.relative_to(site)}: {link}")
    return sorted(found)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a id="x" href="b.html#y"><a href="b.html#z"><a href="#x">')
    (tmp_path / "b.html").write_text('<p id="y"><a href="c.html"><a href="https://example.org">')
    assert broken(tmp_path) == ["a.html: b.html#z", "b.html: c.html"]


def test_every_public_name_and_every_command_has_its_place() -> None:
    pages = generate.api_pages()
    for module in generate.modules():
        for name in import_module(module).__all__:
            assert re.search(rf":: {module}\.{name}$", pages[f"{module}.md"], re.M), name
    commands = generate.commands_page()
    for command in ("run", "predict", "compare", "ablate", "tune"):
        assert f"\n## `{command}`\n" in commands


@pytest.mark.slow
def test_the_site_builds_without_a_warning_or_a_broken_link(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    generate.write()
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    places = ["-d", str(tmp_path / "trees"), str(ROOT / "docs"), str(tmp_path / "site")]
    built = subprocess.run(
        [*command, *places], capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert built.stderr == ""
    assert built.returncode == 0
    assert broken(tmp_path / "site") == []
    assert (tmp_path / "site" / "searchindex.js").stat().st_size > 100_000
    text = "".join(p.read_text("utf-8") for p in (tmp_path / "site").rglob("reference/api/*.html"))
    for module in generate.modules():
        for name in import_module(module).__all__:
            assert f'id="{module}.{name}"' in text, f"{module}.{name}"


def test_every_page_is_listed_in_the_index_of_its_folder() -> None:
    for index in (ROOT / "docs").glob("*/index.md"):
        listed = index.read_text(encoding="utf-8").split("\n")
        pages = {
            page.relative_to(index.parent).with_suffix("").as_posix()
            for page in index.parent.rglob("*.md")
            if page != index and page.parent.name != "api"
        }
        assert pages - set(listed) == set(), index
