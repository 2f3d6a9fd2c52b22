"""Columns that are no features themselves: what to read for their values, and what that becomes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import pandas as pd
from numpy.typing import NDArray

from labelweave.data.row_store import RowStore
from labelweave.shapes import Shape


class Stored(NamedTuple):
    """What became of the n values of a column.

    Attributes:
        store: the rows.
        keys: the key of each value's row; None = it cannot be used.
        damaged: by value, why it cannot be used.
    """

    store: RowStore
    keys: list[str | None]
    damaged: dict[str, str]


class MediaColumn(Protocol):
    """A column whose values stand for something to be read.

    Attributes:
        is_path: whether its values are paths.
    """

    is_path: ClassVar[bool]

    @property
    def column(self) -> str:
        """Its name."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what a value becomes."""
        ...

    @property
    def alone(self) -> Shape | None:
        """What a network is told of inputs that are this column alone; None = features, beside
        which others may stand.
        """  # noqa: D205
        ...

    def store(
        self, values: Sequence[str], cache: Path, *, jobs: int | None, progress: bool
    ) -> Stored:
        """Read all values once, and keep what they become."""
        ...

    def read(self, values: Sequence[str]) -> NDArray[Any]:
        """Return what n values become, (n, *shape), without keeping it.

        Raises:
            LabelweaveError: one cannot be read.
        """
        ...

    def resolved(self, values: "pd.Series[Any]", root: Path) -> "pd.Series[Any]":
        """Return the values with paths made those below `root`; missing ones are errors."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        ...
