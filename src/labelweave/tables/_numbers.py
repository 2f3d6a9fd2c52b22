"""Numbers in text: what is one, by a stated rule, and how its marks are found."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from labelweave.tasks import LARGEST_WHOLE

FEW_WORDS, FEW_CELLS = 10, 0.1  # words in a column of numbers, and their share of its values
CENSORED = r"^[<>≤≥]=?\s*[+-]?[0-9.,]+$"  # below or above what could be measured


@dataclass(frozen=True)
class Marks:
    """The decimal mark of numbers, and what stands between groups of three digits."""

    decimal: str = "."
    thousands: str = ""

    @property
    def pattern(self) -> str:
        """The regular expression of a number.

        A sign, digits and a decimal mark; zeros in front of a whole number make a code of it
        (0117), and so does an exponent without sign after a whole number (1E2).
        """
        mark = "\\" + self.decimal
        whole = "0|[1-9][0-9]*"
        before = "[0-9]+"
        if self.thousands:
            groups = f"[1-9][0-9]{{0,2}}(?:\\x{{{ord(self.thousands):x}}}[0-9]{{3}})+"
            whole, before = f"{whole}|{groups}", f"(?:{groups}|{before})"
        pointed = f"(?:{before}{mark}[0-9]*|{mark}[0-9]+)"
        return (
            f"^[+-]?(?:(?:{whole})(?:[eE][+-][0-9]+)?|{pointed}(?:[eE][+-]?[0-9]+)?"
            "|(?i:inf|infinity))$"
        )


PLAIN = Marks()
STYLES = (
    PLAIN,
    Marks(","),
    Marks(".", ","),
    Marks(",", "."),
    *(Marks(mark, blank) for mark in ".," for blank in (" ", "\u00a0", "\u202f", "'")),
)


def numbers(text: pa.ChunkedArray, marks: Marks = PLAIN) -> tuple[pa.ChunkedArray, pa.Array | None]:
    """Return the numbers of a column of text as float64, null where there is none.

    Args:
        text: the cells; null = missing.
        marks: how its numbers are written.

    Returns:
        The numbers; and the distinct texts that are none, with their counts, or None = all are.
    """
    if marks == PLAIN and (fast := _cast(text)) is not None:
        return fast, None
    trimmed = pc.utf8_trim_whitespace(text)
    fits = pc.match_substring_regex(trimmed, marks.pattern)
    if marks.thousands:
        trimmed = pc.replace_substring(trimmed, marks.thousands, "")
    if marks.decimal != ".":
        trimmed = pc.replace_substring(trimmed, marks.decimal, ".")
    found = pc.cast(pc.if_else(fits, trimmed, pa.scalar(None, trimmed.type)), pa.float64())
    large = pc.and_kleene(pc.greater_equal(pc.abs(found), LARGEST_WHOLE), pc.is_finite(found))
    if pc.any(large).as_py():  # digits that a float64 would change make a name
        kept = pc.invert(pc.and_kleene(large, _long(trimmed)))
        fits = pc.and_kleene(fits, kept)
        found = pc.if_else(kept, found, pa.scalar(None, pa.float64()))
    other = text.filter(pc.invert(fits))
    if other.length() - other.null_count == 0:
        return found, None
    return found, pc.value_counts(other)


def _long(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(text, r"^[+-]?[0-9]{16,}$")


def cast(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return the numbers of a column that holds nothing but numbers as programs write them."""
    try:
        return pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return None


def _cast(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return the numbers of a column where every text is one by the rule; None = look closer."""
    if holds(text, "n", "N") or (found := cast(text)) is None:  # nan and inf are words
        return None
    bounds = pc.min_max(found).as_py()
    if any(b is not None and abs(b) >= LARGEST_WHOLE for b in bounds.values()):
        return None
    signed = ["+0", "-0"] if holds(text, "-", "+") else []
    for start in ("0", *signed):
        begins = pc.starts_with(text, start)
        if pc.any(begins).as_py() and _any(text.filter(begins), r"^[+-]?0[0-9]+(?:[eE]|$)"):
            return None
    if holds(text, "e", "E") and not pc.all(pc.match_substring_regex(text, PLAIN.pattern)).as_py():
        return None
    return found


def holds(text: pa.ChunkedArray, *marks: str) -> bool:
    """Return whether a mark may stand in some cell: False is certain, and found in no time."""
    for chunk in text.chunks:
        values = chunk.buffers()[-1]
        if values is None:
            continue
        content = values.to_pybytes()
        if any(content.find(mark.encode()) >= 0 for mark in marks):
            return True
    return False


def _any(text: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(text, pattern)).as_py())


def find_marks(text: pa.ChunkedArray) -> list[Marks]:
    """Return how the numbers of a column may be written: the styles that most values fit.

    Empty where no value is a number; several where the values fit several styles, as in "1,234".
    """
    distinct = pc.utf8_trim_whitespace(pc.unique(text).drop_null())
    counts = [pc.sum(pc.match_substring_regex(distinct, s.pattern)).as_py() or 0 for s in STYLES]
    most = max(counts)
    if most == 0:
        return []
    fitting = [style for style, count in zip(STYLES, counts, strict=True) if count == most]
    # a style with a mark that no value has says the same as the one without it
    used = [
        style
        for style in fitting
        if not style.thousands or pc.any(pc.match_substring(distinct, style.thousands)).as_py()
    ]
    found = used or fitting[:1]
    decimals = {style.decimal for style in found if not style.thousands}
    if len(decimals) == 2 and not pc.any(pc.match_substring_regex(distinct, "[.,]")).as_py():
        return [style for style in found if style.decimal == "."]  # whole numbers say nothing
    return found


def few_words(words: pa.Array | None, values: int) -> bool:
    """Return whether texts among `values` numbers look like missing ones: few, and no codes."""
    if words is None:
        return True
    texts = words.field(0)
    cells = pc.sum(words.field(1)).as_py()
    if len(texts) > FEW_WORDS or cells > FEW_CELLS * (values + cells):
        return False
    digits = pc.match_substring_regex(texts, "[0-9]")
    censored = pc.match_substring_regex(texts, CENSORED)
    return not pc.any(pc.and_(digits, pc.invert(censored))).as_py()


def as_array(found: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return numbers with null as NaN, (n,)."""
    values = np.empty(len(found), dtype=np.float64)
    start = 0
    for chunk in found.chunks:
        values[start : start + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        start += len(chunk)
    return values
