"""The section of a study file on tuning."""

from typing import Any

from pydantic import Field

from labelweave.study.section import Section


class TuneSection(Section):
    """What ``labelweave tune`` searches ([tuning.md](tuning.md)); nothing else looks at it.

    Attributes:
        arm: the arm to be tuned; default: the last of the study's joint arms.
        trials: settings to try; the same command goes on where it stopped.
        seeds: of the study's seeds the number that every setting is trained with.
        search: dotted key to the two ends of a range, a list of values, one value, or false = the
            key, or all that begins with it, is not searched, for example
            ``{training.learning_rate: [0.001, 0.01], network: false}``.
        penalty: how much the loss on the worst task counts beside the mean gain of all tasks.
        pruning: end a training that is below the median of the others at the same point.
        seed: of the search.
    """

    arm: str | None = None
    trials: int = Field(default=50, ge=1)
    seeds: int = Field(default=1, ge=1)
    search: dict[str, Any] = Field(default={})
    penalty: float = Field(default=1.0, ge=0)
    pruning: bool = True
    seed: int = Field(default=0, ge=0)
