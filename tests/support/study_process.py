"""A study in a separate process, to be stopped in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COMMAND = [sys.executable, "-c", "from labelweave.cli import main; main()", "run"]
CHECKPOINT = "runs/*.partial/training/*/last.safetensors"
PATIENCE = 300  # seconds; only a machine that is very busy takes nearly as long


@contextmanager
def started(
    path: Path, jobs: int, until: str = CHECKPOINT, *, own_group: bool = False
) -> Iterator["subprocess.Popen[str]"]:
    """Run a study in a process, until a file of that pattern is in its folder of results."""
    output = path.parent / "runs" / "parts"
    process = subprocess.Popen(
        [*COMMAND, str(path), "--jobs", str(jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=own_group,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not list(output.glob(until)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        if own_group:
            kill_group(process)
        process.kill()
        process.communicate()


def kill_group(process: "subprocess.Popen[str]") -> None:
    """Kill -9 a study and all of its workers at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def workers_of(process: "subprocess.Popen[str]") -> list[int]:
    """Return the processes that train for a study."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == process.pid and b"LokyProcess" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found
