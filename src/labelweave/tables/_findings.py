"""Findings: what is wrong, or may be, with tables; and texts that are nearly the same."""

import unicodedata
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from labelweave.tasks import factorize, key

Severity = Literal["serious", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
SAMPLE = 20_000  # rows of a table that values are looked at in, evenly spread
SHORTEST = 5  # letters of words that may be one another, mistyped
LONGEST = 60
RARE = 0.1  # of the other word's rows: more often than that, it is a word


@dataclass(frozen=True)
class DataFinding:
    """One thing that is wrong with the data of a study, or may be.

    Attributes:
        severity: ``serious`` (results would be wrong or worthless), ``warning`` (look at it) or
            ``note``.
        code: the kind of finding, such as ``similar_classes``.
        place: source and column.
        evidence: what was seen, with counts.
        paste: the line of a study file that mends it; "" = there is none.
    """

    severity: Severity
    code: str
    place: str
    evidence: str
    paste: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the finding ready for JSON."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class SourceTable:
    """A source as it is inspected.

    Attributes:
        name: the source's name.
        frame: all columns of its file, labels too.
        inputs: the columns that are inputs as they stand.
        group: the column that ties rows together, or None.
        left_out: the inputs that a study leaves out by itself, such as dates.
    """

    name: str
    frame: pd.DataFrame
    inputs: tuple[str, ...]
    group: str | None = None
    left_out: frozenset[str] = frozenset()

    def sampled(self, column: str, most: int = SAMPLE) -> "pd.Series[Any]":
        """Return a column at up to `most` rows, evenly spread; the same rows for every column."""
        return self.frame[column].iloc[evenly(len(self.frame), most)]

    def known(self, column: str) -> int:
        """Return how many rows have a value."""
        return int(self.frame[column].notna().sum())


def evenly(rows: int, most: int) -> NDArray[np.int64]:
    """Return up to `most` of `rows` row numbers, evenly spread."""
    if rows <= most:
        return np.arange(rows)
    return np.linspace(0, rows - 1, most).astype(np.int64)


def is_number(column: "pd.Series[Any]") -> bool:
    """Return whether a column holds numbers; truth values are categories."""
    return bool(is_numeric_dtype(column) and not is_bool_dtype(column))


def counts(parts: "Iterable[pd.Series[Any]]") -> dict[str, int]:
    """Return how often each value stands in the parts of a column, as labels are compared."""
    found: dict[str, int] = defaultdict(int)
    for part in parts:
        codes, uniques = factorize(part)
        sizes = np.bincount(codes[codes >= 0], minlength=len(uniques))
        for value, size in zip(uniques, sizes.tolist(), strict=True):
            found[key(value)] += size
    return dict(found)


def normalized(text: str) -> str:
    """Return a text without what a reader hardly sees: case, blanks around, Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def bare(text: str) -> str:
    """Return the letters and digits of a column's name, for names that are written differently."""
    return "".join(c for c in normalized(text) if c.isalnum())


def mistyped(word: str, other: str) -> bool:
    """Return whether two words of letters differ by one letter, or by two that are swapped."""
    if min(len(word), len(other)) < SHORTEST or max(len(word), len(other)) > LONGEST:
        return False
    if word == other or abs(len(word) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(word), len(other)) - start and word[-1 - end] == other[-1 - end]:
        end += 1
    a, b = word[start : len(word) - end], other[start : len(other) - end]
    if not all(c.isalpha() for c in a + b):
        return False  # class_1 and class_2 are two classes
    return max(len(a), len(b)) == 1 or (len(a) == 2 and a == b[::-1])


def near_pairs(words: Iterable[str]) -> list[tuple[str, str]]:
    """Return all pairs of words that `mistyped` holds for; linear in the number of words."""
    buckets: dict[Hashable, list[str]] = defaultdict(list)
    for word in dict.fromkeys(words):
        if SHORTEST <= len(word) <= LONGEST:
            for form in {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}:
                buckets[form].append(word)
    pairs = {
        (a, b)
        for near in buckets.values()
        if len(near) < 100  # many words of one form are codes
        for i, a in enumerate(near)
        for b in near[i + 1 :]
        if mistyped(a, b)
    }
    return sorted({(min(pair), max(pair)) for pair in pairs})


def spelled_apart(by_source: Mapping[str, Mapping[str, int]]) -> dict[str, tuple[str, bool]]:
    """Return the spellings that are likely another one's: by spelling that one, and how sure.

    Args:
        by_source: by source how often each spelling stands in it.

    Returns:
        By spelling the more frequent one that it should be, and whether they differ by nothing but
        case, blanks or Unicode form (else by a letter).
    """
    total: dict[str, int] = defaultdict(int)
    for each in by_source.values():
        for word, size in each.items():
            total[word] += size
    forms: dict[str, list[str]] = defaultdict(list)
    for word in total:
        forms[normalized(word)].append(word)
    found: dict[str, tuple[str, bool]] = {}
    best = {form: max(words, key=lambda w: (total[w], w)) for form, words in forms.items()}
    for form, words in forms.items():
        found |= {word: (best[form], True) for word in words if word != best[form]}
    sizes = {form: sum(total[word] for word in words) for form, words in forms.items()}
    for a, b in near_pairs(forms):
        rare, usual = sorted((a, b), key=lambda form: (sizes[form], form))
        apart = (
            all(not ({normalized(w) for w in each} >= {rare, usual}) for each in by_source.values())
            and len(by_source) > 1
        )
        if sizes[rare] <= RARE * sizes[usual] or apart:
            found |= dict.fromkeys(forms[rare], (best[usual], False))
    return found


def yaml_line(key: str, value: Any) -> str:
    """Return ``key: value`` as one line of YAML."""
    return yaml_value({key: value})[1:-1]


def yaml_value(value: dict[str, Any]) -> str:
    """Return a section as one line of YAML, in braces."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False
    )
    return text.strip()


def few(names: Sequence[object], limit: int = 4) -> str:
    """Return ``'a', 'b' and 2 more``, each printable and cut."""
    shown = [f"'{shortened(str(name))}'" for name in names[:limit]]
    rest = len(names) - limit
    return ", ".join(shown) + (f" and {rest:,} more" if rest > 0 else "")


def shortened(text: str, most: int = 40) -> str:
    """Return a text cut to `most` characters, with what cannot be printed as "?"."""
    cut = "".join(c if c.isprintable() else "?" for c in text[:most])
    return cut + "..." * (len(text) > most)
