"""The table of an ablation: in the terminal, as CSV, as LaTeX and as one HTML page.

A cell is the main metric in percent, its mean over the seeds and their standard deviation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import stdev

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labelweave._files import csv_text, write_text
from labelweave.errors import LabelweaveError
from labelweave.report._tables import MARKS, clean, escaped, main_metrics, tabular
from labelweave.report._terminal import fits
from labelweave.results import Results, TaskFacts

COLUMNS = (
    "method", "label", "form", "relations", "task", "metric", "mean", "std", "seeds", "best",
    "difference", "difference_low", "difference_high", "p_adjusted", "verdict",
)  # fmt: skip
HARM = "negative transfer"
ORIGINS = {"given": "given relations", "all": "from all evidence"}


@dataclass(frozen=True)
class Figure:
    """The main metric of a method on a task.

    Attributes:
        mean: over the seeds; None = no data.
        spread: sample standard deviation over the seeds; None with fewer than two.
        best: whether the mean is the highest of the task.
        harmed: whether the study's statistics say negative transfer.
    """

    mean: float | None
    spread: float | None
    best: bool
    harmed: bool

    @property
    def figures(self) -> tuple[str, str]:
        """The mean and "±" with the spread, in percent with one decimal; "" for no data."""
        mean, spread = (None if x is None else f"{100 * x:.1f}" for x in (self.mean, self.spread))
        return mean or "", f"±{spread}" if spread else ""


Row = tuple[str, list[Figure]]


def print_ablation(results: Results, console: Console) -> None:
    """Print the table, in as many blocks of tasks as the console's width asks for.

    Args:
        results: the answer of `labelweave.experiments.run_ablation`.
        console: where to print.

    Raises:
        LabelweaveError: the results are not those of an ablation.
    """
    _check(results)
    count = len(results.tasks)
    for blocks in range(1, count + 1):
        size = -(-count // blocks)
        tables = [_table(results, range(i, min(i + size, count))) for i in range(0, count, size)]
        if all(fits(table, console) for table in tables):
            break
    for table in tables:
        console.print(table)
    console.print(Text(clean(_legend(results)), style="dim"))


def write_ablation(results: Results, folder: str | Path, *, formulas: bool = False) -> list[Path]:
    """Write ``ablation.json``, ``.csv``, ``.tex`` and ``.html``, each whole or not at all.

    The CSV file has a row for every method and task, unrounded, as fractions; the LaTeX table needs
    the packages booktabs and amssymb; the page holds all it needs.

    Args:
        results: the answer of `labelweave.experiments.run_ablation`.
        folder: where to write.
        formulas: see `write_results_csv`.

    Returns:
        The paths of the files.

    Raises:
        LabelweaveError: the results are not those of an ablation, or a file cannot be written.
    """
    _check(results)
    texts = {
        "json": results.to_json(),
        "csv": _csv(results, formulas=formulas),
        "tex": _latex(results),
        "html": _html(results),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for ending, text in texts.items():
        write_text(folder / f"ablation.{ending}", text)
    return [folder / f"ablation.{ending}" for ending in texts]


def _check(results: Results) -> None:
    if not results.rows:
        raise LabelweaveError("results: no 'rows', expected the results of an ablation")


def _groups(results: Results) -> dict[str, list[Row]]:
    """Return the rows in groups of one form and one origin of relations, by the group's title."""
    groups: dict[str, list[Row]] = {}
    for row in results.rows:
        relations = ORIGINS.get(row.relations, f"from {row.relations}")
        title = f"{row.form}, {relations}" if row.form else ""
        cells = [_cell(results, row.method, task) for task in results.tasks]
        groups.setdefault(title, []).append((row.label, cells))
    return groups


def _cell(results: Results, method: str, task: TaskFacts) -> Figure:
    return Figure(
        results.score(method, task).mean,
        _spread(results, method, task),
        method in results.best_methods(task),
        results.verdict(method, task) == HARM,
    )


def _spread(results: Results, method: str, task: TaskFacts) -> float | None:
    values = [value for value in results.score(method, task).values if value is not None]
    return stdev(values) if len(values) > 1 else None


def _table(results: Results, shown: Sequence[int]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", no_wrap=True)
    for i in shown:
        name = clean(results.tasks[i].name)
        table.add_column(Text(name), justify="right", no_wrap=True)
    for title, rows in _groups(results).items():
        if title:
            table.add_row(Text(title, style="italic"))
        for label, cells in rows:
            table.add_row(Text(label), *(_styled(cells[i]) for i in shown))
    return table


def _styled(cell: Figure) -> Text:
    if cell.mean is None:
        return Text("no data", style="dim")
    mean, spread = cell.figures
    text = Text(mean, style="bold" if cell.best else "")
    text.append(f" {spread}" if spread else "", style="not bold dim")
    # a space in place of the mark keeps the figures of a column in line
    return text.append(MARKS[HARM] if cell.harmed else " ", style="not bold red")


def _legend(results: Results) -> str:
    return (
        f"{main_metrics(results)}; in percent, mean ± standard deviation over "
        f"{len(results.seeds)} seed{'s' * (len(results.seeds) != 1)}; "
        f"bold = best of the task; {MARKS[HARM]} {HARM} (against {results.baseline})"
    )


def _csv(results: Results, *, formulas: bool) -> str:
    rows = []
    for row in results.rows:
        method = row.method
        for task in results.tasks:
            cell, change = _cell(results, method, task), results.difference(method, task)
            rows.append(
                (
                    *(method, row.label, row.form, row.relations),
                    *(task.name, task.main_metric, cell.mean, cell.spread),
                    *(results.score(method, task).seeds, int(cell.best)),
                    *(change.mean, change.low, change.high, change.p_adjusted),
                    results.verdict(method, task),
                )
            )
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return csv_text(table, formulas=formulas)


def _latex(results: Results) -> str:
    heads = ["method", *(task.name for task in results.tasks)]
    groups = {
        title: [[escaped(label), *map(_math, cells)] for label, cells in rows]
        for title, rows in _groups(results).items()
    }
    # the mark goes into the escaped text afterwards, for it is a command
    caption = escaped(f"Ablation on {results.study}: {_legend(results)}.")
    return tabular(heads, groups, caption.replace(MARKS[HARM], r"$\blacktriangledown$"))


def _math(cell: Figure) -> str:
    mean, spread = cell.figures
    if not mean:
        return "--"
    spread = spread.replace("±", r" \pm ")
    shown = rf"\mathbf{{{mean}}}" if cell.best else mean
    harm = r"\,\blacktriangledown" if cell.harmed else ""
    return f"${shown}{spread}{harm}$"


def _html(results: Results) -> str:
    from jinja2 import Environment  # heavy, and of use only here

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = files("labelweave.report").joinpath("ablation.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        results=results, groups=_groups(results), legend=_legend(results), mark=MARKS[HARM]
    )
