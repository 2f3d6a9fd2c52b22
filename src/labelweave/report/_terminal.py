"""The results as a table in the terminal, laid out to fit its width."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from labelweave.report._recommendation import blind_spot, headline
from labelweave.report._sections import value_lines
from labelweave.report._tables import MARKS, clean, interval_level, main_metrics
from labelweave.results import Results, TaskFacts

CODES = {
    "single_task": "ST",
    "multi_task": "MT",
    "co_annotation": "CA",
    "distribution_matching": "DM",
    "distillation": "KD",
    "full": "full",
    "post_hoc": "PH",
    "shuffled_relations": "SR",
    "strong_single_task": "SST",
    "best_single_task": "BST",
    "coupled": "CO",
    "student": "ST1",
}
STYLES = {"gain": "green", "negative transfer": "red"}
NAME_WIDTH = 28
UNBOUNDED = 100_000


def print_results(results: Results, console: Console) -> None:
    """Print the verdict in words and one table: the main metric of every method on every task.

    A cell holds the metric in percent, half the width of its interval and the verdict's mark. The
    layout is the first that fits the console: methods as rows, tasks as rows, tasks as rows with
    codes for the methods, and last the same in several blocks.

    Args:
        results: of a study.
        console: where to print.
    """
    methods = results.method_names
    codes = {
        method: _code(method) or (method if len(method) <= 6 else f"method{i}")
        for i, method in enumerate(methods, 1)
    }
    plain = {method: method for method in methods}
    roomy = [_methods_as_rows(results, methods), _tasks_as_rows(results, methods, plain, " ")]
    dense = [_tasks_as_rows(results, methods, codes, "\n", padding) for padding in (1, 0)]
    table = next((table for table in [*roomy, *dense] if fits(table, console)), None)
    console.print(Text(clean(headline(results)), style="bold"))
    for block in _blocks(results, methods, codes, console) if table is None else [table]:
        console.print(block)
    if table not in roomy:
        legend = ", ".join(f"{code} = {method}" for method, code in codes.items() if code != method)
        console.print(Text(clean(legend)))
    for line in [*filter(None, [blind_spot(results)]), *_legend(results)]:
        console.print(Text(clean(line), style="dim"))
    for number, line in enumerate(value_lines(results)):
        console.print(Text(("" if number else "\n") + clean(line)))


def _code(method: str) -> str | None:
    name, _, origin = method.partition(".")
    return f"{CODES[name]}.{origin[:2]}" if origin and name in CODES else CODES.get(name)


def _methods_as_rows(results: Results, methods: Sequence[str]) -> Table:
    table = _table("method", [task.name for task in results.tasks], 1)
    for method in methods:
        table.add_row(_name(method), *(_cell(results, method, task, " ") for task in results.tasks))
    return table


def _tasks_as_rows(
    results: Results,
    methods: Sequence[str],
    names: Mapping[str, str],
    gap: str,
    padding: int = 1,
) -> Table:
    table = _table("task", [names[method] for method in methods], padding)
    for task in results.tasks:
        table.add_row(_name(task.name), *(_cell(results, method, task, gap) for method in methods))
    return table


def _blocks(
    results: Results, methods: Sequence[str], codes: Mapping[str, str], console: Console
) -> list[Table]:
    """Return the fewest tables of about equal width that fit the console."""
    tables: list[Table] = []
    for count in range(1, len(methods) + 1):
        size = -(-len(methods) // count)
        parts = [methods[i : i + size] for i in range(0, len(methods), size)]
        tables = [_tasks_as_rows(results, part, codes, "\n") for part in parts]
        if all(fits(table, console) for table in tables):
            break
    return tables


def _table(corner: str, heads: Sequence[str], padding: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, padding))
    table.add_column(corner, max_width=NAME_WIDTH, overflow="fold")
    for head in heads:
        table.add_column(_name(head), justify="right", no_wrap=True)
    return table


def fits(table: Table, console: Console) -> bool:
    """Return whether a table fits the console without folding its cells."""
    # measured without bound: within the console, rich would squeeze the columns first
    options = console.options.update(max_width=UNBOUNDED)
    return Measurement.get(console, options, table).maximum <= console.width


def _name(text: str) -> Text:
    return Text(clean(text))


def _cell(results: Results, method: str, task: TaskFacts, gap: str) -> Text:
    found, word = results.score(method, task), results.verdict(method, task)
    if found.mean is None:
        return Text(f"no{gap}data", style="dim")
    style = "bold" if method in results.best_methods(task) else ""
    # a space in place of the mark keeps the figures of a column in line
    cell = Text(f"{100 * found.mean:.1f}", style=style)
    cell.append(MARKS[word] if word else " ", style=STYLES.get(word or "", ""))
    if found.low is not None and found.high is not None:
        half = f"±{50 * (found.high - found.low):.1f}"
        cell.append(f"{gap}{half}" + ("" if gap == " " else " "), style="not bold dim")
    return cell


def _legend(results: Results) -> list[str]:
    return [
        "  ".join(f"{mark} {word}" for word, mark in MARKS.items())
        + f"  (against {results.baseline})",
        f"{main_metrics(results)}; in percent, ± half the {interval_level(results)} interval; "
        "bold = best of the task, oracle aside",
    ]


def print_compared(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], console: Console
) -> None:
    """Print one line a task: both means, the paired difference with its interval, the verdict.

    Args:
        rows: task, metric, the estimates `a` and `b`, difference and verdict.
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
        p = change.p_adjusted
        p_text = "-" if p is None else "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")
        cells = (
            row["task"], row["metric"], _points(row["a"].mean), _points(row["b"].mean), moved,
            p_text, row["verdict"],
        )  # fmt: skip
        table.add_row(*(Text(clean(cell)) for cell in cells))
    for letter, name in zip("AB", names, strict=True):
        console.print(Text(clean(f"{letter} = {name}")), soft_wrap=True)
    console.print(table)
    seeds = rows[0]["difference"].seeds
    console.print(
        Text(
            f"in percent; paired by row and seed ({seeds} seed{'s' * (seeds != 1)}); "
            "interval and p hold for all tasks together"
        )
    )


