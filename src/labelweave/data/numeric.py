"""The numeric columns of a table: imputed, standardised and clipped as one block."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from labelweave.errors import LabelweaveError
from labelweave.remarks import Remark

Remarks = defaultdict[str, list[str]]
Scale = Literal["each", "together"]
LARGEST = float(np.finfo(np.float32).max)
CELLS = 4_000_000  # values transformed at a time, to keep the temporary arrays small


@dataclass(frozen=True, eq=False)
class NumericColumns:
    """What was learnt about c numeric columns.

    Args:
        names: the columns, each with at least one value in training.
        median: what replaces a missing value, (c,).
        mean: the mean after that, (c,).
        scale: the standard deviation after that, (c,); 1 for a constant column.
        varies: whether the column's value becomes a feature, (c,).
        gaps: whether "the value is missing" becomes a feature, (c,).
    """

    names: list[str]
    median: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    varies: NDArray[np.bool_]
    gaps: NDArray[np.bool_]

    @classmethod
    def fit(cls, frame: pd.DataFrame, remarks: Remarks, scale: Scale = "each") -> Self:
        """Learn from training rows; add to `remarks` what is worth telling.

        Args:
            frame: the numeric columns.
            remarks: is added to.
            scale: "together" = one mean and one standard deviation, every column that has a value
                kept.
        """
        values, infinite = _block(frame)
        missing = np.isnan(values).mean(axis=0)
        for name, share, count in zip(frame.columns, missing, infinite, strict=True):
            if count:
                remarks[Remark("note.infinite")].append(f"{name}: {count}")
            if 0 < share < 1:
                remarks[Remark("note.missing")].append(f"{name}: {share:.1%}")
        seen = missing < 1
        remarks[Remark("note.all_missing")] += list(frame.columns[~seen])
        values = values[:, seen]
        # SimpleImputer finds the same median through masked arrays, in ten times the time
        median = np.array([np.nanmedian(column) for column in values.T], dtype=np.float64)
        values = np.where(np.isnan(values), median, values)
        mean, deviation = np.zeros(median.size), np.ones(median.size)
        varies = values.min(axis=0) < values.max(axis=0)
        if median.size:
            from sklearn.preprocessing import StandardScaler

            learnt = values.reshape(-1, 1) if scale == "together" else values
            scaler = StandardScaler().fit(learnt)
            mean, deviation = mean + scaler.mean_, deviation * scaler.scale_
        if scale == "together":
            varies[:] = varies.any()
        gaps = missing[seen] > 0
        names = frame.columns[seen]
        remarks[Remark("note.constant")] += list(names[~varies & ~gaps])
        used = varies | gaps
        return cls(
            list(names[used]), median[used], mean[used], deviation[used], varies[used], gaps[used]
        )

    @property
    def features(self) -> list[str]:
        """The names of the features: the values, then the missing indicators."""
        names = np.array(self.names, dtype=object)
        return [*names[self.varies], *(f"{name} (missing)" for name in names[self.gaps])]

    def write(self, inputs: pd.DataFrame, features: NDArray[np.float32], clip: float) -> None:
        """Write the features of n rows into the first columns of `features`, (n, d)."""
        frame = _as_numeric(inputs, self.names)
        values_end = int(self.varies.sum())
        end = values_end + int(self.gaps.sum())
        step = max(1, CELLS // max(1, len(self.names)))
        for start in range(0, len(frame), step):
            rows = slice(start, start + step)
            values, _ = _block(frame.iloc[rows])
            missing = np.isnan(values)
            values = (np.where(missing, self.median, values) - self.mean) / self.scale
            features[rows, :values_end] = np.clip(values[:, self.varies], -clip, clip)
            features[rows, values_end:end] = missing[:, self.gaps]

    def to_dict(self) -> dict[str, Any]:
        """Return the names and numbers, ready for JSON."""
        arrays = {
            "median": self.median, "mean": self.mean, "scale": self.scale,
            "varies": self.varies, "gaps": self.gaps,
        }  # fmt: skip
        return {"names": self.names, **{name: array.tolist() for name, array in arrays.items()}}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Return what `to_dict` described; raise KeyError when an entry is missing."""
        return cls(
            names=list(state["names"]),
            median=np.array(state["median"], dtype=np.float64),
            mean=np.array(state["mean"], dtype=np.float64),
            scale=np.array(state["scale"], dtype=np.float64),
            varies=np.array(state["varies"], dtype=np.bool_),
            gaps=np.array(state["gaps"], dtype=np.bool_),
        )


def is_number_column(column: "pd.Series[Any]") -> bool:
    """Return whether a column holds numbers; true and false are not numbers."""
    return is_numeric_dtype(column) and not is_bool_dtype(column)


def _block(frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the values, NaN where missing or beyond float32, and the count of the latter."""
    values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.abs(values) > LARGEST
    return np.where(infinite, np.nan, values), infinite.sum(axis=0)


def _as_numeric(inputs: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the named columns, in that order, those that arrived as text turned into numbers."""
    changed = {
        name: _to_numbers(inputs[name]) for name in names if not is_number_column(inputs[name])
    }
    return inputs[names].assign(**changed) if changed else inputs[names]


def _to_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    numbers = pd.to_numeric(column.astype(object), errors="coerce").astype(np.float64)
    wrong = np.flatnonzero((numbers.isna() & column.notna() & (column != "")).to_numpy())
    if wrong.size:
        raise LabelweaveError(
            f"row {wrong[0] + 1}, column '{column.name}': "
            f"found '{column.iloc[wrong[0]]}', expected a number"
        )
    return numbers
