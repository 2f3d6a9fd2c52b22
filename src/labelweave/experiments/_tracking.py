"""Reports a study's runs to trackers as they end, each once."""

import json
import re
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from labelweave._files import read_text
from labelweave.errors import LabelweaveWarning
from labelweave.evaluation import evaluate
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._runs import RECORD, Run
from labelweave.fitting._split import Split
from labelweave.tracking import TRACKERS, FinishedRun, RunsFile, Tracker
from labelweave.tracking._runs import Setting
from labelweave.tracking._stores import SQLITE

RUNS_FILE = "runs.jsonl"


class Tracking:
    """The trackers of one study.

    A tracker that fails is named in a warning and left out until the next call, which reports
    what it missed: hours of training are not lost for a server that is down.

    Args:
        config: the study's settings.
        output: the study's folder of results.
        base: the folder that paths in the settings are relative to.

    Raises:
        LabelweaveError: ``runs.jsonl`` is there and holds something else.
    """

    def __init__(self, config: StudyConfig, output: Path, base: Path) -> None:
        self.config, self.study = config, output.name
        self.runs_file = RunsFile(output / RUNS_FILE)
        self.trackers: dict[str, Tracker] = {}
        for name, options in config.trackers():
            if "uri" in options:
                options["uri"] = _from_folder(options["uri"], base)
            self.trackers[name] = TRACKERS[name](output, self.study, **options)

    def note(self, run: Run, split: Split) -> None:
        """Report a run that is done to every tracker that does not know it yet.

        Args:
            run: the run.
            split: its data.

        Raises:
            WriteError: ``runs.jsonl`` cannot be written.
        """
        finished = cache(lambda: finished_run(run, split, self.config, self.study))
        if not self.runs_file.has(run.folder.name):
            self.runs_file.write(finished())
        for name, tracker in list(self.trackers.items()):
            try:
                if not tracker.has(run.folder.name):
                    tracker.write(finished())
            except Exception as error:  # whatever a package that is not ours raises
                del self.trackers[name]
                reason = str(error).strip().splitlines() or [type(error).__name__]
                warnings.warn(
                    f"tracking: {name} failed and is left out, the next call will report what it "
                    f"missed ({reason[0]})",
                    LabelweaveWarning,
                    stacklevel=3,
                )


def finished_run(run: Run, split: Split, config: StudyConfig, study: str) -> FinishedRun:
    """Return what trackers note of a run that is done."""
    record, predictions = run.record(), run.predictions()
    labels = split.test.annotations.labels
    settings = {"network": config.network.model_dump(), "training": config.training.model_dump()}
    return FinishedRun(
        name=run.folder.name,
        study=study,
        method=run.method,
        seed=run.seed,
        key=run.key,
        seconds=record["seconds"],
        ended=(run.folder / RECORD).stat().st_mtime,
        parameters=record["parameters"],
        networks=record["networks"],
        labels={
            task.name: int(split.train.annotations.labelled(task.name).sum())
            for task in split.train.annotations.tasks
        },
        settings=_flat(settings),
        metrics={
            task.name: evaluate(
                task, predictions[task.name], labels[task.name],
                record["thresholds"].get(task.name),
            )
            for task in split.test.annotations.tasks
        },
        curve=_curve(run.folder),
    )  # fmt: skip


def _curve(folder: Path) -> dict[int, dict[str, float]]:
    """Return the values of all networks of a run by step; their terms differ by name."""
    curve: dict[int, dict[str, float]] = {}
    logs = folder.glob("training/network*/log.jsonl")
    for log in sorted(logs, key=lambda path: int(re.sub(r"\D", "", path.parent.name))):
        for line in read_text(log).splitlines():
            record = json.loads(line)
            at = curve.setdefault(record["step"], {})
            at.setdefault("learning_rate", record["learning_rate"])
            for kind in ("raw", "weighted", "validation"):
                values = record.get(kind, {}).items()
                at |= {f"{kind}/{name}": value for name, value in values if value is not None}
    return dict(sorted(curve.items()))


def _flat(sections: Mapping[str, Any], prefix: str = "") -> dict[str, Setting]:
    """Return nested settings by their keys joined with dots; lists as text, None left out."""
    found: dict[str, Setting] = {}
    for name, value in sections.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            plain = isinstance(value, str | int | float | bool)
            found[prefix + name] = value if plain else json.dumps(value, default=str)
    return found


def _from_folder(uri: str, base: Path) -> str:
    """Return the URI with the path of a SQLite file taken from a folder."""
    path = uri.removeprefix(SQLITE)
    if path == uri or path.startswith("/") or re.match("[A-Za-z]:", path):
        return uri
    return SQLITE + (base / path).resolve().as_posix()
