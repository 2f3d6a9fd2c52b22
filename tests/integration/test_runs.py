import signal
import time
from pathlib import Path

import pytest
from study_example import write_study
from study_process import PATIENCE, started

from labelweave.experiments import Study

pytestmark = pytest.mark.slow

TRAINING = {"steps": 500, "batch_size": 32, "checkpoint_seconds": 0.05}


def predictions(folder: Path) -> dict[str, bytes]:
    found = folder.glob("runs/parts/runs/*/predictions.safetensors")
    return {file.parent.name: file.read_bytes() for file in found}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = write_study(tmp_path_factory.mktemp("unbroken"), training=TRAINING)
    Study.from_file(path).compare(jobs=1, progress=False)
    return predictions(path.parent)


def test_a_killed_study_goes_on_to_the_same_predictions(
    tmp_path: Path, unbroken: dict[str, bytes]
) -> None:
    path = write_study(tmp_path, training=TRAINING)
    with started(path, jobs=1) as process:
        process.send_signal(signal.SIGKILL)
    assert len(predictions(tmp_path)) < 2
    assert not (tmp_path / "runs" / "parts" / "results.json").exists()
    Study.from_file(path).run(jobs=1, progress=False)
    assert predictions(tmp_path) == unbroken
    assert not list(tmp_path.glob("runs/parts/runs/*.partial"))


@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_ends_the_workers_and_the_same_command_goes_on(
    tmp_path: Path, unbroken: dict[str, bytes]
) -> None:
    path = write_study(tmp_path, training=TRAINING)
    with started(path, jobs=2) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out.startswith("What a batch is made of:")
    assert "Report: " not in out
    assert err.strip() == "labelweave: interrupted; run the same command to resume"
    time.sleep(0.3)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/**/*.safetensors")}
    time.sleep(0.5)
    assert before == {file: file.stat().st_mtime_ns for file in before}, "a worker still runs"
    Study.from_file(path).run(jobs=1, progress=False)
    assert predictions(tmp_path) == unbroken
