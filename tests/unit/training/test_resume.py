import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_setup import Setup, accuracy, assert_same, raise_once

from labelweave.training._checkpoint import load_tensors


@pytest.fixture(scope="module")
def unbroken():
    setup = Setup(evaluations=10)
    history = setup.fit(validate=accuracy)
    return setup.weights(), history.records


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "action",
    [lambda: signal.raise_signal(signal.SIGINT), interrupt],
    ids=["Ctrl-C", "raised while validating"],
)
@pytest.mark.parametrize("checkpoint_seconds", [1e-9, 1e9])
@pytest.mark.usefixtures("interrupts")
def test_a_resumed_run_ends_as_an_unbroken_one(tmp_path, unbroken, action, checkpoint_seconds):
    options = {"evaluations": 10, "checkpoint_seconds": checkpoint_seconds}
    with pytest.raises(KeyboardInterrupt):
        Setup(tmp_path, **options).fit(validate=raise_once(4, action))
    again = Setup(tmp_path, **options)
    history = again.fit(validate=accuracy)
    assert_same(again.weights(), unbroken[0])
    assert history.records == unbroken[1]


@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_between_two_records_loses_no_step(tmp_path, unbroken):
    broken = Setup(tmp_path, evaluations=10)
    draw = broken.batches.sampler

    def sampler(step):
        if step == 99:
            signal.raise_signal(signal.SIGINT)
        return draw(step)

    broken.batches.sampler = sampler
    with pytest.raises(KeyboardInterrupt):
        broken.fit(validate=accuracy)
    assert load_tensors(tmp_path / "last.safetensors")[1]["step"] == 100
    again = Setup(tmp_path, evaluations=10)
    assert again.fit(validate=accuracy).records == unbroken[1]
    assert_same(again.weights(), unbroken[0])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_finished_run_is_not_trained_again(tmp_path, unbroken):
    Setup(tmp_path, evaluations=10).fit(validate=accuracy)
    again = Setup(tmp_path, evaluations=10)
    again.batches = None
    history = again.fit(validate=accuracy)
    assert_same(again.weights(), unbroken[0])
    assert history.records == unbroken[1]


@pytest.mark.slow
def test_a_killed_process_is_resumed(tmp_path, unbroken):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import pathlib, time, torch; torch.set_num_threads(1)\n"
        "from training_setup import Setup, accuracy\n"
        "def slow(network):\n"
        "    time.sleep(0.1)\n"
        "    return accuracy(network)\n"
        "folder = pathlib.Path(sys.argv[2])\n"
        "Setup(folder, evaluations=10, checkpoint_seconds=1e-9).fit(validate=slow)\n"
    )
    arguments = [
        sys.executable,
        "-c",
        code,
        str(Path(__file__).parents[2] / "support"),
        str(tmp_path),
    ]
    process = subprocess.Popen(arguments, env={**os.environ, "OMP_NUM_THREADS": "1"})
    path = tmp_path / "last.safetensors"
    deadline = time.monotonic() + 300  # a busy machine takes long to import
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert 0 < load_tensors(path)[1]["step"] < 230
    again = Setup(tmp_path, evaluations=10)
    history = again.fit(validate=accuracy)
    assert_same(again.weights(), unbroken[0])
    assert history.records == unbroken[1]
