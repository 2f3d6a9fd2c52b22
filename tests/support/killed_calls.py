"""A call whose process is killed, in a module by itself: other processes import it."""

import os
import signal
from pathlib import Path


def die_once(folder: Path, number: int) -> None:
    """Kill the process of the first call with the number 2; the others note that they ended."""
    marker = folder / "killed"
    if number == 2 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with (folder / f"{number}.txt").open("a", encoding="utf-8") as file:
        file.write("called\n")
