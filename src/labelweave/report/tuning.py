"""What a search found, for the terminal: the Pareto front between tasks, and the best settings."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from labelweave.report.tables import printable

COLUMNS = 6  # trials of the front that are shown


def print_tuning(results: Mapping[str, Any], console: Console) -> None:
    """Print per task the gains of the trials on the Pareto front, best first, and the settings."""
    by_number = {trial["trial"]: trial for trial in results["trials"]}
    front = sorted(results["front"], key=lambda n: -by_number[n]["objective"])
    shown = front[:COLUMNS]
    count = dict.fromkeys(("complete", "pruned", "fail"), 0)
    for trial in results["trials"]:
        count[trial["state"]] += 1
    console.print(
        f"{len(results['trials'])} trials of {printable(results['arm'])}: {count['complete']} to "
        f"their end, {count['pruned']} given up early, {count['fail']} failed; "
        f"seeds: {', '.join(map(str, results['seeds']))}",
        markup=False, highlight=False,
    )  # fmt: skip
    title = "Pareto front between tasks: gain to single_task on validation rows, in points"
    table = Table(title=title, title_justify="left", box=None, header_style="")
    table.add_column("task")
    table.add_column("single", justify="right")
    for number in shown:
        table.add_column(f"trial {number}", justify="right")
    for name, score in results["baseline"].items():
        cells = [f"{100 * score:.1f}"]
        cells += [f"{100 * by_number[n]['gains'][name]:+.1f}" for n in shown]
        table.add_row(Text(printable(name)), *cells)
    table.add_row("objective", "", *(f"{100 * by_number[n]['objective']:+.1f}" for n in shown))
    console.print(table, highlight=False)
    if len(front) > len(shown):
        console.print(f"and {len(front) - len(shown)} more in tuning.csv")
    console.print(f"\nBest settings, trial {results['best']}:", highlight=False)
    for key, value in results["settings"].items():
        usual = results["usual"].get(key)
        before = "" if usual is None or usual == value else f" (was {told(usual)})"
        text = f"  {key}: {told(value)}{before}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def told(value: Any) -> str:
    """Return a setting as it is read: numbers in three digits."""
    return f"{value:.3g}" if isinstance(value, float) else printable(value)
