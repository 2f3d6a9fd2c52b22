"""The dozen lines that a run ends with."""

import io
from dataclasses import replace

import pytest
from report_example import example_results, with_value
from rich.console import Console

from labelweave.report import print_decision, write_markdown


def decided(results, width=80):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    print_decision(results, console)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("tasks", [1, 3, 6, 7, 9, 30])
@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_decision_is_short_and_fits_the_console(tasks, width):
    results = with_value(example_results(tasks))
    lines = decided(results, width)
    assert len(lines) <= 13
    assert max(map(len, lines)) <= width
    assert any(line.startswith(f"Recommended: {results.recommended.method}") for line in lines)
    shown = [line for line in lines if line.split()[0] in {task.name for task in results.tasks}]
    assert len(shown) == (tasks if tasks <= 6 else 5)
    assert (f"{tasks - 5} more" in [line.strip() for line in lines]) is (tasks > 6)


def test_figures_intervals_and_marks_are_those_of_the_results():
    results = with_value(example_results(3))
    lines = decided(results, 120)
    change = results.difference("full", results.tasks[0])
    line = next(line for line in lines if line.startswith("species"))
    assert f"{100 * change.low:+.1f} to {100 * change.high:+.1f}" in line
    assert "\N{BLACK UP-POINTING TRIANGLE}" in line
    assert f"{100 * results.score('single_task', results.tasks[0]).mean:.1f}" in line
    assert any(line.startswith("Labels saved: ") for line in lines)


def test_the_largest_changes_are_shown_of_many_tasks():
    results = with_value(example_results(9))
    shown = results.recommended.shown
    size = {task.name: abs(results.difference(shown, task).mean or 0) for task in results.tasks}
    lines = " ".join(decided(results)).split()
    assert all(name in lines for name in sorted(size, key=size.__getitem__)[-5:])


def test_a_study_without_figures_says_so():
    results = replace(example_results(2, 1, 1), label_curves={}, running=None)
    lines = decided(results)
    assert any("not measured" in line for line in lines)


def test_what_is_recommended_before_a_study_decides_says_so(tmp_path):
    results = with_value(example_results(2))
    undecided = replace(
        results, recommendation=replace(results.recommended, verdict="contradictory")
    )
    assert undecided.recommended.undecided
    assert not results.recommended.undecided
    assert any(line.startswith("Recommended meanwhile: ") for line in decided(undecided))
    write_markdown(undecided, tmp_path / "report.md")
    assert "until the study can decide" in (tmp_path / "report.md").read_text(encoding="utf-8")
