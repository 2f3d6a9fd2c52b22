"""How the tasks relate, in the terminal and as pictures: tables, evidence, label noise."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from labelweave._files import replacing
from labelweave._messages import Messages
from labelweave.errors import LabelweaveError
from labelweave.report._tables import clean, fixed
from labelweave.results import EstimatedTable, LabelNoiseSummary, RelatednessSummary, RelationTable

if TYPE_CHECKING:
    import pandas as pd

SHADES = " ░▒▓█"  # 0 to 1 in fifths
MOST_CELLS = 60
MOST_SURPRISES = 10


def print_relatedness(
    found: RelatednessSummary,
    console: Console,
    *,
    tables: bool = True,
    sources: Sequence[str] = (),
) -> None:
    """Print what `Relatedness.summary` gives.

    Args:
        found: the relatedness.
        console: where to print.
        tables: print every table as a heat map, too.
        sources: the names of the data sources; left out = their numbers.
    """
    say = Messages()
    if tables:
        for relation in (*found.estimates, *found.noisy_ors):
            _print_table(relation, console)
        console.print(Text(f"(shades: '{SHADES}' = 0 to 1, ? = unknown)\n"))
    console.print(_evidence(found))
    for name, reason in found.left_out.items():
        console.print(Text(f"left out: {clean(name)}: {clean(say.render(reason))}"))
    for evidence in found.evidence:
        dropped = [label.name for label in evidence.per_label if not label.keep]
        if evidence.name in found.used and dropped:
            names = ", ".join(map(clean, dropped))
            console.print(Text(f"{clean(evidence.name)}: labels left out: {names}"))
    for estimate in found.estimates:
        _print_disagreements(estimate, console)
    learns = [f"{clean(task)} {share}" for task, share, _ in transfer_rows(found.transfer_weights)]
    if learns:
        console.print(Text(f"to learn from the other tasks: {', '.join(learns)}"))
    if found.noise and found.noise.examined:
        console.print(_noise(found.noise, sources))
    proposal = found.proposal
    start = f"Start with {', '.join(proposal.tasks)}: " if proposal.tasks else ""
    console.print(Text(f"\n{clean(start + say.render(proposal.reason))}", style="bold"))
    for apart in proposal.apart:
        tasks = " and ".join(apart.tasks)
        console.print(Text(f"do not join {clean(tasks)}: {clean(say.render(apart.reason))}"))


def write_heat_map(table: "pd.DataFrame", path: str | Path) -> Path:
    """Write a relation's heat map to a .svg or .png file.

    Args:
        table: of `Relatedness.table`: classes of the source x classes or labels of the target,
            both axes named by their task; NaN = unknown.
        path: the file to write, replaced as a whole.

    Raises:
        LabelweaveError: another ending, or the file cannot be written.
    """
    # matplotlib is of use only here
    from labelweave.report._drawing import PIXELS, style
    from labelweave.report._figures import heat_map_figure

    path = Path(path)
    relation = RelationTable(
        source=str(table.index.name or ""),
        target=str(table.columns.name or ""),
        rows=tuple(table.index),
        columns=tuple(table.columns),
        table=tuple(map(tuple, table.to_numpy().tolist())),
    )
    if path.suffix not in {".svg", ".png"}:
        raise LabelweaveError(f"{path}: found ending '{path.suffix}', expected .svg or .png")
    with style(path.name):
        figure, _ = heat_map_figure(relation, Messages())
        nothing = {"Date": None} if path.suffix == ".svg" else {}
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=2 * PIXELS, metadata=nothing)
    return path


def _print_table(estimate: RelationTable, console: Console) -> None:
    kind = "noisy-OR, " if estimate.kind == "noisy-OR" else ""
    origin = Messages().render(estimate.origin)
    head = f"{estimate.source} -> {estimate.target}: {kind}{origin}"
    console.print(Text(clean(head), style="bold"))
    rows, columns = estimate.rows, estimate.columns
    width = max(len(clean(row)) for row in rows)
    for row, values, known in list(zip(rows, estimate.table, estimate.known, strict=True))[
        :MOST_CELLS
    ]:
        cells = "".join(
            2 * SHADES[min(4, int(5 * (value or 0)))] if seen else "??"
            for value, seen in list(zip(values, known, strict=True))[:MOST_CELLS]
        )
        console.print(Text(f"  {clean(row):<{width}} |{cells}|", no_wrap=True))
    names = ", ".join(clean(column) for column in columns[:MOST_CELLS])
    console.print(Text(f"  columns: {names}"))
    if max(len(rows), len(columns)) > MOST_CELLS:
        console.print(
            Text(f"  (the first {MOST_CELLS} of {len(rows)} rows, {len(columns)} columns)")
        )
    console.print()


def _evidence(found: RelatednessSummary) -> Table:
    table = Table(title="Evidence on held-out rows")
    table.add_column("relation", overflow="fold")
    table.add_column("verdict")
    for title in ("lift, nats a label", "p", "trust"):
        table.add_column(title, justify="right")
    table.add_column("used")
    for evidence in found.evidence:
        lift = "no data"
        if evidence.lift is not None:
            lift = f"{fixed(evidence.lift)} ({fixed(evidence.low)} to {fixed(evidence.high)})"
        table.add_row(
            clean(evidence.name),
            evidence.verdict,
            lift,
            fixed(evidence.p_value),
            fixed(evidence.trust, 2),
            "yes" if evidence.name in found.used else "no",
        )
    return table


def _noise(noise: LabelNoiseSummary, sources: Sequence[str]) -> Table:
    table = Table(title="Wrong labels, estimated")
    for title in ("task", "label", "data source"):
        table.add_column(title, overflow="fold")
    table.add_column("share wrong", justify="right")
    table.add_column("verdict")
    for row in noise_rows(noise, sources):
        table.add_row(*(clean(cell) for cell in row))
    return table


def noise_rows(
    noise: LabelNoiseSummary, sources: Sequence[str], say: Messages | None = None
) -> list[tuple[str, ...]]:
    """Return task, label, data source, share of wrong labels and verdict, where there is data."""
    say = say or Messages()
    rows: list[tuple[str, ...]] = []
    for task in noise.examined:
        parts = (part or () for part in (task.rate, task.low, task.high, task.support))
        figures = zip(*parts, strict=True)
        for source, of_source in enumerate(figures):
            for label, rate, low, high, support in zip(task.elements, *of_source, strict=True):
                if (support or 0) >= 1:
                    rows.append(
                        (
                            task.task,
                            str(label),
                            sources[source] if sources else str(source + 1),
                            f"{say.fixed(rate)} ({say.span(low, high)})",
                            say(f"noise.{noise.verdict(task.task, label, high)}"),
                        )
                    )
    return rows


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


def _print_disagreements(estimate: EstimatedTable, console: Console) -> None:
    name = clean(estimate.name)
    if estimate.wrong_rows:
        rows = ", ".join(map(clean, estimate.wrong_rows))
        console.print(Text(f"{name}: the data contradict the expert's rows {rows}"))
    for entry in estimate.surprising[:MOST_SURPRISES]:
        console.print(
            Text(
                f"{name}: {clean(entry.class_name)}, {clean(entry.label)}: "
                f"the expert says {fixed(entry.expert, 2)}, the data {fixed(entry.data, 2)} "
                f"({fixed(entry.low, 2)} to {fixed(entry.high, 2)})"
            )
        )
    rest = len(estimate.surprising) - MOST_SURPRISES
    if rest > 0:
        console.print(Text(f"{name}: {rest} more entries disagree"))
