"""The pictures of results: intervals and loss curves, each an inline SVG."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from labelweave._messages import Messages
from labelweave.report._drawing import cut, inline_svg, name_ticks, new_figure, style, width
from labelweave.report._names import method_name
from labelweave.results import (
    ALONE,
    Cell,
    LossTerms,
    MethodLearning,
    RelationTable,
    ReliabilityBin,
    Results,
    TaskLabelCurve,
    TaskLearning,
)

# after the palette of Okabe and Ito, which colour-blind readers can distinguish; the light ones are
# darker, so that a thin line has a contrast of 3 to 1 on white
BLACK, GREY, BLUE, VERMILION = "#000000", "#767676", "#0072B2", "#D55E00"
PALETTE = (BLUE, "#B57600", "#009E73", VERMILION, "#B0578D", "#2B8CC4")
LINES = [(colour, dash) for dash in ("-", "--") for colour in PALETTE]
# verdict: colour, marker and its face; the marker alone shows the verdict
MARKERS = {
    "gain": (BLUE, "^", BLUE),
    "negative transfer": (VERMILION, "v", VERMILION),
    "no difference": (GREY, "o", GREY),
    "not enough data": (GREY, "o", "white"),
    "": (BLACK, "D", BLACK),
}
WIDTH = 350  # fits a phone


def interval_plot(
    task: str,
    metric: str,
    rows: Sequence[tuple[str, Cell, str | None]],
    baseline: float | None,
    key: str,
    say: Messages | None = None,
) -> str:
    """Draw one task: a dot with its interval for every method, the baseline as a vertical line.

    Args:
        task: the task's name.
        metric: the name of its main metric, the horizontal axis.
        rows: (method, estimate, verdict) from top to bottom.
        baseline: the baseline's mean, None for no line.
        key: a name that no other picture of the page has.
        say: the language; default English.

    Returns:
        An SVG element.
    """
    say = say or Messages()
    metric = say.named("metric", metric)
    with style(key):
        figure, axes = new_figure(WIDTH, 56 + 22 * len(rows))
        for y, (_, found, word) in enumerate(rows):
            if found.mean is None:
                by_row = axes.get_yaxis_transform()
                missing = say("word.no_data")
                axes.text(0.02, y, missing, transform=by_row, va="center", color=GREY)
                continue
            colour, marker, face = MARKERS[word or ""]
            if found.low is not None and found.high is not None:
                axes.plot([found.low, found.high], [y, y], color=colour, lw=1.6)
            axes.plot(found.mean, y, color=colour, marker=marker, markerfacecolor=face)
        if baseline is not None:
            axes.axvline(baseline, color=BLACK, lw=0.9, ls=(0, (4, 3)), zorder=1)
        name_ticks(axes, "y", [name for name, _, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x")
        axes.set_xlabel(cut(metric))
        listed = say.list([f"{name} {interval_text(found, say)}" for name, found, _ in rows])
        return inline_svg(figure, say("alt.intervals", metric=metric, task=task, values=listed))


DASHES = ("-", (0, (4, 1)), (0, (1, 1)), "-.")  # nothing is shown by colour alone
MOST_GAINS = len(DASHES)  # methods of the gain chart


def gain_methods(results: Results) -> list[str]:
    """Return the methods of the gain chart: the recommended one, and the best alone and joint."""
    wanted = (results.recommended.shown, ALONE, "coupled", "student")
    return [name for name in dict.fromkeys(wanted) if name in results.differences][:MOST_GAINS]


def gain_chart(
    results: Results, methods: Sequence[str], key: str, say: Messages | None = None
) -> str:
    """Draw the change of the main metric against the baseline, tasks x methods, with intervals.

    The intervals hold for all tasks together, the markers show the verdicts.

    Args:
        results: of a study.
        methods: to draw, at least one, in order.
        key: a name that no other picture of the page has.
        say: the language; default English.

    Returns:
        An SVG element.
    """
    say = say or Messages()
    tasks = list(results.tasks)
    words: dict[str, list[str]] = {method: [] for method in methods}
    with style(key):
        step = 0.8 / len(methods)
        lines = -(-len(methods) // 2)
        height = 70 + 18 * lines + (10 + 14 * len(methods)) * len(tasks)
        figure, axes = new_figure(WIDTH, height)
        for number, method in enumerate(methods):
            colour, dash = PALETTE[number], DASHES[number]
            axes.plot([], [], color=colour, ls=dash, label=cut(method_name(method, say)))
            for row, task in enumerate(tasks):
                found, y = results.difference(method, task), row - 0.4 + step * (number + 0.5)
                if found.mean is None:
                    continue
                _, marker, face = MARKERS[results.verdict(method, task) or ""]
                if found.low is not None and found.high is not None:
                    axes.plot([found.low, found.high], [y, y], color=colour, ls=dash, lw=1.6)
                face = face if face == "white" else colour
                axes.plot(found.mean, y, color=colour, marker=marker, markerfacecolor=face)
                words[method].append(f"{task.name} {interval_text(found, say)}")
        axes.axvline(0, color=BLACK, lw=0.9, ls=(0, (4, 3)), zorder=1)
        name_ticks(axes, "y", [task.name for task in tasks])
        axes.set_ylim(len(tasks) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x")
        baseline = method_name(results.baseline, say)
        axes.set_xlabel(say("axis.gain", baseline=cut(baseline)))
        figure.legend(loc="outside lower left", ncols=2)
        values = "; ".join(
            f"{method_name(method, say)}: {say.list(texts)}" for method, texts in words.items()
        )
        return inline_svg(figure, say("alt.gains", baseline=baseline, values=values))


def loss_curves(
    method: str,
    curve: LossTerms,
    terms: Sequence[str],
    key: str,
    say: Messages | None = None,
) -> str:
    """Draw a method's weighted loss terms by training step, on a log scale if none is negative.

    Args:
        method: the method's name.
        curve: the method's terms by step.
        terms: the terms to draw, at most 12; their order gives the colours, so that a term
            looks the same in every method.
        key: a name that no other picture of the page has.
        say: the language; default English.

    Returns:
        An SVG element.
    """
    say = say or Messages()
    drawn = {
        term: np.asarray(curve.terms[term], dtype=float) for term in terms if term in curve.terms
    }
    with style(key):
        names = [cut(term) for term in drawn]
        columns = 2 if max(map(len, names), default=0) <= 21 else 1
        figure, axes = new_figure(WIDTH, 200 + 18 * -(-len(names) // columns))
        lines = []
        for term, (colour, dash) in zip(terms, LINES, strict=False):
            if term in drawn:
                lines += axes.plot(curve.step, drawn[term], color=colour, ls=dash, lw=1.3)
        values = np.concatenate([np.empty(0), *drawn.values()])
        if (values > 0).any() and not (values < 0).any():
            axes.set_yscale("log", nonpositive="mask")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(say("axis.step"))
        axes.set_ylabel(say("axis.loss"))
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="y")
        figure.legend(lines, names, loc="outside lower left", ncols=columns)
        found = say.list([f"{term} {_course(values, say)}" for term, values in drawn.items()])
        alt = say("alt.losses", method=method, values=found or say("word.no_data"))
        return inline_svg(figure, alt)


def interval_text(found: Cell, say: Messages) -> str:
    """Return a mean with its interval in words."""
    if found.low is None or found.high is None:
        return say.fixed(found.mean)
    return f"{say.fixed(found.mean)} ({say.span(found.low, found.high)})"


def _course(values: NDArray[np.float64], say: Messages) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return say("word.no_data")
    return say("format.course", first=f"{known[0]:.3g}", last=f"{known[-1]:.3g}")


FINE = (1, 1.5, 2, 3, 5, 7)  # the ticks of less than a decade
COURSES = ((BLUE, "o", "-"), (VERMILION, "s", "--"), ("#009E73", "^", "-."))


def label_curve(task: str, curve: TaskLabelCurve, baseline: str, key: str, say: Messages) -> str:
    """Draw single-task models' metric by their number of labels, and the joint method's level.

    Args:
        task: the task's name.
        curve: the task's label curve.
        baseline: the method whose curve it is.
        key: a name that no other picture of the page has.
        say: the language.

    Returns:
        An SVG element.
    """
    metric, method = say.named("metric", curve.metric), curve.method
    points = [(p.labels, p.mean, p.low, p.high) for p in curve.points if p.mean is not None]
    joint, needed = curve.joint, curve.needed.mean
    with style(key):
        figure, axes = new_figure(WIDTH, 250)
        for labels, _, low, high in points:
            if low is not None and high is not None:
                axes.plot([labels] * 2, [low, high], color=BLUE, lw=1.4)
        x, y = [p[0] for p in points], [p[1] for p in points]
        axes.plot(x, y, color=BLUE, marker="o", ls="", label=baseline)
        if curve.fit:
            axes.plot(*np.asarray(curve.fit).T, color=BLUE, lw=1.2, label=say("legend.fit"))
        if joint.mean is not None:
            axes.axhline(joint.mean, color=VERMILION, ls="--", lw=1.3, label=method)
            if joint.low is not None and joint.high is not None:
                axes.axhspan(joint.low, joint.high, color=VERMILION, alpha=0.12, lw=0)
        if needed is not None:
            axes.axvline(needed, color=GREY, ls=":", lw=1.2, label=say("legend.needed"))
        if points and min(x) > 0:
            axes.set_xscale("log")
            least, most = axes.get_xlim()
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most > 10 * least else FINE))
            axes.xaxis.set_major_formatter("{x:,.7g}")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(say("axis.labels"))
        axes.set_ylabel(metric)
        axes.grid(axis="y")
        figure.legend(loc="outside lower left", ncols=2)
        reached = [
            say("alt.label_point", labels=say.count(labels), value=say.fixed(mean))
            for labels, mean, *_ in points
        ]
        alt = say(
            "alt.label_curve",
            task=task,
            metric=metric,
            values=say.list(reached) or say("word.no_data"),
            method=method,
            joint=say.fixed(joint.mean),
        )
        return inline_svg(figure, alt)


def reliability_diagram(
    task: str, methods: Mapping[str, Sequence[ReliabilityBin]], key: str, say: Messages
) -> str:
    """Draw how often predictions are right by how sure they are; the diagonal is calibrated.

    Args:
        task: the task's name.
        methods: per method its bins.
        key: a name that no other picture of the page has.
        say: the language.

    Returns:
        An SVG element.
    """
    with style(key):
        figure, axes = new_figure(WIDTH, 290)
        courses = []
        values = [v for bins in methods.values() for b in bins for v in (b.confidence, b.correct)]
        low = max(0.0, min(values, default=0.0) - 0.03)
        axes.plot([low, 1], [low, 1], color=BLACK, lw=0.9, ls=(0, (4, 3)))
        for (method, bins), (colour, marker, line) in zip(methods.items(), COURSES, strict=False):
            x, y = [b.confidence for b in bins], [b.correct for b in bins]
            axes.plot(x, y, color=colour, marker=marker, ls=line, lw=1.2, ms=4, label=method)
            pairs = [f"{say.fixed(a, 2)} → {say.fixed(b, 2)}" for a, b in zip(x, y, strict=True)]
            courses.append(f"{method} {say.list(pairs)}")
        axes.set(xlim=(low, 1.01), ylim=(low, 1.01))
        axes.set_xlabel(say("axis.confidence"))
        axes.set_ylabel(say("axis.right"))
        axes.grid()
        figure.legend(loc="outside lower left", ncols=2)
        return inline_svg(figure, say("alt.reliability", task=task, values="; ".join(courses)))


MAX_NAMES = 60


def heat_map(relation: RelationTable, key: str, say: Messages | None = None) -> str:
    """Draw a relation's table: rows are the source's classes, columns the target's.

    Unknown cells are hatched. A side with more than 60 classes is drawn without their names.

    Args:
        relation: its table.
        key: a name that no other picture of the page has.
        say: the language of the text alternative; default English.

    Returns:
        An SVG element.
    """
    with style(key):
        return inline_svg(*heat_map_figure(relation, say or Messages()))


def heat_map_figure(relation: RelationTable, say: Messages) -> tuple[Figure, str]:
    """Return the picture of a relation's table, and its text alternative."""
    table = np.atleast_2d(np.asarray(relation.table, dtype=float))
    known = np.isfinite(table)
    if relation.known:
        known &= np.asarray(relation.known, dtype=bool)
    low, high = (f(table, where=known, initial=0.0) for f in (np.min, np.max))
    names: dict[Literal["x", "y"], Sequence[Any]] = {"y": relation.rows, "x": relation.columns}
    space = {axis: _space(side) for axis, side in names.items()}
    figure, axes = new_figure(
        150 + _extent(table.shape[1]) + space["y"], 70 + _extent(table.shape[0]) + space["x"]
    )
    whole = Rectangle((0, 0), 1, 1, transform=axes.transAxes, fc="#eeeeee", hatch="////", lw=0)
    axes.add_patch(whole)
    # one image with a pixel for each cell stays small, whatever the table's size
    cells = np.ma.masked_array(table, ~known)
    image = axes.imshow(cells, vmin=low, vmax=high if high > low else low + 1, zorder=2)
    for axis, side in names.items():
        name_ticks(axes, axis, side if len(side) <= MAX_NAMES else [])
    axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel(cut(relation.target))
    axes.set_ylabel(cut(relation.source))
    figure.colorbar(image, ax=axes, aspect=12, shrink=0.8, format="{x:.2g}")
    alt = say(
        "alt.heat_map",
        source=relation.source,
        target=relation.target,
        rows=table.shape[0],
        columns=table.shape[1],
        low=say.fixed(float(low), 2),
        high=say.fixed(float(high), 2),
        known=known.sum(),
        cells=known.size,
    )
    return figure, alt


