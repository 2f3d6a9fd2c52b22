"""A source: one data set with its inputs, the labels it happens to carry, and its groups."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True, eq=False, init=False)
class Source:
    """One data set: n rows of raw inputs and their annotations.

    Args:
        name: the source's name, unique in a collection.
        inputs: n rows of raw input columns; an array of shape (n, d) gets the columns x0, x1, ...
        annotations: the labels of the same n rows.
        groups: (n,) values that tie rows together (person, plant, batch of goods), compared
            across sources by value; None, NaN or "" = the row is a group of its own.
        split: the side on which all rows stay, for official test sets; None = free.
        numbers: (n,) the number that each row has in its file; None = 1, 2, ...

    Raises:
        LabelweaveError: no rows, different lengths, repeated column names or an unknown side.
    """

    name: str
    inputs: pd.DataFrame
    annotations: Annotations
    groups: NDArray[Any] | None
    split: Side | None
    numbers: NDArray[np.int64]

    def __init__(
        self,
        name: str,
        inputs: pd.DataFrame | NDArray[Any],
        annotations: Annotations,
        groups: ArrayLike | None = None,
        split: Side | None = None,
        numbers: NDArray[np.int64] | None = None,
    ) -> None:
        if not name:
            raise LabelweaveError("a source needs a name, found an empty one")
        place = f"source '{name}'"
        frame = _frame(place, inputs)
        members = None if groups is None else np.asarray(groups)
        if len(frame) == 0:
            raise LabelweaveError(f"{place}: found no rows, expected at least one")
        if len(annotations) != len(frame):
            raise LabelweaveError(
                f"{place}: found annotations of {len(annotations)} rows, "
                f"expected {len(frame)} as in the inputs"
            )
        if members is not None and members.shape != (len(frame),):
            raise LabelweaveError(
                f"{place}: found groups of shape {members.shape}, expected ({len(frame)},)"
            )
        if split is not None and split not in SIDES:
            raise LabelweaveError(
                f"{place}: unknown split '{split}', expected {listing(SIDES)}"
                f"{nearest(split, SIDES)}"
            )
        for field, value in {
            "name": name, "inputs": frame, "annotations": annotations,
            "groups": members, "split": split,
            "numbers": np.arange(1, len(frame) + 1) if numbers is None else numbers,
        }.items():  # fmt: skip
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.inputs)


def check_columns(place: str, names: Iterable[str]) -> None:
    """Raise `LabelweaveError`, naming `place`, for a column without a name or named twice."""
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise LabelweaveError(
                f"{place}: column {position} has no name, expected one for every column"
            )
        if name in seen:
            raise LabelweaveError(f"{place}: two columns are named '{name}'")
        seen.add(name)


def _frame(place: str, inputs: pd.DataFrame | NDArray[Any]) -> pd.DataFrame:
    if isinstance(inputs, pd.DataFrame):
        frame = inputs.rename(columns=str)
        check_columns(place, frame.columns)
        return frame
    array = np.asarray(inputs)
    if array.ndim != 2:
        raise LabelweaveError(
            f"{place}: found inputs of shape {array.shape}, expected (rows, columns)"
        )
    return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])
