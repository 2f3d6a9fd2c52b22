"""The file that every study has: one JSON line a run."""

import json
from pathlib import Path

from labelweave.errors import LabelweaveError
from labelweave.files import write_text
from labelweave.tracking.finished_run import FinishedRun


class RunsFile:
    """Keeps runs in a JSON-lines file, in the order in which they ended.

    A line has ``run`` (the name of its folder), ``arm``, ``seed``, ``key``, ``seconds``,
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
            for line in path.read_text(encoding="utf-8").splitlines():
                self._lines[json.loads(line)["run"]] = line
        except FileNotFoundError:
            pass
        except OSError as error:
            raise LabelweaveError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
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
            "arm": run.arm,
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