JOINED = 150  # rows or columns of a joined map, at most


def on_one_map(
    relations: Sequence[RelationTable],
) -> tuple[list[RelationTable], list[RelationTable]]:
    """Return the relations that one joined heat map shows, and those too large for it."""
    small: list[RelationTable] = []
    for relation in relations:
        rows, columns = _blocks([*small, relation])
        if max(sum(map(len, rows.values())), sum(map(len, columns.values()))) <= JOINED:
            small.append(relation)
    return small, [relation for relation in relations if relation not in small]


def _blocks(
    relations: Sequence[RelationTable],
) -> tuple[dict[str, Sequence[Any]], dict[str, Sequence[Any]]]:
    """Return by source task the rows, and by target task the columns, of the first table of it."""
    rows: dict[str, Sequence[Any]] = {}
    columns: dict[str, Sequence[Any]] = {}
    for relation in relations:
        rows.setdefault(relation.source, relation.rows)
        columns.setdefault(relation.target, relation.columns)
    return rows, columns


def joined_map(relations: Sequence[RelationTable], key: str, say: Messages | None = None) -> str:
    """Draw several relations as one heat map: all sources' classes by all targets' classes.

    Where two tasks have no table, or an entry is unknown, the cells are hatched.

    Args:
        relations: their tables, at least one.
        key: a name that no other picture of the page has.
        say: the language of the text alternative; default English.

    Returns:
        An SVG element.
    """
    say = say or Messages()
    rows, columns = _blocks(relations)
    starts = [
        dict(zip(side, np.cumsum([0, *map(len, side.values())]).tolist(), strict=False))
        for side in (rows, columns)
    ]
    height, width_ = (sum(map(len, side.values())) for side in (rows, columns))
    whole = np.full((height, width_), np.nan)
    for relation in relations:
        table = np.atleast_2d(np.asarray(relation.table, dtype=float))
        if relation.known:
            table = np.where(np.asarray(relation.known, dtype=bool), table, np.nan)
        top, left = starts[0][relation.source], starts[1][relation.target]
        part = whole[top : top + len(rows[relation.source]), left : left + table.shape[1]]
        if part.shape == table.shape and np.isnan(part).all():
            part[:] = table
    names: dict[Literal["x", "y"], list[str]] = {
        "y": [str(name) for side in rows.values() for name in side],
        "x": [f"{task}: {name}" for task, side in columns.items() for name in side],
    }
    space = {axis: 7 * max(width(cut(name)) for name in side) for axis, side in names.items()}
    with style(key):
        figure, axes = new_figure(150 + 15 * width_ + space["y"], 70 + 15 * height + space["x"])
        frame = Rectangle((0, 0), 1, 1, transform=axes.transAxes, fc="#eeeeee", hatch="////", lw=0)
        axes.add_patch(frame)
        image = axes.imshow(np.ma.masked_invalid(whole), vmin=0, zorder=2)
        for axis, side in names.items():
            name_ticks(axes, axis, side)
        axes.tick_params(axis="x", rotation=90)
        for axis, at in (("y", starts[0]), ("x", starts[1])):
            line = axes.axhline if axis == "y" else axes.axvline
            for start in list(at.values())[1:]:
                line(start - 0.5, color="white", lw=3, zorder=3)
        axes.set_ylabel(cut(", ".join(rows)))
        figure.colorbar(image, ax=axes, aspect=12, shrink=0.8, format="{x:.2g}")
        alt = say(
            "alt.joined_map",
            relations=say.list([f"{each.source} → {each.target}" for each in relations]),
            rows=height,
            columns=width_,
        )
        return inline_svg(figure, alt)


