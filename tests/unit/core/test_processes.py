"""Worker processes of a command that is killed, at every moment of their lives."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE = 60  # seconds; only a machine that is very busy takes nearly as long
LONG = 600  # what a worker would do if nothing ended it
COMMAND = """
import sys
sys.path.insert(0, {folder!r})
from joblib import delayed
from labelweave._processes import worker_pool
import {module}
list(worker_pool(2)(delayed({module}.work)(number) for number in range(2)))
"""
# whatever a worker does: it says who it is, and stays
LOADS = """
import os, pathlib, time
if "LokyProcess" in open("/proc/self/cmdline").read():
    pathlib.Path({folder!r}, f"{{os.getpid()}}.worker").touch()
    time.sleep({long})
def work(number): ...
"""
WORKS = """
import os, pathlib, time
def work(number):
    pathlib.Path({folder!r}, f"{{os.getpid()}}.worker").touch()
    time.sleep({long})
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def children(process: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == process and b"LokyProcess" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["begins", "loads", "works"])
def test_workers_end_with_their_command_whatever_they_do(tmp_path: Path, moment: str) -> None:
    """Killed while they begin, while they load what a call needs, and while they work."""
    text = (WORKS if moment == "works" else LOADS).format(folder=str(tmp_path), long=LONG)
    (tmp_path / f"a_module_that_{moment}.py").write_text(text, encoding="utf-8")
    command = COMMAND.format(folder=str(tmp_path), module=f"a_module_that_{moment}")
    process = subprocess.Popen([sys.executable, "-c", command])
    try:
        deadline = time.monotonic() + PATIENCE
        while not (workers := children(process.pid)) or (
            moment != "begins" and len(list(tmp_path.glob("*.worker"))) < 2
        ):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < deadline, "a worker outlives its command"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
