"""Worker processes that end with the process that started them."""

import os
import threading
import time

INTERVAL = 0.2  # seconds; a command started again takes longer than that to begin its work


def end_with(parent: int) -> None:
    """Let this process, if it is not `parent` itself, end soon after `parent`, which started it.

    Without this the workers of a killed study would train on, beside those of the same command
    started again. Every file is written whole or not at all, so ending is always safe. On Windows
    nothing tells that the parent is gone.
    """
    if os.getpid() == parent or any(t.name == __name__ for t in threading.enumerate()):
        return
    threading.Thread(target=_watch, args=(parent,), name=__name__, daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)
