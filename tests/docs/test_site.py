"""The site builds without a warning, no link in it is broken, every public name is on it."""

import json
import os
import re
import subprocess
import sys
from html import unescape
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from docs import generate
from labelweave.cli import app

ROOT = Path(__file__).parents[2]
QUESTIONS = {  # what a new user types into the search field, and the page that answers
    "which separator": "howto/files",
    "shift jis": "howto/files",
    "serial number is an input": "howto/files",
    "what does -1 mean": "howto/labels",
    "several annotators disagree": "howto/labels",
    "same person in train and test": "howto/labels",
    "sample weights": "howto/labels",
    "which labels are wrong": "howto/noise",
    "find 95 % of the positives": "howto/labels",
    "put the model into production": "explanation/faq",
    "how do I notice drift": "explanation/faq",
    "do I need a GPU": "explanation/faq",
    "run on a cluster": "howto/machines",
    "when should I not join": "howto/decide",
    "my label is a number": "howto/decide",
    "how few labels are enough": "explanation/faq",
    "is the new model better": "howto/decide",
    "are results reproducible": "howto/decide",
    "use TabICL": "howto/own-learner",
    "rare class": "howto/labels",
}
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


def answers(index: Path, question: str) -> set[str]:
    """Return the pages that hold all words of a question, by the index of the site's search."""
    from sphinx.search.en import SearchEnglish

    language = SearchEnglish({})
    text = index.read_text(encoding="utf-8").removeprefix("Search.setIndex(").removesuffix(")")
    made = json.loads(text)
    asked = re.findall(r"\w+", question.lower())
    words = [w for w in asked if w not in language.stopwords and not w.isdigit()]
    found = set(range(len(made["docnames"])))
    for word in words:
        pages: set[int] = set()
        for kind in ("terms", "titleterms"):
            hit = made[kind].get(language.stem(word), [])
            pages |= {hit} if isinstance(hit, int) else set(hit)
        found &= pages
    return {made["docnames"][page] for page in found}


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a id="x" href="b.html#y"><a href="b.html#z"><a href="#x">')
    (tmp_path / "b.html").write_text('<p id="y"><a href="c.html"><a href="https://example.org">')
    assert broken(tmp_path) == ["a.html: b.html#z", "b.html: c.html"]


def test_every_public_name_and_every_command_has_its_place() -> None:
    pages = generate.api_pages()
    for module in generate.modules():
        for name in import_module(module).__all__:
            assert re.search(rf":: {module}\.{name}$", pages[f"{module}.md"], re.M), name
    page = generate.commands_page()
    shown = typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    assert len(shown) > 20
    for command, details in shown:
        assert details.hidden or f"\n## `{command}`\n" in page, command
        for each in details.params:
            if each.param_type_name == "option" and not each.hidden:
                assert f"| `{', '.join(each.opts)}` |" in page, (command, each.name)


@pytest.mark.slow
def test_the_site_builds_links_and_answers_questions(tmp_path: Path) -> None:
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
    for question, page in QUESTIONS.items():
        assert page in answers(tmp_path / "site" / "searchindex.js", question), question
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
