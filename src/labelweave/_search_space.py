"""Search spaces: which values of a component's options a search may try.

A component declares its search space next to its code; `labelweave tune` joins those that a study
uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labelweave.errors import LabelweaveError


@dataclass(frozen=True)
class Uniform:
    """A number from `low` to `high`, all alike; with `log` all orders of magnitude alike."""

    low: float
    high: float
    log: bool = False

    def narrowed(self, place: str, found: Any) -> "Uniform | Choice":
        """Return the range that a study file narrows this one to, or the one value it fixes.

        Raises:
            LabelweaveError: neither a number nor a list of two, the smaller one first.
        """
        if _number(found):
            return Choice((found,))
        if isinstance(found, list) and len(found) == 2 and all(map(_number, found)):
            low, high = map(float, found)
            if low < high and (low > 0 or not self.log):
                return Uniform(low, high, self.log)
        kind = "two numbers above 0" if self.log else "two numbers"
        raise LabelweaveError(
            f"{place}: found {found!r}, expected {kind}, the smaller one first, or one number"
        )

    def ends(self) -> tuple[Any, ...]:
        """Return values such that if all of these are valid, all of the range are."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """One of some values: anything that JSON can hold."""

    values: tuple[Any, ...]

    def narrowed(self, place: str, found: Any) -> "Choice":
        """Return the choice that a study file narrows this one to: a list of values, or one.

        Raises:
            LabelweaveError: an empty list.
        """
        # of options that are lists themselves, a list of lists is several values
        listed = isinstance(self.values[0], list)
        several = isinstance(found, list) and (
            not listed or (bool(found) and isinstance(found[0], list))
        )
        values = tuple(found) if several else (found,)
        if not values or values == ([],):
            raise LabelweaveError(f"{place}: found an empty list, expected at least one value")
        return Choice(values)

    def ends(self) -> tuple[Any, ...]:
        """Return all values."""
        return self.values

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


def log_uniform(low: float, high: float) -> Uniform:
    """Return the range from `low`, above 0, to `high` with all orders of magnitude alike."""
    return Uniform(low, high, log=True)


Range = Uniform | Choice
Space = Mapping[str, Range]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
