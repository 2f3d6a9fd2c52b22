"""What a study decided, in a dozen lines for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from labelweave.report._recommendation import first_screen
from labelweave.report._tables import MARKS, clean
from labelweave.report._terminal import STYLES, fits
from labelweave.results import ALONE, NETWORKS_ALONE, Results, TaskFacts

HEADS = {NETWORKS_ALONE: "alone", ALONE: "best alone"}
TASKS = 6  # rows of the table, at most
NAME = 11  # letters of a task's name that always fit


def print_decision(results: Results, console: Console) -> None:
    """Print the decision, the three figures and a table of the tasks, in at most 13 lines.

    A row holds a task's main metric in percent: of the tasks alone, of the best learners alone, and
    of the recommended method, `coupled` and `student` as far as they fit, with the mark of their
    change against the baseline and its simultaneous interval: of all, or of the recommended method
    where the console is narrow. Of many tasks, those with the largest changes are shown.

    Args:
        results: of a study.
        console: where to print, at least 80 columns wide.
    """
    screen, found = first_screen(results), results.recommended
    lines = [screen.verdict]
    counts = found.of_method or found.of_best
    text = f"{'Recommended meanwhile' if found.undecided else 'Recommended'}: {found.method}"
    if counts is not None:
        of = "" if counts.method == found.method else f"{counts.method}: "
        text += (
            f"; {of}gain on {len(counts.gains)} of {len(results.tasks)} tasks, "
            f"negative transfer on {len(counts.harmed)}"
        )
    lines.append(text)
    for figure in screen.figures:
        interval = f" ({figure.interval})" if figure.interval else ""
        lines.append(f"{figure.title}: {figure.value}{interval}")
    for number, line in enumerate(lines):
        text = clean(line)
        console.print(Text(text, style="" if number else "bold"), no_wrap=True, overflow="ellipsis")
    console.print(_widest(results, console))
    marks = " ".join(f"{mark} {word}" for word, mark in MARKS.items())
    console.print(Text(f"{marks}; more: --all", style="dim"), no_wrap=True)


def _widest(results: Results, console: Console) -> Table:
    """Return the table with as many methods as fit the console."""
    found = results.recommended
    joint = (found.shown, "coupled", "student")
    methods = [
        method
        for method in dict.fromkeys((NETWORKS_ALONE, results.baseline, *joint))
        if method in results.methods
    ]
    for kept in range(len(methods), 1, -1):
        for width in (28, NAME):
            for measured in (methods, [found.shown]):
                table = _table(results, methods[:kept], width, measured)
                if fits(table, console):
                    return table
    return _table(results, methods[:1], NAME, methods)


def _table(results: Results, methods: Sequence[str], width: int, measured: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("task, in percent"[:width], max_width=width, no_wrap=True, overflow="ellipsis")
    for method in methods:
        head = HEADS.get(method, method)
        table.add_column(Text(clean(head)), justify="right", no_wrap=True)
    tasks = _largest_changes(results)
    for task in tasks:
        cells = (_cell(results, method, task, method in measured) for method in methods)
        table.add_row(Text(clean(task.name)), *cells)
    if len(tasks) < len(results.tasks):
        table.add_row(Text(f"{len(results.tasks) - len(tasks)} more", style="dim"))
    return table


def _largest_changes(results: Results) -> list[TaskFacts]:
    """Return the tasks to show, in their order."""
    if len(results.tasks) <= TASKS:
        return list(results.tasks)
    shown = results.recommended.shown

    def change(task: TaskFacts) -> float:
        return abs(results.difference(shown, task).mean or 0.0)

    kept = sorted(results.tasks, key=change, reverse=True)[: TASKS - 1]
    return [task for task in results.tasks if task in kept]


def _cell(results: Results, method: str, task: TaskFacts, measured: bool) -> Text:
    found, word = results.score(method, task), results.verdict(method, task)
    if found.mean is None:
        return Text("no data", style="dim")
    cell = Text(f"{100 * found.mean:.1f}")
    if method == results.baseline:
        return cell
    cell.append(MARKS[word] if word else " ", style=STYLES.get(word or "", ""))
    change = results.difference(method, task)
    if measured and change.low is not None and change.high is not None:
        cell.append(f" {100 * change.low:+.1f} to {100 * change.high:+.1f}", style="dim")
    return cell
