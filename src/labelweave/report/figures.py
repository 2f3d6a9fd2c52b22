"""The pictures of a report: intervals, heat maps and loss curves, each an inline SVG.

Text stays text (the browser sets it), no identifier depends on time or chance, and pyplot's global
state is not touched: the same results give the same bytes.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError
from labelweave.files import replacing
from labelweave.report.tables import Estimate, fixed, printable

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
PIXELS = 96  # CSS pixels an inch
WIDTH = 350  # fits a phone
MAX_NAMES = 60
NAME_LENGTH = 24
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold dollar signs
    "font.sans-serif": ["DejaVu Sans", "Arial"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "hatch.color": "#aaaaaa",
    "hatch.linewidth": 0.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "image.cmap": "cividis",
    "image.aspect": "auto",
    "image.interpolation": "none",
    "figure.constrained_layout.use": True,
}


def interval_plot(
    task: str,
    metric: str,
    rows: Sequence[tuple[str, Estimate, str | None]],
    baseline: float | None,
    key: str,
) -> str:
    """Draw one task: a dot with its interval for every arm, the baseline as a vertical line.

    Args:
        task: the task's name.
        metric: the name of its main metric, the horizontal axis.
        rows: (arm, estimate, verdict) from top to bottom.
        baseline: the baseline's mean, None for no line.
        key: a name that no other picture of the page has.

    Returns:
        An SVG element.
    """
    with _style(key):
        figure, axes = _figure(WIDTH, 56 + 22 * len(rows))
        for y, (_, found, word) in enumerate(rows):
            if found.mean is None:
                beside_axis = axes.get_yaxis_transform()
                axes.text(0.02, y, "no data", transform=beside_axis, va="center", color=GREY)
                continue
            colour, marker, face = MARKERS[word or ""]
            if found.low is not None and found.high is not None:
                axes.plot([found.low, found.high], [y, y], color=colour, lw=1.6)
            axes.plot(found.mean, y, color=colour, marker=marker, markerfacecolor=face)
        if baseline is not None:
            axes.axvline(baseline, color=BLACK, lw=0.9, ls=(0, (4, 3)), zorder=1)
        _name_ticks(axes, "y", [name for name, _, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x")
        axes.set_xlabel(_cut(metric))
        told = ", ".join(f"{name} {_interval(found)}" for name, found, _ in rows)
        return _svg(figure, f"{metric} of {task}: {told}")


def heat_map(relation: Mapping[str, Any], key: str) -> str:
    """Draw a relation's table: rows are the source's classes, columns the target's.

    Unknown cells are hatched. A side with more than 60 classes is drawn without their names.

    Args:
        relation: one of the results' "relations".
        key: a name that no other picture of the page has.

    Returns:
        An SVG element.
    """
    with _style(key):
        return _svg(*_heat_map(relation))


def write_heat_map(relation: Mapping[str, Any], path: Path) -> Path:
    """Write the heat map of a relation to a .svg or .png file.

    Raises:
        LabelweaveError: another ending.
    """
    if path.suffix not in {".svg", ".png"}:
        raise LabelweaveError(f"{path}: found ending '{path.suffix}', expected .svg or .png")
    with _style(path.name):
        figure, _ = _heat_map(relation)
        nothing = {"Date": None} if path.suffix == ".svg" else {}
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=2 * PIXELS, metadata=nothing)
    return path


def _heat_map(relation: Mapping[str, Any]) -> tuple[Figure, str]:
    """Return the picture of a relation's table, and its text alternative."""
    table = np.atleast_2d(np.asarray(relation["table"], dtype=float))
    known = np.isfinite(table)
    if relation.get("known"):
        known &= np.asarray(relation["known"], dtype=bool)
    low, high = (f(table, where=known, initial=0.0) for f in (np.min, np.max))
    names: dict[Literal["x", "y"], list[Any]] = {"y": relation["rows"], "x": relation["columns"]}
    space = {axis: _space(side) for axis, side in names.items()}
    figure, axes = _figure(
        150 + _extent(table.shape[1]) + space["y"], 70 + _extent(table.shape[0]) + space["x"]
    )
    whole = Rectangle((0, 0), 1, 1, transform=axes.transAxes, fc="#eeeeee", hatch="////", lw=0)
    axes.add_patch(whole)
    # one image with a pixel for each cell stays small, whatever the table's size
    cells = np.ma.masked_array(table, ~known)
    image = axes.imshow(cells, vmin=low, vmax=high if high > low else low + 1, zorder=2)
    for axis, side in names.items():
        _name_ticks(axes, axis, side if len(side) <= MAX_NAMES else [])
    axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel(_cut(relation["target"]))
    axes.set_ylabel(_cut(relation["source"]))
    figure.colorbar(image, ax=axes, aspect=12, shrink=0.8, format="{x:.2g}")
    return (
        figure,
        f"Relation of {relation['source']} to {relation['target']}: table of "
        f"{table.shape[0]} by {table.shape[1]}, values from {low:.2f} to {high:.2f}, "
        f"{known.sum()} of {known.size} cells known",
    )


