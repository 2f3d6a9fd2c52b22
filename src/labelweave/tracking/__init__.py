"""Where finished runs are shown: a JSON-lines file always, TensorBoard and MLflow when asked."""

from labelweave.tracking.finished_run import FinishedRun, Tracker
from labelweave.tracking.mlflow_store import MLflow
from labelweave.tracking.registry import TRACKERS, missing_packages
from labelweave.tracking.runs_file import RunsFile
from labelweave.tracking.tensorboard_events import TensorBoard

__all__ = [
    "TRACKERS",
    "FinishedRun",
    "MLflow",
    "RunsFile",
    "TensorBoard",
    "Tracker",
    "missing_packages",
]
