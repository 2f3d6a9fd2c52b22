"""The decision on one slide: a picture of 1600 by 900 pixels."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labelweave._files import replacing
from labelweave._messages import Messages
from labelweave.report._names import method_name
from labelweave.report._recommendation import FirstScreen, first_screen, headline
from labelweave.report._tables import clean, interval_level
from labelweave.results import Cell, Results

SIZE, DPI = (1600, 900), 100
INK, SOFT, LINE = "#1b1f24", "#59626d", "#dfe3e8"
MOST_TASKS = 12


def write_summary(results: Results, path: str | Path, language: str = "en") -> None:
    """Write the verdict, the three figures and the change on every task as a PNG of 1600 x 900.

    Where this machine has no font for the language, the picture is in English and says so.

    Args:
        results: of a study.
        path: the file to write, replaced as a whole.
        language: the language of the texts, one of `languages()`.

    Raises:
        LabelweaveError: no such language, or the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from labelweave.report._drawing import style

    say, families, note = legible(results, language)
    with style("summary"), rc_context({"font.family": families}), warnings.catch_warnings():
        figure = Figure(figsize=(SIZE[0] / DPI, SIZE[1] / DPI), dpi=DPI)
        figure.set_layout_engine("none")
        decision = first_screen(results, say)
        _write(figure, results, decision, say, note)
        _draw_changes(figure, results, say)
        with replacing(Path(path)) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


def legible(results: Results, language: str) -> tuple[Messages, list[str], str]:
    """Return the language of the picture, its fonts, and a note where it is another language.

    A name without a font is no reason to change the language.
    """
    from labelweave.report._drawing import BASE, fonts_for

    say, note = Messages(language), ""
    alphabet = "".join(map(str, say.texts.values()))
    if fonts_for(alphabet) is None:
        say, note = Messages("en"), f"no font for '{language}' on this machine: in English"
        alphabet = "".join(map(str, say.texts.values()))
    names = "".join(task.name for task in results.tasks) + results.study
    return say, fonts_for(alphabet + names) or fonts_for(alphabet) or [BASE], note


def _write(figure: Any, results: Results, decision: FirstScreen, say: Messages, note: str) -> None:
    from matplotlib import rcParams

    figure.text(0.04, 0.93, clean(results.study), size=15, color=SOFT)
    # a machine's font for other scripts seldom has a bold face: mixed weights look broken
    weight = "bold" if len(rcParams["font.family"]) == 1 else "normal"
    figure.text(0.04, 0.855, decision.verdict, size=26, weight=weight, color=INK)
    text = headline(results, say) + say.stop
    for i, line in enumerate(_lines(text, 134, 4)):
        figure.text(0.04, 0.8 - 0.035 * i, line, size=14, color=INK)
    for i, shown in enumerate(decision.figures):
        top = 0.61 - 0.195 * i
        figure.text(0.04, top, shown.title, size=14, color=SOFT)
        size = 28 if shown.measured else 17
        figure.text(0.04, top - 0.062, shown.value, size=size, color=INK)
        below = [shown.interval] if shown.interval else []
        for j, line in enumerate([*below, *_lines(shown.assumption, 80, 3)][:3]):
            figure.text(0.04, top - 0.093 - 0.026 * j, line, size=11, color=SOFT)
    last = f"labelweave {results.labelweave}" + (f" · {note}" if note else "")
    figure.text(0.96, 0.03, last, size=10, color=SOFT, ha="right")


def _draw_changes(figure: Any, results: Results, say: Messages) -> None:
    """Draw the change of the shown method against the baseline on every task."""
    from labelweave.report._drawing import name_ticks
    from labelweave.report._figures import BLACK, GREY, MARKERS

    method = results.recommended.shown
    rows: Sequence[tuple[str, Cell, str | None]] = [
        (task.name, results.difference(method, task), results.verdict(method, task))
        for task in results.tasks
    ]
    kept = sorted(rows, key=lambda row: -abs(row[1].mean or 0.0))[:MOST_TASKS]
    rows = [row for row in rows if row in kept]
    axes = figure.add_axes((0.56, 0.16, 0.4, 0.46))
    for y, (_, found, word) in enumerate(rows):
        if found.mean is None:
            by_row = axes.get_yaxis_transform()
            missing = say("word.no_data")
            axes.text(0.02, y, missing, transform=by_row, va="center", color=GREY, size=12)
            continue
        colour, marker, face = MARKERS[word or ""]
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [y, y], color=colour, lw=2.5)
        axes.plot(found.mean, y, color=colour, marker=marker, markerfacecolor=face, ms=10)
    axes.axvline(0, color=BLACK, lw=1, ls=(0, (4, 3)), zorder=1)
    name_ticks(axes, "y", [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(labelsize=12)
    axes.grid(axis="x")
    level = interval_level(results)
    base = method_name(results.baseline, say)
    title = say("summary.changes", method=method_name(method, say), baseline=base, level=level)
    for i, line in enumerate(_lines(title, 62, 2)):
        figure.text(0.56, 0.665 - 0.028 * i, line, size=13, color=INK)
    marks = {"gain": "▲", "negative transfer": "▼", "no difference": "●", "not enough data": "○"}
    legend = "  ".join(f"{mark} {say.named('verdict', word)}" for word, mark in marks.items())
    figure.text(0.56, 0.075, legend, size=11, color=SOFT)


def _lines(text: str, length: int, most: int) -> list[str]:
    """Return a text in at most so many lines of so many characters, a wide one being two.

    A line ends at a space, or after any wide character; a text that is cut ends in "…".
    """
    from labelweave.report._drawing import width

    lines, line, word = [], "", ""
    for character in [*clean(text), " "]:
        word += character
        if character != " " and width(character) == 1:
            continue
        if line and width((line + word).rstrip()) > length:
            lines.append(line.rstrip())
            line = ""
        line, word = line + word, ""
    lines.append(line.rstrip())
    return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1] + "…"]
