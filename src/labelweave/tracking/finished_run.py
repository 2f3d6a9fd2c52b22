"""What trackers are told of a run, and what a tracker is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Metrics = Mapping[str, Mapping[str, float | None]]
Setting = str | int | float | bool


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended well.

    Attributes:
        name: the name of its folder, which no other run of the study has.
        study: the study's name.
        arm: the arm.
        seed: the seed.
        key: hash of everything that the result depends on.
        seconds: training time.
        ended: when it ended, in seconds since 1970.
        parameters: number of trained weights.
        networks: number of trained networks.
        labels: by task the number of labelled training rows.
        settings: of network and training, by key of the study file (``training.steps``).
        metrics: by task the metrics on the test rows; None = no data.
        curve: by step the values then: ``raw/<term>`` and ``weighted/<term>`` of the loss,
            ``validation/<task>`` and ``learning_rate``.
    """

    name: str
    study: str
    arm: str
    seed: int
    key: str
    seconds: float
    ended: float
    parameters: int
    networks: int
    labels: Mapping[str, int]
    settings: Mapping[str, Setting]
    metrics: Metrics
    curve: Mapping[int, Mapping[str, float]]

    def params(self) -> dict[str, Setting]:
        """Return what a table of runs shows of this one besides its metrics, by name."""
        return {
            "study": self.study,
            "arm": self.arm,
            "seed": self.seed,
            "key": self.key,
            "parameters": self.parameters,
            "networks": self.networks,
            **{f"labels.{task}": count for task, count in self.labels.items()},
            **self.settings,
        }

    def final(self) -> dict[str, float]:
        """Return ``test/<task>/<metric>`` where there is data, and ``seconds``."""
        tested = {
            f"test/{task}/{metric}": value
            for task, of_task in self.metrics.items()
            for metric, value in of_task.items()
            if value is not None
        }
        return tested | {"seconds": self.seconds}


class Tracker(Protocol):
    """Keeps finished runs, each once.

    A run is told whole, at its end: an interrupted one then appears once, with its whole curve, and
    only the study's own process writes, whatever the number of workers.
    """

    def has(self, name: str) -> bool:
        """Return whether the run of this name is kept already, whole."""
        ...

    def write(self, run: FinishedRun) -> None:
        """Keep a run; after a failure the same call may come again."""
        ...
