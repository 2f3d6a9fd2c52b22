"""Which task taught which, in the results and on the page of a study with a coupled stack."""

from pathlib import Path

from labelweave.report import write_html
from labelweave.results import read_results


def test_results_and_page_show_what_each_part_of_the_stack_brought(
    finished_study: Path, tmp_path: Path
) -> None:
    results = read_results(finished_study.parent / "runs" / "parts")
    found = results.teaching
    assert found is not None
    assert (found.method, found.seed) == ("coupled", results.seeds[0])
    parts = {(each.task, each.part): each for each in found.parts}
    assert {task for task, _ in parts} == {"kind", "form"}
    assert {("kind", "all"), ("kind", "relation kind->form")} <= set(parts)
    assert all(each.low <= each.high and each.n > 0 for each in found.parts)
    write_html(results, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    table = page[page.index('<section id="teaching"') : page.index('<section id="calibration"')]
    assert "relation kind-&gt;form" in table.replace("<wbr>", "")
