"""Runs for TensorBoard."""

import io
from pathlib import Path
from typing import ClassVar

from labelweave.files import make_folder, replacing
from labelweave.tracking.finished_run import FinishedRun

EVENTS = "events.out.tfevents.labelweave"  # TensorBoard looks for the word in the middle


class TensorBoard:
    """Keeps each run as an event file: ``tensorboard --logdir <study's folder>/tensorboard``.

    Scalars over the steps; parameters and test metrics are in the HPARAMS table. The files are
    written by TensorBoard's own records, but whole and under a fixed name, which tells that a run
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