def loss_curves(arm: str, curve: Mapping[str, Any], terms: Sequence[str], key: str) -> str:
    """Draw an arm's weighted loss terms by training step, on a log scale if none is negative.

    Args:
        arm: the arm's name.
        curve: the arm's "step" and "terms", of the results' "curves".
        terms: the terms to draw, at most 12; their order gives the colours, so that a term
            looks the same in every arm.
        key: a name that no other picture of the page has.

    Returns:
        An SVG element.
    """
    drawn = {
        term: np.asarray(curve["terms"][term], dtype=float)
        for term in terms
        if term in curve["terms"]
    }
    with _style(key):
        names = [_cut(term) for term in drawn]
        columns = 2 if max(map(len, names), default=0) <= 21 else 1
        figure, axes = _figure(WIDTH, 200 + 18 * -(-len(names) // columns))
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
        axes.set_xlabel("step")
        axes.set_ylabel("weighted loss")
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="y")
        figure.legend(lines, names, loc="outside lower left", ncols=columns)
        told = ", ".join(f"{term} {_course(values)}" for term, values in drawn.items())
        return _svg(figure, f"Loss terms of {arm} by training step: {told or 'no data'}")


@contextmanager
def _style(key: str) -> Iterator[None]:
    with mpl.rc_context(), warnings.catch_warnings():
        # the browser has fonts for the scripts that matplotlib's own lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        # the report does not depend on a user's matplotlibrc
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE | {"svg.hashsalt": key})
        yield


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width / PIXELS, height / PIXELS))
    return figure, figure.subplots()


def _svg(figure: Figure, told: str) -> str:
    """Return the figure as an SVG element for the inside of a page, with its text alternative."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # matplotlib numbers its groups afresh in every picture: on one page they would clash
    text = re.sub(r' id="([^"]*)"(?=[^<>]*>)', lambda m: m[0] if f"#{m[1]}" in text else "", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(told)}"', 1)


def _name_ticks(axes: Axes, axis: Literal["x", "y"], names: Sequence[object]) -> None:
    axes.set(**{f"{axis}ticks": range(len(names))})
    labels = [_cut(name) for name in names]
    (axes.set_xticklabels if axis == "x" else axes.set_yticklabels)(labels)


def _cut(name: object) -> str:
    text = printable(name)
    return text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "…"


def _extent(cells: int) -> float:
    """Return the pixels of a heat map's side: 15 a named cell, fewer where there are many."""
    return 15 * max(cells, 5) if cells <= MAX_NAMES else min(3 * cells, 560)


def _space(names: Sequence[object]) -> float:
    shown = names if len(names) <= MAX_NAMES else []
    return 7 * max((len(_cut(name)) for name in shown), default=0)


def _interval(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return fixed(found.mean)
    return f"{fixed(found.mean)} ({fixed(found.low)} to {fixed(found.high)})"


def _course(values: NDArray[np.float64]) -> str:
    known = values[np.isfinite(values)]
    return f"from {known[0]:.3g} to {known[-1]:.3g}" if len(known) else "no data"
