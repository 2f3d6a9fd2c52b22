"""The file that every study has: one JSON line a run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labelweave._files import read_text, unreadable, write_text
from labelweave.errors import LabelweaveError

Metrics = Mapping[str, Mapping[str, float | None]]
Setting = str | int | float | bool


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended well.

    Attributes:
        name: the name of its folder, which no other run of the study has.
        study: the study's name.
        method: the method.
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
    method: str
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
            "method": self.method,
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

    A run is recorded at its end: an interrupted one then appears once, with its whole curve, and
    only the study's own process writes, whatever the number of workers.
    """

    def has(self, name: str) -> bool:
        """Return whether the run of this name is kept already, whole."""
        ...

    def write(self, run: FinishedRun) -> None:
        """Keep a run; after a failure the same call may come again."""
        ...


class RunsFile:
    """Keeps runs in a JSON-lines file, in the order in which they ended.

    A line has ``run`` (the name of its folder), ``method``, ``seed``, ``key``, ``seconds``,
    ``parameters``, ``networks``, ``labels`` (by task the labelled training rows) and ``metrics``
    (by task, on the test rows; null = no data).

    Args:
        path: the file; need not be there.

    Raises:
        LabelweaveError: the file is there and holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[str, str] = {}
        try:
            for line in read_text(path).splitlines():
                self._lines[json.loads(line)["run"]] = line
        except FileNotFoundError:
            pass
        except OSError as error:
            raise unreadable(path, error) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            number = len(self._lines) + 1
            raise LabelweaveError(
                f"{path}: line {number} is not a run, expected JSON with the key 'run'; remove the "
                "file to have it written anew"
            ) from None

    def has(self, name: str) -> bool:
        """Return whether the file has a line of this run."""
        return name in self._lines

    def write(self, run: FinishedRun) -> None:
        """Add a line; the file is replaced whole."""
        line = {
            "run": run.name,
            "method": run.method,
            "seed": run.seed,
            "key": run.key,
            "seconds": round(run.seconds, 3),
            "parameters": run.parameters,
            "networks": run.networks,
            "labels": dict(run.labels),
            "metrics": {task: dict(of_task) for task, of_task in run.metrics.items()},
        }
        lines = self._lines | {run.name: json.dumps(line)}
        write_text(self.path, "".join(f"{each}\n" for each in lines.values()))
        self._lines = lines
