"""What joining the tasks did to each group of a named column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

GroupWord = Literal["gain", "negative transfer", "no difference", "not enough data"]


@dataclass(frozen=True, kw_only=True)
class GroupEffect:
    """The accuracy of a method and of the baseline on one group's test rows.

    Attributes:
        method: the joint method.
        question: the task, or ``task=label``.
        group: the value of the column.
        single: accuracy of the baseline; None = fewer than 10 labels.
        joint: accuracy of the method.
        difference: joint minus single.
        low: lower end of its interval; the intervals of a method hold together.
        high: upper end.
        n: test labels of all seeds; None = fewer than 10.
        verdict: not enough data below 20 labels.
    """

    method: str
    question: str
    group: str
    single: float | None = None
    joint: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    verdict: GroupWord = "not enough data"


@dataclass(frozen=True, kw_only=True)
class GroupEffects:
    """What each joint method changed for each group, against the baseline.

    Attributes:
        column: the column whose values are the groups.
        sizes: by group its test rows of all seeds; None = fewer than 10.
        effects: by method, question and group.
    """

    column: str
    sizes: Mapping[str, int | None]
    effects: tuple[GroupEffect, ...]

    def hurt(self, method: str) -> tuple[GroupEffect, ...]:
        """Return where a method is negative transfer for a group, whatever its mean gain is."""
        return tuple(
            each
            for each in self.effects
            if each.method == method and each.verdict == "negative transfer"
        )
