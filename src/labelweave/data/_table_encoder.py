"""The table encoder: raw input columns of any kind become finite float32 features."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from labelweave._messages import Message, Text, some
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.tables import Schema
from labelweave.tables._column_kinds import identifying
from labelweave.tasks import factorize, key

Notes = defaultdict[Message, list[str]]
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
    def fit(cls, frame: pd.DataFrame, notes: Notes, scale: Scale = "each") -> Self:
        """Learn from training rows; add messages about columns to `notes`.

        Args:
            frame: the numeric columns.
            notes: messages by column; extended in place.
            scale: "together" = one mean and one standard deviation, every column that has a value
                kept.
        """
        values, infinite = _block(frame)
        missing = np.isnan(values).mean(axis=0)
        for name, share, count in zip(frame.columns, missing, infinite, strict=True):
            if count:
                notes[Message("note.infinite")].append(f"{name}: {count}")
            if 0 < share < 1:
                notes[Message("note.missing")].append(f"{name}: {share:.1%}")
        seen = missing < 1
        notes[Message("note.all_missing")] += list(frame.columns[~seen])
        values = values[:, seen]
        # SimpleImputer finds the same median through masked arrays, in ten times the time
        median = np.array([np.nanmedian(column) for column in values.T], dtype=np.float64)
        values = np.where(np.isnan(values), median, values)
        mean, deviation = np.zeros(median.size), np.ones(median.size)
        varies = values.min(axis=0) < values.max(axis=0)
        if median.size:
            learnt = values.reshape(-1, 1) if scale == "together" else values
            shift, factor = mean_and_scale(learnt)
            mean, deviation = mean + shift, deviation * factor
        if scale == "together":
            varies[:] = varies.any()
        gaps = missing[seen] > 0
        names = frame.columns[seen]
        notes[Message("note.constant")] += list(names[~varies & ~gaps])
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
        step = max(1, CELLS // max(1, len(self.names)))
        for start in range(0, len(frame), step):
            rows = slice(start, start + step)
            values = frame.iloc[rows].to_numpy(dtype=np.float64, na_value=np.nan)
            self.write_values(values, features[rows], clip)

    def write_values(
        self, values: NDArray[np.float64], features: NDArray[np.float32], clip: float
    ) -> None:
        """Write the features of values, (n, c), into the first columns of `features`, (n, d)."""
        values_end = int(self.varies.sum())
        end = values_end + int(self.gaps.sum())
        usable = np.abs(values) <= LARGEST  # false for NaN, too
        filled = values if usable.all() else np.where(usable, values, self.median)
        scaled = filled - self.mean
        scaled /= self.scale
        kept = scaled if self.varies.all() else scaled[:, self.varies]
        features[:, :values_end] = np.clip(kept, -clip, clip, out=kept)
        if end > values_end:
            features[:, values_end:end] = ~usable[:, self.gaps]

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


def mean_and_scale(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the columns of finite numbers (n, c), each (c,).

    Bit for bit those of scikit-learn's StandardScaler, which takes two seconds to load. Where the
    deviation may be rounding alone it is 1 (Chan, Golub and LeVeque, "Algorithms for computing the
    sample variance", The American Statistician 37, 1983).
    """
    n, eps = len(values), np.finfo(np.float64).eps
    mean = values.sum(axis=0) / n
    gaps = values - mean
    lost = gaps.sum(axis=0)  # what rounding of the mean has left
    variance = ((gaps**2).sum(axis=0) - lost**2 / n) / n
    constant = variance <= n * eps * variance + (n * mean * eps) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))


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
    kinds = dict(zip(inputs.columns, inputs.dtypes, strict=True))
    if all(kinds[name] == np.float64 for name in names):
        if list(inputs.columns) == names:
            return inputs  # choosing columns costs more than the few values of a single row
        return inputs[names]
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


