"""One training by two processes of torchrun, and its study; the same as by one process."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from study_example import write_study
from typer.testing import CliRunner

from labelweave.cli import app
from labelweave.errors import LabelweaveError, Stopped
from labelweave.experiments import Study, read_study_file
from labelweave.experiments._runs import plan_run
from labelweave.experiments._torchrun import leading
from labelweave.fitting import find_method, fit
from labelweave.training import TrainingConfig
from labelweave.training._device import device_of

METHODS = ["single_task", "full"]
STOPPED = 5  # of 20 evaluations


def study_of(folder: Path, devices: int) -> Path:
    """Write a study of 25 rows of one source and 120 of another: batches of 9 lack some labels."""
    training = {"steps": 60, "batch_size": 9, "devices": devices, "checkpoint_seconds": 1e-9}
    path = write_study(
        folder,
        training=training,
        network={"hidden": [8], "dropout": 0.0},
        methods=METHODS,
        split={"test": 40, "validation": 30},
    )
    pd.read_csv(folder / "a.csv")[:25].to_csv(folder / "a.csv", index=False)
    return path


def stop(evaluation: int, scores: Mapping[str, float | None]) -> None:
    if evaluation == STOPPED:
        raise Stopped


def fit_stopped(path: Path) -> None:
    """Train a network and stop early; the checkpoint stays."""
    study = Study.from_file(path)
    with pytest.raises(Stopped):
        fit(
            find_method("multi_task"), study.first_split(), study.config,
            folder=path.parent / "stopped", watch=stop,
        )  # fmt: skip


if __name__ == "__main__":  # in each of torchrun's processes
    study_file = Path(sys.argv[1])
    with leading(read_study_file(study_file).training) as engine:
        if engine is not None:
            Study.from_file(study_file).compare(engine=engine, progress=False)
    fit_stopped(study_file)


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without distributed")
def test_two_processes_train_as_one_and_one_goes_on_where_two_stopped(tmp_path: Path) -> None:
    two, one = study_of(tmp_path / "two", 2), study_of(tmp_path / "one", 1)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    paths = [str(Path(__file__).parents[1] / "support"), *sys.path]
    subprocess.run(
        [*command, __file__, str(two)],
        check=True,
        env={"PYTHONPATH": ":".join(paths), "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    study = Study.from_file(one)
    study.compare(jobs=1, progress=False)
    split = study.first_split()
    for method in METHODS:
        run = plan_run(method, split, split.fingerprint(), study.config, study.output)
        other = tmp_path / "two" / "runs" / "parts" / "runs" / run.folder.name
        together = type(run)(run.method, run.seed, run.key, other)
        for task, given in run.predictions().items():
            assert np.allclose(together.predictions()[task], given, atol=1e-4), (method, task)
        curve, joint = run.record()["curve"], together.record()["curve"]
        for term, losses in (curve or {"terms": {}})["terms"].items():
            assert np.allclose(joint["terms"][term], losses, atol=1e-5), (method, term)

    multi_task = find_method("multi_task")
    whole = fit(multi_task, split, study.config)
    resumed = fit(multi_task, split, study.config, folder=tmp_path / "two" / "stopped")
    assert len(resumed.record.curve["step"]) == len(whole.record.curve["step"])
    for task, given in whole.probabilities(split.test.inputs).items():
        assert np.allclose(resumed.probabilities(split.test.inputs)[task], given, atol=1e-4)


def test_several_devices_without_torchrun_are_one_line() -> None:
    with pytest.raises(LabelweaveError) as caught:
        device_of(TrainingConfig(devices=2, nodes=3))
    assert str(caught.value) == (
        "training: devices 2 x nodes 3: found 1 process(es), expected 6: start them with torchrun "
        "--nnodes 3 --nproc-per-node 2"
    )


def test_torchrun_for_a_study_of_one_device_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LabelweaveError, match=r"^training: devices 1 x nodes 1: found 2 process"):
        device_of(TrainingConfig())


def test_a_batch_has_a_row_for_every_process() -> None:
    with pytest.raises(ValueError, match=r"'batch_size': found 3, expected at least one row for "):
        TrainingConfig(batch_size=3, devices=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "dask"], "--engine dask: found no scheduler, expected --scheduler tcp://"),
        (["--scheduler", "tcp://a:1"], "--scheduler: found an address, expected it with --engine"),
        (["--engine", "dask", "--scheduler", "a:1"], "--scheduler: found 'a:1', expected an addr"),
    ],
)
def test_options_of_the_engine_that_do_not_fit_are_one_line(
    tmp_path: Path, options: list[str], message: str
) -> None:
    done = CliRunner().invoke(app, ["run", str(tmp_path / "study.yaml"), *options])
    assert isinstance(done.exception, LabelweaveError)
    assert str(done.exception).startswith(message)
