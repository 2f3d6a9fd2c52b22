"""Two studies or models side by side in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labelweave.report.tables import printable


def print_compared(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], console: Console
) -> None:
    """Print one line a task: both means, the paired difference with its interval, the verdict.

    Args:
        rows: task, metric, the estimates `a` and `b`, difference, p_adjusted and verdict.
        names: of A and B.
        console: where to print.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    for head in ("task", "metric"):
        table.add_column(head, overflow="fold")
    for head in ("A", "B", "B - A", "p"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        change = row["difference"]
        moved = _points(change.mean, "+")
        if change.low is not None and change.high is not None:
            moved += f" ({_points(change.low, '+')} to {_points(change.high, '+')})"
        p = row["p_adjusted"]
        told = "-" if p is None else "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")
        cells = (
            row["task"], row["metric"], _points(row["a"].mean), _points(row["b"].mean), moved,
            told, row["verdict"],
        )  # fmt: skip
        table.add_row(*(Text(printable(cell)) for cell in cells))
    for letter, name in zip("AB", names, strict=True):
        console.print(Text(printable(f"{letter} = {name}")), soft_wrap=True)
    console.print(table)
    seeds = rows[0]["difference"].seeds
    console.print(
        Text(
            f"in percent; paired by row and seed ({seeds} seed{'s' * (seeds != 1)}); "
            "p after Holm's correction"
        )
    )


def _points(value: float | None, sign: str = "") -> str:
    return "no data" if value is None else f"{100 * value:{sign}.1f}"
