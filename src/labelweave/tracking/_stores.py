"""Trackers by name."""

import io
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from labelweave._files import make_folder, replacing
from labelweave.tracking._runs import FinishedRun

SQLITE = "sqlite:///"
TAG = "labelweave.run"
METRICS, PARAMS = 1000, 100  # what MLflow takes in one call


class MLflow:
    """Keeps each run in an MLflow store: ``mlflow ui --backend-store-uri sqlite:///.../mlflow.db``.

    A run of which a killed process wrote only a part is completed by the next call.

    Args:
        folder: the study's folder of results.
        study: the study's name.
        uri: of the store; default: the SQLite file ``mlflow.db`` in `folder`.
        experiment: MLflow's experiment; default: the study's name.
    """

    packages: ClassVar = ("mlflow", "sqlalchemy", "alembic")  # the last two: for SQLite stores
    options: ClassVar = ("uri", "experiment")

    def __init__(
        self, folder: Path, study: str, uri: str | None = None, experiment: str | None = None
    ) -> None:
        self.uri = uri or f"{SQLITE}{(folder / 'mlflow.db').resolve().as_posix()}"
        self.artifacts = folder / "mlflow-artifacts"  # MLflow's default is where one happens to be
        self.experiment = experiment or study

    def has(self, name: str) -> bool:
        """Return whether the store has this run, whole."""
        return name in self._known and self._known[name].info.status == "FINISHED"

    def write(self, run: FinishedRun) -> None:
        """Add the run to the store, or complete it there."""
        from mlflow.entities import Metric, Param

        ended = int(run.ended * 1000)
        if run.name not in self._known:
            self._known[run.name] = self._client.create_run(
                self._experiment,
                start_time=ended - int(run.seconds * 1000),
                run_name=run.name,
                tags={TAG: run.name, "method": run.method, "study": run.study},
            )
        run_id = self._known[run.name].info.run_id
        values = [*run.curve.items(), (max(run.curve, default=0), run.final())]
        names = _accepted(name for _, at in values for name in at)
        # the same time for all: a second call then changes nothing that is there
        metrics = [
            Metric(names[name], value, ended, step)
            for step, at in values
            for name, value in at.items()
        ]
        named = _accepted(run.params())
        params = [Param(named[name], str(value)) for name, value in run.params().items()]
        for start in range(0, len(params), PARAMS):
            self._client.log_batch(run_id, params=params[start : start + PARAMS])
        for start in range(0, len(metrics), METRICS):
            self._client.log_batch(run_id, metrics=metrics[start : start + METRICS])
        self._client.set_terminated(run_id, "FINISHED", ended)
        self._known[run.name] = self._client.get_run(run_id)

    @cached_property
    def _client(self) -> Any:
        os.environ.setdefault(
            "MLFLOW_DISABLE_TELEMETRY", "true"
        )  # nothing leaves the machine unasked
        from mlflow.tracking import MlflowClient

        with _quiet():  # creating a store's tables logs many lines
            return MlflowClient(tracking_uri=self.uri)

    @cached_property
    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        place = self.artifacts.resolve().as_uri() if self.uri.startswith(SQLITE) else None
        return str(self._client.create_experiment(self.experiment, artifact_location=place))

    @cached_property
    def _known(self) -> dict[str, Any]:
        """The runs of labelweave that the experiment has, by name."""
        found: dict[str, Any] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs([self._experiment], page_token=token)
            for run in page:
                if TAG in run.data.tags:
                    found[run.data.tags[TAG]] = run
            token = page.token
            if not token:
                return found


def _accepted(names: Iterable[str] | Mapping[str, Any]) -> dict[str, str]:
    """Return for every name one that MLflow accepts, all different."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = re.sub(r"[^/\w.\- :]", "_", name.replace("->", " to "))
        while plain in found.values():
            plain += "_"
        found[name] = plain
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


EVENTS = "events.out.tfevents.labelweave"  # TensorBoard looks for the word in the middle


class TensorBoard:
    """Keeps each run as an event file: ``tensorboard --logdir <study's folder>/tensorboard``.

    Scalars over the steps; parameters and test metrics are in the HPARAMS table. The files are
    written by TensorBoard's own records, but whole and under a fixed name, which shows that a run
    is kept and does not hold the machine's.

    Args:
        folder: the study's folder of results.
        study: the study's name.
    """

    packages: ClassVar = ("tensorboard",)
    options: ClassVar = ()

    def __init__(self, folder: Path, study: str) -> None:
        self.folder = folder / "tensorboard"

    def has(self, name: str) -> bool:
        """Return whether the run's event file is there."""
        return (self.folder / name / EVENTS).exists()

    def write(self, run: FinishedRun) -> None:
        """Write the run's event file."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.record_writer import RecordWriter

        last = max(run.curve, default=0)
        events = [
            Event(wall_time=run.ended, file_version="brain.Event:2"),
            Event(wall_time=run.ended, summary=hparams_pb(run.params(), trial_id=run.name)),
        ]
        for step, values in [*run.curve.items(), (last, run.final())]:
            scalars = [Summary.Value(tag=tag, simple_value=v) for tag, v in values.items()]
            events.append(Event(wall_time=run.ended, step=step, summary=Summary(value=scalars)))
        content = io.BytesIO()
        records = RecordWriter(content)
        for event in events:
            records.write(event.SerializeToString())
        path = self.folder / run.name / EVENTS
        make_folder(path.parent)
        with replacing(path) as temporary:
            temporary.write_bytes(content.getvalue())


TRACKERS: dict[str, type[TensorBoard] | type[MLflow]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
}


def missing_packages(name: str) -> tuple[str, ...]:
    """Return the packages that a tracker needs and that are not installed."""
    return tuple(each for each in TRACKERS[name].packages if find_spec(each) is None)
