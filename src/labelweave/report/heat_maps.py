"""Heat maps of relations, for the report's page and as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labelweave.errors import LabelweaveError
from labelweave.files import replacing
from labelweave.report.drawing import (
    PIXELS,
    cut,
    inline_svg,
    name_ticks,
    new_figure,
    style,
    width,
)
from labelweave.report.messages import Messages

MAX_NAMES = 60


def heat_map(relation: Mapping[str, Any], key: str, say: Messages | None = None) -> str:
    """Draw a relation's table: rows are the source's classes, columns the target's.

    Unknown cells are hatched. A side with more than 60 classes is drawn without their names.

    Args:
        relation: one of the results' "relations".
        key: a name that no other picture of the page has.
        say: the language of the text alternative; default English.

    Returns:
        An SVG element.
    """
    with style(key):
        return inline_svg(*_heat_map(relation, say or Messages()))


def write_heat_map(relation: Mapping[str, Any], path: Path) -> Path:
    """Write the heat map of a relation to a .svg or .png file.

    Raises:
        LabelweaveError: another ending.
    """
    if path.suffix not in {".svg", ".png"}:
        raise LabelweaveError(f"{path}: found ending '{path.suffix}', expected .svg or .png")
    with style(path.name):
        figure, _ = _heat_map(relation, Messages())
        nothing = {"Date": None} if path.suffix == ".svg" else {}
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=2 * PIXELS, metadata=nothing)
    return path


def _heat_map(relation: Mapping[str, Any], say: Messages) -> tuple[Figure, str]:
    """Return the picture of a relation's table, and its text alternative."""
    table = np.atleast_2d(np.asarray(relation["table"], dtype=float))
    known = np.isfinite(table)
    if relation.get("known"):
        known &= np.asarray(relation["known"], dtype=bool)
    low, high = (f(table, where=known, initial=0.0) for f in (np.min, np.max))
    names: dict[Literal["x", "y"], list[Any]] = {"y": relation["rows"], "x": relation["columns"]}
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
    axes.set_xlabel(cut(relation["target"]))
    axes.set_ylabel(cut(relation["source"]))
    figure.colorbar(image, ax=axes, aspect=12, shrink=0.8, format="{x:.2g}")
    told = say(
        "alt.heat_map",
        source=relation["source"],
        target=relation["target"],
        rows=table.shape[0],
        columns=table.shape[1],
        low=say.fixed(float(low), 2),
        high=say.fixed(float(high), 2),
        known=known.sum(),
        cells=known.size,
    )
    return figure, told


def _extent(cells: int) -> float:
    """Return the pixels of a heat map's side: 15 a named cell, fewer where there are many."""
    return 15 * max(cells, 5) if cells <= MAX_NAMES else min(3 * cells, 560)


def _space(names: Sequence[object]) -> float:
    shown = names if len(names) <= MAX_NAMES else []
    return 7 * max((width(cut(name)) for name in shown), default=0)