def _extent(cells: int) -> float:
    """Return the pixels of a heat map's side: 15 a named cell, fewer where there are many."""
    return 15 * max(cells, 5) if cells <= MAX_NAMES else min(3 * cells, 560)


def _space(names: Sequence[object]) -> float:
    shown = names if len(names) <= MAX_NAMES else []
    return 7 * max((width(cut(name)) for name in shown), default=0)


NUMBERED = 12  # tasks up to which the cells of the picture hold their number


class TaskRow(NamedTuple):
    """A task as the table shows it: its cells, below some a second line, and its state."""

    task: str
    cells: list[tuple[str, str]]
    state: str
    word: str


def watched(results: Results, preferred: str) -> str | None:
    """Return the method to show: the preferred one if its training was watched, else the first."""
    methods = results.learning
    return preferred if preferred in methods else next(iter(methods), None)


def task_rows(found: MethodLearning, say: Messages) -> list[TaskRow]:
    """Return the rows of the table."""
    return [
        TaskRow(
            name,
            [
                (say.count(facts.labels), f"{cut(facts.rarest)}: {facts.rarest_labels:,}"),
                (_percent(facts.share, say), ""),
                (say.fixed(facts.rate, 2), ""),
                (_percent(facts.half, say, 0), ""),
                (_percent(facts.train, say, 0), say.fixed(facts.train_score)),
                _validation(facts, say),
            ],
            facts.state,
            say.named("task_state", facts.state),
        )
        for name, facts in found.tasks.items()
    ]


