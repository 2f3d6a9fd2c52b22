"""How the pictures of a report are drawn: style, size, text, and the inline SVG.

Text stays text (the browser sets it), no identifier depends on time or chance, and pyplot's global
state is not touched: the same results give the same bytes.
"""

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from html import escape
from typing import Any, Literal
from unicodedata import east_asian_width

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labelweave.report._tables import clean

PIXELS = 96  # CSS pixels an inch
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


@contextmanager
def style(key: str) -> Iterator[None]:
    """Draw in the report's style; `key` is a name that no other picture of the page has."""
    with mpl.rc_context(), warnings.catch_warnings():
        # the browser has fonts for the scripts that matplotlib's own lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        # the report does not depend on a user's matplotlibrc
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE | {"svg.hashsalt": key})
        yield


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of so many CSS pixels, and its axes."""
    figure = Figure(figsize=(width / PIXELS, height / PIXELS))
    return figure, figure.subplots()


def inline_svg(figure: Figure, alt: str) -> str:
    """Return the figure as an SVG element for the inside of a page, with its text alternative."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # matplotlib numbers its groups afresh in every picture: on one page they would clash
    text = re.sub(r' id="([^"]*)"(?=[^<>]*>)', lambda m: m[0] if f"#{m[1]}" in text else "", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)


def name_ticks(axes: Axes, axis: Literal["x", "y"], names: Sequence[object]) -> None:
    """Set one tick a name along an axis."""
    axes.set(**{f"{axis}ticks": range(len(names))})
    labels = [cut(name) for name in names]
    (axes.set_xticklabels if axis == "x" else axes.set_yticklabels)(labels)


def cut(name: object) -> str:
    """Return a name fit for a picture: printable, of at most 24 characters (12 wide ones)."""
    text = clean(name)
    if width(text) <= NAME_LENGTH:
        return text
    while width(text) >= NAME_LENGTH:
        text = text[:-1]
    return text + "…"


def width(text: str) -> int:
    """Return the width of a text in characters, a wide one (East Asian) being two."""
    return sum(1 + (east_asian_width(character) in "WF") for character in text)


BASE = "DejaVu Sans"  # matplotlib brings it along
# sans-serif fonts that read well come before whatever else has the characters
PREFERRED = ("notosanscjk", "notosansjp", "sourcehansans", "ipaexg", "ipag", "yugoth", "hiragino",
             "meiryo", "takao", "vl-gothic", "msgothic")  # fmt: skip


def fonts_for(text: str) -> list[str] | None:
    """Return the font families that have every character of a text, None where there are none.

    Only fonts that are installed are looked at; none is shipped or fetched.
    """
    missing = frozenset(ord(c) for c in text if c.isprintable()) - _characters(BASE)
    if not missing:
        return [BASE]
    other = _family_with(missing)
    return None if other is None else [BASE, other]


@cache
def _characters(family: str) -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont(family)).get_charmap())


@cache
def _family_with(characters: frozenset[int]) -> str | None:
    from matplotlib.font_manager import findSystemFonts, fontManager
    from matplotlib.ft2font import FT2Font

    for path in sorted(findSystemFonts(), key=_rank):
        try:
            font = FT2Font(path)
            found = characters <= set(font.get_charmap())
        except (OSError, RuntimeError):  # not a font, or one that cannot be read
            continue
        if found:
            if font.family_name not in _known():
                fontManager.addfont(path)
            return str(font.family_name)
    return None


def _known() -> Iterable[str]:
    from matplotlib.font_manager import fontManager

    return fontManager.get_font_names()


def _rank(path: str) -> tuple[int, str]:
    name = path.lower().replace("_", "").replace(" ", "")
    found = [i for i, part in enumerate(PREFERRED) if part in name]
    return (found[0] if found else len(PREFERRED), path)
