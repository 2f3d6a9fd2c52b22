"""Trackers by name."""

from importlib.util import find_spec

from labelweave.tracking.mlflow_store import MLflow
from labelweave.tracking.tensorboard_events import TensorBoard

TRACKERS: dict[str, type[TensorBoard] | type[MLflow]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
}


def missing_packages(name: str) -> tuple[str, ...]:
    """Return the packages that a tracker needs and that are not installed."""
    return tuple(each for each in TRACKERS[name].packages if find_spec(each) is None)
