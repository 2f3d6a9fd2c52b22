"""Where finished runs are shown: a JSON-lines file always, TensorBoard and MLflow when asked."""

from labelweave.tracking._runs import FinishedRun, RunsFile, Tracker
from labelweave.tracking._stores import TRACKERS, MLflow, TensorBoard

__all__ = [
    "TRACKERS",
    "FinishedRun",
    "MLflow",
    "RunsFile",
    "TensorBoard",
    "Tracker",
]
