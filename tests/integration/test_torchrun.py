"""One training by two processes of torchrun, and its study; the same as by one process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from study_example import write_study
from torch import nn
from typer.testing import CliRunner

from labelweave.cli import app
from labelweave.errors import LabelweaveError, Stopped
from labelweave.experiments import Study, StudyConfig, read_study_file
from labelweave.experiments._runs import plan_run
from labelweave.experiments._torchrun import leading
from labelweave.fitting import find_method, fit
from labelweave.training import TrainingConfig, _loop
from labelweave.training._device import device_of
from labelweave.training._sharding import sharded

METHODS = ["single_task", "full"]
MULTI_TASK = find_method("multi_task")
STOPPED = 5  # of 20 evaluations
RANK = os.environ.get("RANK", "")
# settings of trainings with shared out weights
SHARDED: dict[str, dict[str, Any]] = {
    "gradients": {"weighting": "upgrad", "patience": 2, "steps": 30, "learning_rate": 0.05},
    "looks back": {"weighting": "famo", "steps": 9},
}
DISTRIBUTED = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="PyTorch without distributed"
)


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


def with_training(study: Study, **keys: Any) -> StudyConfig:
    training = TrainingConfig.model_validate(study.config.training.model_dump() | keys)
    return study.config.model_copy(update={"training": training})


def fit_stopped(study: Study, config: StudyConfig, folder: str) -> None:
    """Train a network and stop early; the checkpoint stays."""
    with pytest.raises(Stopped):
        fit(
            MULTI_TASK, study.first_split(), config, folder=study.output.parent / folder, watch=stop
        )


def fit_sharded(study: Study) -> None:
    """Train with shared out weights: from the start, and on from a checkpoint of whole ones."""
    split, place = study.first_split(), study.output.parent
    fit_stopped(study, with_training(study, strategy="fsdp"), "sharded")
    shutil.copytree(place / "stopped", place / f"resumed{RANK}")
    config = with_training(study, strategy="fsdp")
    found = {"resumed": fit(MULTI_TASK, split, config, folder=place / f"resumed{RANK}")}
    for name, keys in SHARDED.items():
        config = with_training(study, strategy="fsdp", **keys)
        copies: list[nn.Module] = []
        with patch.object(
            _loop, "sharded", lambda own, kept=copies: kept.append(sharded(own)) or kept[-1]
        ):
            found[name] = fit(MULTI_TASK, split, config)
        held = sum(weight.to_local().numel() for weight in copies[0].parameters())
        assert held < 0.7 * sum(weight.numel() for weight in copies[0].parameters())
    for name, model in found.items():  # every process has the same whole model
        np.savez(place / f"{name}-{RANK}.npz", **model.probabilities(split.test.inputs))


if __name__ == "__main__":  # in each of torchrun's processes
    study_file = Path(sys.argv[1])
    with leading(read_study_file(study_file).training) as engine:
        if engine is not None:
            Study.from_file(study_file).compare(engine=engine, progress=False)
    here = Study.from_file(study_file)
    fit_stopped(here, here.config, "stopped")
    fit_sharded(here)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return the study that two processes of `torchrun` have trained."""
    path = study_of(tmp_path_factory.mktemp("two") / "study", 2)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    paths = [str(Path(__file__).parents[1] / "support"), *sys.path]
    subprocess.run(
        [*command, __file__, str(path)],
        check=True,
        env={"PYTHONPATH": ":".join(paths), "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    return Study.from_file(path)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return the same study for this process."""
    return Study.from_file(study_of(tmp_path_factory.mktemp("one") / "study", 1))


@pytest.mark.slow
@DISTRIBUTED
def test_two_processes_train_as_one_and_one_goes_on_where_two_stopped(
    two: Study, one: Study
) -> None:
    one.compare(jobs=1, progress=False)
    split, place = one.first_split(), two.output.parent
    for method in METHODS:
        run = plan_run(method, split, split.fingerprint(), one.config, one.output)
        other = two.output / "runs" / run.folder.name
        together = type(run)(run.method, run.seed, run.key, other)
        for task, given in run.predictions().items():
            assert np.allclose(together.predictions()[task], given, atol=1e-4), (method, task)
        curve, joint = run.record()["curve"], together.record()["curve"]
        for term, losses in (curve or {"terms": {}})["terms"].items():
            assert np.allclose(joint["terms"][term], losses, atol=1e-5), (method, term)

    whole = fit(MULTI_TASK, split, one.config)
    for folder in ("stopped", "sharded"):
        resumed = fit(MULTI_TASK, split, one.config, folder=place / folder)
        for term, losses in whole.record.curve["terms"].items():
            assert np.allclose(resumed.record.curve["terms"][term], losses, atol=1e-5), term
        for task, given in whole.probabilities(split.test.inputs).items():
            assert np.allclose(resumed.probabilities(split.test.inputs)[task], given, atol=1e-4)


@pytest.mark.slow
@DISTRIBUTED
@pytest.mark.parametrize("name", ["resumed", *SHARDED])
def test_shared_out_weights_end_as_whole_ones(two: Study, one: Study, name: str) -> None:
    config = with_training(one, **SHARDED.get(name, {}))
    whole = fit(MULTI_TASK, one.first_split(), config).probabilities(one.first_split().test.inputs)
    for rank in range(2):
        with np.load(two.output.parent / f"{name}-{rank}.npz") as found:
            for task, given in whole.items():
                assert np.allclose(found[task], given, atol=1e-4), (rank, task)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"devices": 1}, "fsdp with one process; expected devices or nodes above 1"),
        ({"precision": "64-true"}, "fsdp with precision 64-true; expected one of 32-true, bf16-mi"),
        (
            {"weighting": {"cagrad": {"gradients": "parameters"}}},
            "fsdp with a weighting by gradients of parameters; expected 'gradients: features' or ",
        ),
    ],
)
def test_what_shared_out_weights_cannot_do_is_one_line(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"key 'strategy': {message}"):
        TrainingConfig(**({"strategy": "fsdp", "devices": 2} | keys))


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has it")
def test_half_precision_without_a_gpu_is_one_line() -> None:
    with pytest.raises(LabelweaveError) as caught:
        device_of(TrainingConfig(precision="16-mixed"))
    assert str(caught.value) == (
        "training: precision '16-mixed' needs a GPU; expected one of 32-true, bf16-mixed, "
        "bf16-true, 64-true on a CPU"
    )


def test_another_precision_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    device_of(TrainingConfig(precision="bf16-mixed", accelerator="cpu"))
    assert capfd.readouterr() == ("", "")


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
