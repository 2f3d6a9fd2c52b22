"""The figures of the first screen, in terminal, Markdown and pictures."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_example import example_results, recommended

from labelweave._messages import Messages
from labelweave.report import write_markdown
from labelweave.report._figures import label_curve
from labelweave.report._recommendation import first_screen
from labelweave.report._sections import value_lines
from labelweave.results import (
    CurvePoint,
    KeyFigure,
    MeanInterval,
    Money,
    Results,
    RunningMoney,
    TaskLabelCurve,
)


def needed(mean: float | None, low: float | None, high: float | None) -> Results:
    results = example_results(tasks=1, methods=2)
    ends = MeanInterval(mean, low, high)
    curve = TaskLabelCurve("accuracy", "multi_task", 64, (), (), MeanInterval(), ends, 9000.0)
    return recommended(results, label_curves={"species": curve})


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((1796.0, 349.0, 2400.0), "1,796 (349 to 2,400)"),
        ((1796.0, 349.0, None), "1,796 (at least 349)"),
        ((None, 349.0, None), "more than 9,000"),
    ],
)
def test_an_open_end_of_needed_labels_is_written_in_words(ends: Any, text: str) -> None:
    line = value_lines(needed(*ends))[-1]
    assert line.endswith(f"species: 64 labels are as good as {text} without joining")


@pytest.mark.parametrize("saved", [0.0, 8.4])
def test_labels_are_reported_as_whole_numbers(saved: float) -> None:
    results = example_results(tasks=2)
    figures = (KeyFigure("labels", "labels", saved, assumption="so"),)
    text = first_screen(
        replace(results, recommendation=replace(results.recommended, figures=figures))
    )
    assert text.figures[0].value == f"{saved:.0f} labels"


@pytest.mark.parametrize(
    ("unit", "saved", "text"),
    [
        ("JPY a year", 0.11, "negligible"),
        ("JPY a year", 1200.0, "1,200 JPY a year saved"),
        ("EUR a year", -0.4, "negligible"),
        ("EUR a year", 12.5, "12.5 EUR a year saved"),
        ("times", 0.2, "0.20 times today's"),
    ],
)
def test_small_amounts_of_money_are_negligible(unit: str, saved: float, text: str) -> None:
    results = example_results(tasks=2)
    figures = (KeyFigure("cost", unit, saved, assumption="so"),)
    found = first_screen(
        replace(results, recommendation=replace(results.recommended, figures=figures))
    )
    assert found.figures[0].value == text


def test_labels_that_are_not_shown_to_be_saved_are_no_zero() -> None:
    results = example_results(tasks=2)
    figures = (KeyFigure("labels", "labels", assumption="on no task"),)
    found = first_screen(
        replace(results, recommendation=replace(results.recommended, figures=figures))
    ).figures[0]
    assert (found.value, found.assumption, found.measured) == ("not shown", "on no task", False)


def test_the_table_in_markdown_has_the_intervals_that_its_caption_names(tmp_path: Path) -> None:
    results = example_results(tasks=2, methods=3)
    write_markdown(results, tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    found = results.methods["multi_task"]["species"]["accuracy"]
    assert found.low is not None
    assert found.high is not None
    half = (found.high - found.low) / 2
    assert f"| {found.mean:.3f} ± {half:.3f} " in text


@pytest.mark.parametrize("labels", [(672, 1343), (6, 1400), (20_000, 2_000_000)])
def test_ticks_of_a_label_curve_are_plain_numbers(labels: tuple[int, int]) -> None:
    points = tuple(CurvePoint(n, 1.0, 0.8, 0.7, 0.9) for n in labels)
    nothing = MeanInterval()
    curve = TaskLabelCurve("accuracy", "full", labels[1], points, (), nothing, nothing)
    picture = label_curve("species", curve, "single_task", "key", Messages())
    assert "mathdefault" not in picture
    ticks = [float(x.replace(",", "")) for x in re.findall(r">([\d,]+)</text>", picture)]
    assert sum(labels[0] * 0.9 < tick < labels[1] * 1.1 for tick in ticks) >= 2


def test_markdown_shows_the_money_of_labels_and_running(tmp_path: Path) -> None:
    running = RunningMoney(80.0, 410.5, 330.5, "a year")
    money = Money("EUR", total=MeanInterval(1829.3, 712.5), running=running)
    write_markdown(replace(example_results(tasks=2), money=money), tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "- Labels saved are worth 1,829 EUR (at least 712).\n" in text
    assert "- Running: joint 80.00, single 410.50, saved 330.50 EUR a year.\n" in text
    small = replace(money, currency="JPY", total=None, running=RunningMoney(0.1, 0.21, 0.11, "a"))
    write_markdown(replace(example_results(tasks=2), money=small), tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "- Running: negligible for both, in JPY.\n" in text
    write_markdown(example_results(tasks=2), tmp_path / "report.md")
    assert "money" not in (tmp_path / "report.md").read_text(encoding="utf-8").lower()
