"""What a column looks like: a label, a group, an identifier, dates, free text, personal data."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_datetime64_any_dtype, is_float_dtype, is_numeric_dtype

from labelweave.tables._findings import evenly
from labelweave.tasks import factorize, key

Parts = Sequence["pd.Series[Any]"]

MOST_CLASSES = 50
ROWS_PER_CLASS = 3  # a column with fewer rows a value is a name or a measurement, no class
LOOKED_AT = 2_000  # values that a pattern is tried on
DATE = r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]+\d{1,2}:\d{2}.*)?\s*"
EMAIL = r"\s*[^@\s]+@[^@\s]+\.[A-Za-z]{2,}\s*"
PHONE = r"\s*(\+\d{1,3}[-\s]?)?\(?0?\d{1,4}\)?[-\s]\d{2,4}[-\s]\d{3,4}\s*"
CODE = r"\s*[A-Za-z]{0,6}[-_/ ]?\d{2,12}([-_/]\w{1,8})*\s*"

# words of a column's name, between anything that is no letter; Japanese and Chinese anywhere
GROUP_WORDS = (
    "serial", "lot", "batch", "patient", "person", "subject", "customer", "user", "vehicle",
    "wafer", "panel", "specimen", "piece", "unit", "device", "participant", "family", "household",
)  # fmt: skip
GROUP_SIGNS = ("シリアル", "ロット", "個体", "製番", "製造番号", "患者", "批次", "批号")
LABEL_WORDS = (
    "label", "class", "target", "result", "verdict", "judgement", "judgment", "defect", "grade",
    "diagnosis", "category", "outcome", "quality", "rating", "severity",
)  # fmt: skip
LABEL_SIGNS = ("判定", "結果", "不良", "等級", "合否", "分類", "结果", "缺陷")
PERSONAL_WORDS = (
    "email", "mail", "phone", "telephone", "mobile", "address", "birthday", "birthdate", "dob",
    "ssn", "passport", "surname", "firstname", "lastname", "fullname", "forename", "operator",
    "inspector", "employee", "worker", "technician",
)  # fmt: skip
PERSONAL_SIGNS = ("氏名", "住所", "電話", "生年月日", "作業者", "担当者", "検査員")


def words(name: str) -> list[str]:
    """Return the words of a column's name in lower case: ``operatorName`` gives two."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W\d_]+", parted)]


def called(name: str, hints: Sequence[str], signs: Sequence[str]) -> bool:
    """Return whether a column's name holds one of some words, or of some Japanese signs."""
    own = words(name)
    joined = {"".join(pair) for pair in pairwise(own)}
    return bool({*own, *joined} & set(hints)) or any(sign in name for sign in signs)


def distinct(parts: Parts) -> set[str]:
    """Return the distinct values of a column in all tables, as labels are compared."""
    return {key(value) for part in parts for value in factorize(part)[1]}


def few_values(parts: Parts) -> bool:
    """Return whether a column holds 2 to 50 distinct values, with some rows to each."""
    filled = [part.dropna() for part in parts]
    rows = sum(len(part) for part in filled)
    if any(is_float_dtype(part) and bool((part % 1 != 0).any()) for part in filled):
        return False
    many = len(distinct(filled))
    return 2 <= many <= MOST_CLASSES and rows >= ROWS_PER_CLASS * many


def unusable(parts: Parts) -> str | None:
    """Return why a column, given by its parts in all tables, makes no input; None = it does."""
    filled = [part.dropna() for part in parts]
    column = filled[0] if len(filled) == 1 else pd.concat([p.astype(object) for p in filled])
    values, many = len(column), column.nunique()
    if values < ROWS_PER_CLASS:
        return None
    if all(is_numeric_dtype(part) for part in parts):
        counter = many == values and all(_counts_up(part) for part in filled)
        return "a number for every row" if counter else None
    if all(is_datetime64_any_dtype(part) for part in parts) or matching([column], DATE) > 0.9:
        return "dates"
    if many == values:
        return "a text for every row"
    if many > MOST_CLASSES or values < ROWS_PER_CLASS * many:
        return f"{many:,} different texts"
    return None


def matching(parts: Parts, pattern: str) -> float:
    """Return the share of a column's values, of some evenly spread, that a pattern matches."""
    looked = [part.dropna() for part in parts]
    texts = [str(v) for part in looked for v in part.iloc[evenly(len(part), LOOKED_AT)]]
    compiled = re.compile(pattern)
    return float(np.mean([bool(compiled.fullmatch(t[:200])) for t in texts])) if texts else 0.0


def scattered(parts: Parts, tables: int) -> bool:
    """Return whether a column has gaps or is absent from some of so many tables."""
    return len(parts) < tables or any(bool(part.isna().any()) for part in parts)


def personal(name: str, parts: Parts) -> str | None:
    """Return why a column is likely personal data; None = it is not."""
    if any(not is_numeric_dtype(part) for part in parts):
        for pattern, what in ((EMAIL, "e-mail addresses"), (PHONE, "phone numbers")):
            share = matching(parts, pattern)
            if share >= 0.2 and not (pattern == PHONE and matching(parts, DATE) >= share):
                return f"{share:.0%} of its values look like {what}"
    if called(name, PERSONAL_WORDS, PERSONAL_SIGNS):
        return "its name says so"
    return None


MANY = 20  # distinct texts from which they are no usual categories
WORDS = 5  # of a text that is a sentence


def identifying(texts: Sequence[str], rows: int) -> bool:
    """Return whether categories are likely to name persons or things, or are sentences.

    They say little of new rows, and a model that lists them hands them on: e-mail addresses and
    phone numbers, or many texts that are mostly there once or are sentences.

    Args:
        texts: the distinct texts of a column.
        rows: the rows that hold one.
    """
    looked = [texts[i] for i in evenly(len(texts), LOOKED_AT)]
    if not looked:
        return False
    for pattern in (EMAIL, PHONE):
        found = sum(bool(re.fullmatch(pattern, text[:200])) for text in looked)
        dates = sum(bool(re.fullmatch(DATE, text[:200])) for text in looked)
        if found >= 0.2 * len(looked) and not (pattern == PHONE and dates >= found):
            return True
    sentences = sum(len(text[:2000].split()) >= WORDS for text in looked) > len(looked) / 2
    return len(texts) >= MANY and (len(texts) > rows / 2 or sentences)


def grouping(name: str, parts: Parts) -> str | None:
    """Return why a column likely ties rows together (a serial number, a lot); None = it does not.

    Several rows have to share a value, and many values have to be there: by the name, or where
    most values are codes such as ``SN-0042``.
    """
    filled = [part.dropna() for part in parts]
    rows = sum(len(part) for part in filled)
    if not rows or any(is_float_dtype(p) and bool((p % 1 != 0).any()) for p in filled):
        return None
    many = len(distinct(filled))
    if many < 10 or not 1.2 <= rows / many <= max(2.0, rows / 10):
        return None
    codes = not all(is_numeric_dtype(part) for part in parts) and matching(parts, CODE) >= 0.9
    if called(name, GROUP_WORDS, GROUP_SIGNS) or (codes and many >= 20):
        return f"{many:,} values in {rows:,} rows"
    return None


def _counts_up(column: "pd.Series[Any]") -> bool:
    numbers: NDArray[np.float64] = np.sort(column.to_numpy(dtype=np.float64))
    return bool((np.diff(numbers) == 1).all())
