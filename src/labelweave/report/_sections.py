"""What joining is worth, in a few plain lines for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from labelweave._messages import Messages
from labelweave.report._tables import fixed, printable
from labelweave.results import KeyFigure, Results


def value_lines(results: Results) -> list[str]:
    """Return the three figures, what to label next and what to join, as far as they are known.

    Args:
        results: of a study.
    """
    lines = []
    found = results.recommended
    if found.best is not None:
        lines.append(f"Decision: {found.verdict} ({found.shown})")
        accuracy = next((figure for figure in found.figures if figure.key == "accuracy"), None)
        told = [part for part in (_accuracy(accuracy), _cost(results)) if part]
        lines += ["  " + "; ".join(told)] if told else []
    lines += _labels(results)
    plan = results.label_plan
    if plan.get("tasks"):
        best = plan["tasks"][0]
        rows = f"; {plan['rows']} rows named in {plan['rows_file']}" if plan["rows"] else ""
        lines.append(f"Label next: {best['task']} ({Messages().told(best['why'])}){rows}")
    proposed = results.next_task
    then = [entry["task"] for entry in proposed.get("order", ())]
    if then and proposed.get("start"):
        lines.append(f"Start with: {', '.join(proposed['start'])}; then {', '.join(then)}")
    return lines


def money_lines(money: Mapping[str, Any], say: Messages) -> list[str]:
    """Return what labels and running save in money, as far as there are prices.

    Args:
        money: of a study's results; empty = no prices.
        say: the language.
    """
    currency, lines = money.get("currency"), []
    if total := money.get("total"):
        span = say.span(total["low"], total["high"], 0)
        mean = say.count(total["mean"])
        lines.append(say("money.total", mean=mean, interval=span, currency=currency))
    if running := money.get("running"):
        figures = {key: say.fixed(running[key], 2) for key in ("joint", "single", "saved")}
        unit = say.named("unit", running["unit"])
        lines.append(say("money.running", currency=currency, unit=unit, **figures))
    return lines


def _accuracy(figure: KeyFigure | None) -> str:
    if figure is None or figure.mean is None:
        return ""
    factor = 100 if figure.unit == "fraction" else 1
    return f"mean of the main metrics {_ends(vars(figure), factor, 1, '+')} points"


def _cost(results: Results) -> str:
    running = results.money.get("running")
    ratio = results.running.ratio if results.running else {}
    text = ""
    throughput, latency = ratio.get("throughput"), ratio.get("latency_1")
    if throughput and latency:
        text = (
            f"running: {throughput:.1f} times the rows per second, "
            f"{latency:.2f} of the latency of a row"
        )
    if running:
        text += f", {running['saved']:,.2f} {results.money['currency']} a year saved"
    return text


def _labels(results: Results) -> list[str]:
    """Return the labels saved on the task where that is clearest, and the money of all."""
    curves = results.label_curves
    sure: dict[str, float] = {}
    for name, curve in curves.items():
        needed, has = curve["needed"], curve["has"]
        least = curve["beyond"] if needed["low"] is None else needed["low"]
        if least is not None and least > has:
            sure[name] = least / has
    if not curves:
        return []
    if not sure:
        return ["Labels saved: on no task for certain"]
    name = max(sure, key=lambda task: sure[task])
    curve = curves[name]
    needed = curve["needed"]
    told = _ends(needed) if needed["mean"] is not None else f"more than {curve['beyond']:,.0f}"
    line = (
        f"Labels saved: on {len(sure)} of {len(curves)} tasks; {name}: {curve['has']:,} labels do "
        f"what {told} would do alone"
    )
    total = results.money.get("total")
    if total:
        line += f"; {_ends(total)} {results.money['currency']} in all"
    return [line]


def _ends(value: Mapping[str, Any], factor: float = 1, digits: int = 0, sign: str = "") -> str:
    mean, low, high = (
        None if value[end] is None else factor * value[end] for end in ("mean", "low", "high")
    )
    say = Messages()
    told = "" if low is high is None else f" ({say.span(low, high, digits, sign)})"
    return say.fixed(mean, digits, sign) + told


SHADES = " ░▒▓█"  # 0 to 1 in fifths
MOST_CELLS = 60
MOST_SURPRISES = 10


def print_relatedness(
    found: Mapping[str, Any],
    console: Console,
    *,
    tables: bool = True,
    sources: Sequence[str] = (),
) -> None:
    """Print what `Relatedness.to_dict` gives.

    Args:
        found: the relatedness.
        console: where to print.
        tables: print every table as a heat map, too.
        sources: the names of the data sources; left out = their numbers.
    """
    say = Messages()
    if tables:
        for relation in (*found["estimates"], *found["noisy_ors"]):
            _print_table(relation, console)
        console.print(Text(f"(shades: '{SHADES}' = 0 to 1, ? = unknown)\n"))
    console.print(_evidence(found))
    for name, reason in found["left_out"].items():
        console.print(Text(f"left out: {printable(name)}: {printable(say.told(reason))}"))
    for evidence in found["evidence"]:
        dropped = [label["name"] for label in evidence["per_label"] if not label["keep"]]
        if evidence["name"] in found["used"] and dropped:
            names = ", ".join(map(printable, dropped))
            console.print(Text(f"{printable(evidence['name'])}: labels left out: {names}"))
    for estimate in found["estimates"]:
        _print_disagreements(estimate, console)
    learns = [
        f"{printable(task)} {share}" for task, share, _ in transfer_rows(found["transfer_weights"])
    ]
    if learns:
        console.print(Text(f"to learn from the other tasks: {', '.join(learns)}"))
    if found["noise"] and found["noise"]["examined"]:
        console.print(_noise(found["noise"], sources))
    proposal = found["proposal"]
    start = f"Start with {', '.join(proposal['tasks'])}: " if proposal["tasks"] else ""
    console.print(Text(f"\n{printable(start + say.told(proposal['reason']))}", style="bold"))
    for apart in proposal["apart"]:
        tasks = " and ".join(apart["tasks"])
        console.print(
            Text(f"do not join {printable(tasks)}: {printable(say.told(apart['reason']))}")
        )


def _print_table(estimate: Mapping[str, Any], console: Console) -> None:
    kind = "noisy-OR, " if estimate.get("kind") == "noisy-OR" else ""
    head = (
        f"{estimate['source']} -> {estimate['target']}: {kind}{Messages().told(estimate['origin'])}"
    )
    console.print(Text(printable(head), style="bold"))
    rows, columns = estimate["rows"], estimate["columns"]
    width = max(len(printable(row)) for row in rows)
    for row, values, known in list(zip(rows, estimate["table"], estimate["known"], strict=True))[
        :MOST_CELLS
    ]:
        cells = "".join(
            2 * SHADES[min(4, int(5 * value))] if seen else "??"
            for value, seen in list(zip(values, known, strict=True))[:MOST_CELLS]
        )
        console.print(Text(f"  {printable(row):<{width}} |{cells}|", no_wrap=True))
    names = ", ".join(printable(column) for column in columns[:MOST_CELLS])
    console.print(Text(f"  columns: {names}"))
    if max(len(rows), len(columns)) > MOST_CELLS:
        console.print(
            Text(f"  (the first {MOST_CELLS} of {len(rows)} rows, {len(columns)} columns)")
        )
    console.print()


def _evidence(found: Mapping[str, Any]) -> Table:
    table = Table(title="Evidence on held-out rows")
    table.add_column("relation", overflow="fold")
    table.add_column("verdict")
    for title in ("lift, nats a label", "p", "trust"):
        table.add_column(title, justify="right")
    table.add_column("used")
    for evidence in found["evidence"]:
        lift = "no data"
        if evidence["lift"] is not None:
            lift = (
                f"{fixed(evidence['lift'])} ({fixed(evidence['low'])} to {fixed(evidence['high'])})"
            )
        table.add_row(
            printable(evidence["name"]),
            evidence["verdict"],
            lift,
            fixed(evidence["p_value"]),
            fixed(evidence["trust"], 2),
            "yes" if evidence["name"] in found["used"] else "no",
        )
    return table


def _noise(noise: Mapping[str, Any], sources: Sequence[str]) -> Table:
    table = Table(title="Wrong labels, estimated")
    for title in ("task", "label", "data source"):
        table.add_column(title, overflow="fold")
    table.add_column("share wrong", justify="right")
    table.add_column("verdict")
    for row in noise_rows(noise, sources):
        table.add_row(*(printable(cell) for cell in row))
    return table


def noise_rows(
    noise: Mapping[str, Any], sources: Sequence[str], say: Messages | None = None
) -> list[tuple[str, ...]]:
    """Return task, label, data source, share of wrong labels and verdict, where there is data."""
    say = say or Messages()
    return [
        (
            task["task"],
            label,
            sources[source] if sources else str(source + 1),
            f"{say.fixed(rate)} "
            f"({say.span(task['low'][source][number], task['high'][source][number])})",
            say("noise.found" if label in noise["found"].get(task["task"], ()) else "noise.none"),
        )
        for task in noise["examined"]
        for source, rates in enumerate(task["rate"])
        for number, (label, rate) in enumerate(zip(task["elements"], rates, strict=True))
        if task["support"][source][number] >= 1
    ]


def transfer_rows(
    weights: Mapping[str, Sequence[float]], say: Messages | None = None
) -> list[tuple[str, str, str]]:
    """Return task, how much it has to learn from the others, and the span over its labels.

    A multiclass task has one figure for all of its classes, and no span.
    """
    say = say or Messages()
    rows = []
    for task, values in weights.items():
        mean, low, high = sum(values) / len(values), min(values), max(values)
        ends = {"low": say.share(low, 1), "high": say.share(high, 1)}
        rows.append((task, say.share(mean, 1), say("format.span", **ends) if low < high else ""))
    return rows


def _print_disagreements(estimate: Mapping[str, Any], console: Console) -> None:
    name = printable(f"{estimate['source']}->{estimate['target']}")
    if estimate["wrong_rows"]:
        rows = ", ".join(map(printable, estimate["wrong_rows"]))
        console.print(Text(f"{name}: the data contradict the expert's rows {rows}"))
    for entry in estimate["surprising"][:MOST_SURPRISES]:
        console.print(
            Text(
                f"{name}: {printable(entry['class_name'])}, {printable(entry['label'])}: "
                f"the expert says {fixed(entry['expert'], 2)}, the data {fixed(entry['data'], 2)} "
                f"({fixed(entry['low'], 2)} to {fixed(entry['high'], 2)})"
            )
        )
    rest = len(estimate["surprising"]) - MOST_SURPRISES
    if rest > 0:
        console.print(Text(f"{name}: {rest} more entries disagree"))
