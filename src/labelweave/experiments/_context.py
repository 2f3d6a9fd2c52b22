"""What every step of a study needs to know: settings, data, folder, processes."""

from dataclasses import dataclass, field
from pathlib import Path

from labelweave.experiments._config import StudyConfig
from labelweave.experiments._engines import Engine, LocalProcesses
from labelweave.experiments._loading import StudyData
from labelweave.experiments._tracking import Tracking


@dataclass(frozen=True)
class StudyContext:
    """A study at work: made when its folder is locked, handed to every step.

    It stays in the process that holds the folder; workers get what they need of it.

    Attributes:
        config: the study's settings.
        data: its data.
        folder: where its runs and results are.
        tracking: notes every finished run.
        engine: where runs are trained.
        progress: show a bar when on a terminal.
        root: what paths in the settings are relative to.
        formulas: CSV files hold cells that start a formula as they are.
    """

    config: StudyConfig
    data: StudyData
    folder: Path
    tracking: Tracking
    engine: Engine = field(default_factory=LocalProcesses)
    progress: bool = False
    root: Path = Path()
    formulas: bool = False