def _points(value: float | None, sign: str = "") -> str:
    return "no data" if value is None else f"{100 * value:{sign}.1f}"


COLUMNS = 6  # trials of the front that are shown


def print_tuning(results: Mapping[str, Any], console: Console) -> None:
    """Print per task the gains of the trials on the Pareto front, best first, and the settings.

    Args:
        results: what `labelweave.experiments.tune` returns.
        console: where to print.
    """
    by_number = {trial["trial"]: trial for trial in results["trials"]}
    front = sorted(results["front"], key=lambda n: -by_number[n]["objective"])
    shown = front[:COLUMNS]
    count = dict.fromkeys(("complete", "pruned", "fail"), 0)
    for trial in results["trials"]:
        count[trial["state"]] += 1
    console.print(
        f"{len(results['trials'])} trials of {clean(results['method'])}: "
        f"{count['complete']} to their end, {count['pruned']} given up early, "
        f"{count['fail']} failed; "
        f"seeds: {', '.join(map(str, results['seeds']))}",
        markup=False, highlight=False,
    )  # fmt: skip
    title = "Pareto front between tasks: gain to single_task on validation rows, in points"
    table = Table(title=title, title_justify="left", box=None, header_style="")
    table.add_column("task")
    table.add_column("single", justify="right")
    for number in shown:
        table.add_column(f"trial {number}", justify="right")
    for name, before in results["baseline"].items():
        cells = [f"{100 * before:.1f}"]
        cells += [f"{100 * by_number[n]['gains'][name]:+.1f}" for n in shown]
        table.add_row(Text(clean(name)), *cells)
    table.add_row("objective", "", *(f"{100 * by_number[n]['objective']:+.1f}" for n in shown))
    console.print(table, highlight=False)
    if len(front) > len(shown):
        console.print(f"and {len(front) - len(shown)} more in tuning.csv")
    console.print(f"\nBest settings, trial {results['best']}:", highlight=False)
    for key, value in results["settings"].items():
        usual = results["usual"].get(key)
        before = "" if usual is None or usual == value else f" (was {setting(usual)})"
        text = f"  {key}: {setting(value)}{before}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def setting(value: Any) -> str:
    """Return a setting as it is read: numbers in three digits."""
    return f"{value:.3g}" if isinstance(value, float) else clean(value)
