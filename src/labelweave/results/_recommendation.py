"""The recommendation in results: which method to use, whether to join, and what that rests on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labelweave._messages import Text

Joining = Literal[
    "join", "join some", "no gain shown", "do not join", "contradictory", "cannot tell"
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """On which tasks a method gains, harms or has too little data, with an example.

    Attributes:
        method: the method.
        gains: tasks with a gain.
        harmed: tasks with negative transfer.
        unclear: tasks without enough data.
        example: the task of the largest gain, or of the largest change where nothing is a gain;
            None = no task can be compared.
    """

    method: str
    gains: tuple[str, ...] = ()
    harmed: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    example: str | None = None


@dataclass(frozen=True)
class ControlAhead:
    """A control that has a higher mean than the recommended method: on how many tasks, where clear.

    Attributes:
        control: its name.
        tasks: number of tasks with a higher mean.
        apart: tasks on which the intervals do not overlap.
    """

    control: str
    tasks: int
    apart: tuple[str, ...] = ()


@dataclass(frozen=True)
class BlindSpot:
    """The least change that the study could have detected where a method shows none.

    Attributes:
        method: the best coupled method.
        tasks: number of tasks without a shown change.
        task: the one with the largest such change.
        detectable: that change, in the metric's unit; None = no possible change is so large.
        room: the largest possible gain on that task.
        labels: its test labels.
        seeds: its seeds.
    """

    method: str
    tasks: int
    task: str
    detectable: float | None
    room: float | None = None
    labels: int | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class KeyFigure:
    """One of the three figures: ``accuracy``, ``labels`` or ``cost``.

    Attributes:
        key: which.
        unit: fraction, points, labels, times, or a currency "a year".
        mean: the figure; None = not measured.
        low: lower end of its interval.
        high: upper end of its interval.
        assumption: what it depends on.
    """

    key: str
    unit: str = ""
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    assumption: Text = ""


@dataclass(frozen=True)
class Finding:
    """A reason or a risk that does not follow from the fields: key and values of its text."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recommendation:
    """Which method to use, whether to join the tasks, and what that rests on.

    Attributes:
        method: the method to use.
        shown: the method that figures are about: `method`, or the best coupled one next to a
            baseline.
        best: the coupled method with the highest mean; None = none has data.
        verdict: whether to join.
        compared: whether the baseline has results to compare `best` with.
        means: mean main metric of the baseline and the coupled methods, over common tasks.
        of_best: outcome of `best`.
        of_method: outcome of `method`; None = it is the baseline.
        ruled_out: methods with negative transfer, and the tasks.
        networks: of `method` and of the baseline, where it takes fewer.
        shuffled: mean of shuffled_relations, where it does as well as `method`.
        controls: controls with a higher mean than `method` on some task.
        blind_spot: what the study could not have detected.
        figures: gain in accuracy, labels saved, running cost.
        held_out_rows: training rows, held out, that the choice rests on; 0 = on the test rows.
        equal: less simple methods that the rows show to be as good.
        reasons: more reasons.
        risks: more risks.
    """

    method: str
    shown: str
    best: str | None = None
    verdict: Joining = "cannot tell"
    compared: bool = False
    means: Mapping[str, float] = field(default_factory=dict)
    of_best: Outcome | None = None
    of_method: Outcome | None = None
    ruled_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    networks: tuple[int, int] | None = None
    shuffled: float | None = None
    controls: tuple[ControlAhead, ...] = ()
    blind_spot: BlindSpot | None = None
    figures: tuple[KeyFigure, ...] = ()
    held_out_rows: int = 0
    equal: tuple[str, ...] = ()
    reasons: tuple[Finding, ...] = ()
    risks: tuple[Finding, ...] = ()

    @property
    def undecided(self) -> bool:
        """Whether the study does not decide: `method` is then only what held-out rows prefer."""
        return self.verdict in {"cannot tell", "contradictory"}
