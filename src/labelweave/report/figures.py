"""The pictures of results: intervals and loss curves, each an inline SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from labelweave.report.drawing import cut, inline_svg, name_ticks, new_figure, style
from labelweave.report.messages import Messages
from labelweave.report.tables import Estimate

# the palette of Okabe and Ito, which colour-blind readers can tell apart
BLACK, GREY, BLUE, VERMILION = "#000000", "#767676", "#0072B2", "#D55E00"
PALETTE = (BLUE, "#E69F00", "#009E73", VERMILION, "#CC79A7", "#56B4E9")
LINES = [(colour, dash) for dash in ("-", "--") for colour in PALETTE]
# verdict: colour, marker and its face; the marker alone tells the verdict
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
    rows: Sequence[tuple[str, Estimate, str | None]],
    baseline: float | None,
    key: str,
    say: Messages | None = None,
) -> str:
    """Draw one task: a dot with its interval for every arm, the baseline as a vertical line.

    Args:
        task: the task's name.
        metric: the name of its main metric, the horizontal axis.
        rows: (arm, estimate, verdict) from top to bottom.
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
                beside_axis = axes.get_yaxis_transform()
                missing = say("word.no_data")
                axes.text(0.02, y, missing, transform=beside_axis, va="center", color=GREY)
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
        told = say.list([f"{name} {told_interval(found, say)}" for name, found, _ in rows])
        return inline_svg(figure, say("alt.intervals", metric=metric, task=task, told=told))


def loss_curves(
    arm: str,
    curve: Mapping[str, Any],
    terms: Sequence[str],
    key: str,
    say: Messages | None = None,
) -> str:
    """Draw an arm's weighted loss terms by training step, on a log scale if none is negative.

    Args:
        arm: the arm's name.
        curve: the arm's "step" and "terms", of the results' "curves".
        terms: the terms to draw, at most 12; their order gives the colours, so that a term
            looks the same in every arm.
        key: a name that no other picture of the page has.
        say: the language; default English.

    Returns:
        An SVG element.
    """
    say = say or Messages()
    drawn = {
        term: np.asarray(curve["terms"][term], dtype=float)
        for term in terms
        if term in curve["terms"]
    }
    with style(key):
        names = [cut(term) for term in drawn]
        columns = 2 if max(map(len, names), default=0) <= 21 else 1
        figure, axes = new_figure(WIDTH, 200 + 18 * -(-len(names) // columns))
        lines = []
        for term, (colour, dash) in zip(terms, LINES, strict=False):
            if term in drawn:
                lines += axes.plot(curve["step"], drawn[term], color=colour, ls=dash, lw=1.3)
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
        told = say.list([f"{term} {_course(values, say)}" for term, values in drawn.items()])
        alt = say("alt.losses", arm=arm, told=told or say("word.no_data"))
        return inline_svg(figure, alt)


def told_interval(found: Estimate, say: Messages) -> str:
    """Return a mean with its interval in words."""
    if found.low is None or found.high is None:
        return say.fixed(found.mean)
    return f"{say.fixed(found.mean)} ({say.span(found.low, found.high)})"


def _course(values: NDArray[np.float64], say: Messages) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return say("word.no_data")
    return say("format.course", first=f"{known[0]:.3g}", last=f"{known[-1]:.3g}")