def advice(found: MethodLearning, say: Messages) -> list[str]:
    """Return a sentence on every task that something is wrong with."""
    even = _percent(1 / max(1, len(found.tasks)), say)
    return [
        say(
            f"advice.{facts.state}",
            task=name,
            labels=say.count(facts.labels),
            rarest=say("format.quoted", name=facts.rarest),
            count=say.count(facts.rarest_labels),
            share=_percent(facts.share, say),
            even=even,
            half=_percent(facts.half, say, 0),
            rate=say.fixed(facts.rate, 2),
            train=_percent(facts.train, say, 0),
            train_score=say.fixed(facts.train_score),
            validation_score=say.fixed(facts.validation_score),
            other=facts.other or "",
            cosine=say.fixed(facts.cosine, 2),
        )
        for name, facts in found.tasks.items()
        if say.has(f"advice.{facts.state}")
    ]


def cosine_map(found: MethodLearning, key: str, say: Messages) -> str:
    """Draw the mean cosine between the gradients of every two tasks, as an SVG element.

    Purple is against, orange with each other: colour-blind readers can distinguish them, and up to
    twelve tasks every cell holds its number.
    """
    names = list(found.tasks)
    cosines = np.array(found.cosine, dtype=np.float64)
    side, space = max(26 * len(names), 90), 7 * max(width(cut(name)) for name in names)
    with style(key):
        figure, axes = new_figure(min(90 + side + space, 620), min(40 + side + space, 620))
        image = axes.imshow(np.ma.masked_invalid(cosines), cmap="PuOr_r", vmin=-1, vmax=1)
        for axis in ("x", "y"):
            name_ticks(axes, axis, names)
        axes.tick_params(axis="x", rotation=90)
        for (i, j), value in np.ndenumerate(
            cosines if len(names) <= NUMBERED else np.empty((0, 0))
        ):
            if np.isfinite(value):
                ink = "white" if abs(value) > 0.7 else "black"
                text = say.short(value)
                axes.text(j, i, text, ha="center", va="center", fontsize=7, color=ink)
        figure.colorbar(image, ax=axes, aspect=12, shrink=0.8, format="{x:.1f}")
        return inline_svg(figure, _cosines_alt(names, cosines, say))


def _cosines_alt(names: Sequence[str], cosines: Any, say: Messages) -> str:
    pairs = [
        (float(cosines[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(i)
        if np.isfinite(cosines[i, j])
    ]
    if not pairs:
        return say("alt.cosines_none")
    low, high = min(pairs), max(pairs)
    return say(
        "alt.cosines",
        low=say.fixed(low[0], 2), low_a=low[1], low_b=low[2],
        high=say.fixed(high[0], 2), high_a=high[1], high_b=high[2],
    )  # fmt: skip


def _percent(value: float | None, say: Messages, digits: int = 1) -> str:
    if value is None:
        return say("word.no_data")
    return say("format.percent", number=say.fixed(100 * value, digits))


def _validation(facts: TaskLearning, say: Messages) -> tuple[str, str]:
    if facts.validation is None:
        return "–", ""
    return _percent(facts.validation, say, 0), say.fixed(facts.validation_score)
