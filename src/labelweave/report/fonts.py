"""Fonts for pictures made of pixels: the usual one, and this machine's for other scripts."""

from collections.abc import Iterable
from functools import cache

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