class TableEncoder:
    """Turns raw input columns into features, with what it learnt from training rows only.

    A numeric column is imputed by its median, standardised and clipped; it gets a 0/1 feature
    "(missing)" when training rows lack it. Values that are infinite or beyond float32 count as
    missing. Every other column is one-hot encoded, with a feature "(unknown)" that takes missing
    values and those not seen in training. Columns that say nothing in training are dropped.

    Args:
        clip: the largest absolute value of a standardised feature.
        max_categories: the categories kept of a column; the rarest beyond it count as unknown.
        categorical: columns to be treated as categories, whatever they hold: numbers, or texts
            that would be left out because they look like identifiers, personal data or sentences.
        scale: "each" numeric column by itself, or all "together" with one mean and one standard
            deviation, constant ones kept: for pixels and other columns of one kind.

    Attributes:
        names_: the names of the d features.
        notes_: messages about the training columns, a line each.
        left_out_: the columns that look like identifiers, personal data or sentences; of an encoder
            that has been fitted, not of one that has been read.
        schema: what raw tables are read by before; None = they are taken as they are.
    """

    def __init__(
        self,
        *,
        clip: float = 10.0,
        max_categories: int = 50,
        categorical: Sequence[str] = (),
        scale: Scale = "each",
    ) -> None:
        self.clip = clip
        self.max_categories = max_categories
        self.categorical = categorical
        self.scale = scale
        self.schema: Schema | None = None

    def fit(self, inputs: pd.DataFrame) -> Self:
        """Learn medians, means, scales and categories from training rows.

        Args:
            inputs: the raw input columns of the training rows, and of no others.

        Raises:
            LabelweaveError: no rows, no column that varies, a column in `categorical` that does
                not exist, or a parameter out of range.
        """
        self._check(inputs)
        notes: Notes = defaultdict(list)
        numeric = [
            name
            for name in inputs.columns
            if name not in self.categorical and is_number_column(inputs[name])
        ]
        self.numeric_ = NumericColumns.fit(inputs[numeric], notes, self.scale)
        self.categories_: dict[str, list[str]] = {}
        self.left_out_: list[str] = []
        for name in inputs.columns.drop(numeric):
            texts = [key(value) for value in factorize(inputs[name])[1]]
            if name not in self.categorical and identifying(texts, int(inputs[name].count())):
                notes[Message("note.identifying")].append(str(name))
                self.left_out_.append(str(name))
                continue
            categories = _categories(inputs[name], self.max_categories, notes)
            if categories:
                self.categories_[name] = categories
        self.notes_: list[Text] = [
            Message("note.columns", {"what": what, "columns": some(columns)})
            for what, columns in notes.items()
            if columns
        ]
        if not self.names_:
            raise LabelweaveError(f"no input column varies, found {listing(inputs.columns)}")
        return self

    @property
    def names_(self) -> list[str]:
        """The names of the features, in order."""
        names = self.numeric_.features
        for name, categories in self.categories_.items():
            names += [*(f"{name}={category}" for category in categories), f"{name} (unknown)"]
        return names

    @property
    def shape_(self) -> int:
        """The number of features."""
        return len(self.names_)

    def transform(self, inputs: pd.DataFrame) -> NDArray[np.float32]:
        """Return the features of n rows, shape (n, d): finite, numeric ones within ±clip.

        Columns that `fit` has not seen are ignored.

        Raises:
            LabelweaveError: a column is missing, or text stands in a numeric one (with its row).
        """
        for name in [*self.numeric_.names, *self.categories_]:
            _require(name, inputs)
        features = np.zeros((len(inputs), len(self.names_)), dtype=np.float32)
        self.numeric_.write(inputs, features, self.clip)
        rows, start = np.arange(len(inputs)), len(self.numeric_.features)
        for name, categories in self.categories_.items():
            features[rows, start + _category_codes(inputs[name], categories)] = 1
            start += len(categories) + 1
        return features

    @property
    def only_numbers_(self) -> list[str] | None:
        """The columns of `transform_numbers`, in order; None where there are categories, too."""
        return None if self.categories_ else self.numeric_.names

    def transform_numbers(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return what `transform` does, of n rows that are numbers already, without a frame.

        Args:
            values: (n, c), NaN = missing, in the order of `only_numbers_`.
        """
        features = np.zeros((len(values), len(self.names_)), dtype=np.float32)
        self.numeric_.write_values(values, features, self.clip)
        return features

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters and all that was learnt, ready for JSON."""
        return {
            "clip": self.clip,
            "max_categories": self.max_categories,
            "categorical": list(self.categorical),
            "scale": self.scale,
            "numeric": self.numeric_.to_dict(),
            "categories": self.categories_,
            "notes": [str(note) for note in self.notes_],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Return the encoder that `to_dict` described.

        Raises:
            LabelweaveError: an entry is missing.
        """
        try:
            encoder = cls(
                clip=state["clip"],
                max_categories=state["max_categories"],
                categorical=list(state["categorical"]),
                scale=state.get("scale", "each"),  # older models do not say
            )
            encoder.numeric_ = NumericColumns.from_dict(state["numeric"])
            encoder.categories_ = {name: list(kept) for name, kept in state["categories"].items()}
            encoder.notes_ = list(state["notes"])
        except KeyError as error:
            raise LabelweaveError(f"table encoder: entry {error} is missing") from None
        return encoder

    def _check(self, inputs: pd.DataFrame) -> None:
        if not self.clip > 0:
            raise LabelweaveError(f"clip: found {self.clip}, expected a number above 0")
        if self.max_categories < 1:
            raise LabelweaveError(
                f"max_categories: found {self.max_categories}, expected 1 or more"
            )
        ways = get_args(Scale)
        if self.scale not in ways:
            raise LabelweaveError(f"scale: found '{self.scale}', expected {listing(ways)}")
        if len(inputs) == 0:
            raise LabelweaveError("table encoder: found no training rows")
        for name in self.categorical:
            with in_place("inputs 'categorical' or 'hashed'"):
                _require(name, inputs)


def _require(name: str, inputs: pd.DataFrame) -> None:
    if name not in inputs.columns:
        raise LabelweaveError(
            f"no input column '{name}', found {listing(inputs.columns)}"
            f"{nearest(name, inputs.columns)}"
        )


def _categories(column: "pd.Series[Any]", limit: int, notes: Notes) -> list[str]:
    """Return the most frequent categories of a column, sorted; none when it says nothing."""
    names = sorted({key(value) for value in factorize(column)[1]})
    if not names:
        notes[Message("note.all_missing")].append(str(column.name))
        return []
    found = _category_codes(column, names)
    counts = np.bincount(found, minlength=len(names) + 1)
    if len(names) == 1 and counts[-1] == 0:
        notes[Message("note.constant")].append(str(column.name))
        return []
    if counts[-1]:
        share = counts[-1] / len(column)
        notes[Message("note.missing")].append(f"{column.name}: {share:.1%}")
    if len(names) > limit:
        many = Message("note.categories", {"limit": limit})
        notes[many].append(f"{column.name}: {len(names)}")
    kept = np.argsort(-counts[:-1], kind="stable")[:limit]
    return [names[i] for i in np.sort(kept)]


def _category_codes(column: "pd.Series[Any]", categories: list[str]) -> NDArray[np.int64]:
    """Return the index of every value among the categories; missing and unseen get the last."""
    codes, uniques = factorize(column)
    index = {category: i for i, category in enumerate(categories)}
    lookup = np.full(len(uniques) + 1, len(categories), dtype=np.int64)
    for code, value in enumerate(uniques):
        lookup[code] = index.get(key(value), len(categories))
    return lookup[codes]
