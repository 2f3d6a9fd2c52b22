"""Points in time: found in text, and turned into numbers that a model can use."""

from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Part = Literal["elapsed", "month", "weekday", "hour"]
PARTS: tuple[Part, ...] = get_args(Part)
Order = Literal["ymd", "dmy", "mdy"]
TIME = (
    r"(?:[T ]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,][0-9]+)?)?"
    r"\s*(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?\s*$"
)
YEAR_FIRST = (
    r"^\s*(?P<first>[0-9]{4})(?:[-/.]|年)(?P<second_part>[0-9]{1,2})(?:[-/.]|月)"
    r"(?P<third>[0-9]{1,2})日?" + TIME
)
YEAR_LAST = (
    r"^\s*(?P<first>[0-9]{1,2})[-/.](?P<second_part>[0-9]{1,2})[-/.](?P<third>[0-9]{4})" + TIME
)


def date_order(text: pa.ChunkedArray) -> Order | Literal["either"] | None:
    """Return in which order a column of text writes its dates, "either" = day and month may swap.

    None where a value is no date. Decided by the distinct values.
    """
    first = text.slice(0, 100).drop_null()
    if len(first) and not _all(first, YEAR_FIRST) and not _all(first, YEAR_LAST):
        return None
    distinct = pc.unique(text).drop_null()
    if not len(distinct):
        return None
    if _all(distinct, YEAR_FIRST):
        return "ymd"
    if not _all(distinct, YEAR_LAST):
        return None
    found = pc.extract_regex(distinct, YEAR_LAST)
    one, two = (
        pc.max(pc.cast(pc.struct_field(found, name), pa.int64())).as_py()
        for name in ("first", "second_part")
    )
    if one > 12 >= two:
        return "dmy"
    if two > 12 >= one:
        return "mdy"
    return None if one > 12 else "either"


def _all(distinct: pa.Array | pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(distinct, pattern)).as_py())


def moments(column: pa.ChunkedArray, order: Order = "ymd") -> NDArray[np.datetime64]:
    """Return a column as points in time, (n,) datetime64[s]; NaT where there is none.

    Args:
        column: points in time, or text.
        order: how text writes its dates.
    """
    if pa.types.is_timestamp(column.type):
        local = column if column.type.tz is None else pc.local_timestamp(column)
        found = pc.cast(local, pa.timestamp("s"), safe=False)
        return np.asarray(found.to_numpy(), "datetime64[s]")
    parts = pc.extract_regex(column, YEAR_FIRST if order == "ymd" else YEAR_LAST)
    if isinstance(parts, pa.ChunkedArray):
        parts = parts.combine_chunks()

    def number(name: str) -> NDArray[np.float64]:
        texts = pc.struct_field(parts, name)
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar("0"), texts)
        return np.asarray(pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False))

    names = {"ymd": ("first", "second_part", "third"), "dmy": ("third", "second_part", "first"),
             "mdy": ("third", "first", "second_part")}[order]  # fmt: skip
    year, month, day = (number(name) for name in names)
    good = np.isfinite(year) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    good &= np.isfinite(month) & np.isfinite(day)
    y, m, d = (np.where(good, x, 1).astype(np.int64) for x in (year, month, day))
    months = (y - 1970) * 12 + m - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]") + (d - 1)
    good &= days.astype("datetime64[M]").astype(np.int64) == months  # no 31st of April
    seconds = sum(
        np.nan_to_num(number(name)) * size
        for name, size in (("hour", 3600), ("minute", 60), ("second", 1))
    )
    found = days.astype("datetime64[s]") + np.asarray(seconds).astype("timedelta64[s]")
    return np.where(good, found, np.datetime64("NaT"))


def date_numbers(
    column: str, at: NDArray[np.datetime64], parts: tuple[Part, ...], origin: str
) -> dict[str, NDArray[np.float64]]:
    """Return the asked numbers of points in time, by the name of their columns.

    ``elapsed``: days since `origin`; ``month`` 1 to 12; ``weekday`` 0 = Monday to 6; ``hour`` 0 to
    24, with its fraction. NaN where there is no date.
    """
    days = at.astype("datetime64[D]")
    made: dict[str, Any] = {
        "elapsed": (at - np.datetime64(origin)) / np.timedelta64(1, "D"),
        "month": (at.astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(np.float64),
        "weekday": ((days.astype(np.int64) + 3) % 7).astype(np.float64),
        "hour": (at - days) / np.timedelta64(1, "h"),
    }
    gone = np.isnat(at)
    return {f"{column} ({part})": np.where(gone, np.nan, made[part]) for part in parts}
