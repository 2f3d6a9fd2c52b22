"""The measured results: each has its command, date and commit, and links to them lead there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
SOURCE = re.compile(
    r"^Command: (not recorded|a prototype .*?|`.+`)\. "
    r"Date: (\d{4}-\d\d-\d\d)(?:, commit [0-9a-f]{8})?\. "
    r"Discussed in \[.+\]\(\.\./(docs/.+?\.md)\)\.$"
)


def anchor(title: str) -> str:
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.lower()))


def test_every_result_has_a_table_a_command_a_date_a_commit_and_a_page() -> None:
    parts = re.split(r"^### ", RESULTS, flags=re.MULTILINE)[1:]
    assert len(parts) > 35
    for part in parts:
        title = part.splitlines()[0]
        lines = [line for line in part.splitlines() if line.startswith("Command: ")]
        assert len(lines) == 1, title
        found = SOURCE.match(lines[0])
        assert found, lines
        assert re.search(r"^\|[-|: ]+\|$", part, re.MULTILINE), title
        page = (ROOT / found[3]).read_text(encoding="utf-8")
        assert f"benchmarks/RESULTS.md#{anchor(title)})" in page, title


def test_commands_name_benchmarks_that_exist() -> None:
    names = set(re.findall(r"python -m benchmarks\.(\w+)", RESULTS))
    assert len(names) > 10
    for name in names:
        place = ROOT / "benchmarks" / name
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), name


def test_links_to_results_lead_to_a_result() -> None:
    titles = {anchor(t) for t in re.findall(r"^### (.+)$", RESULTS, re.MULTILINE)}
    links = {
        link
        for page in (ROOT / "docs").rglob("*.md")
        for link in re.findall(r"benchmarks/RESULTS\.md#([\w-]+)", page.read_text("utf-8"))
    }
    assert links == titles


def measured_tables(text: str) -> list[str]:
    """Return the heads of tables that hold eight or more decimal figures."""
    tables = re.findall(r"^\|(.+)\|\n\|[-|: ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [head for head, body in tables if len(re.findall(r"(?<![\w.])\d*\.\d+", body)) >= 8]


def test_measured_tables_stand_in_the_results_only() -> None:
    assert len(measured_tables(RESULTS)) > 30
    found = {
        str(page.relative_to(ROOT)): heads
        for folder in ("tutorials", "howto", "explanation")
        for page in (ROOT / "docs" / folder).rglob("*.md")
        if (heads := measured_tables(page.read_text(encoding="utf-8")))
    }
    assert found == {}, "put them in benchmarks/RESULTS.md, with command, date and commit"
