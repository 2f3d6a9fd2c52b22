"""Processes side by side that end with the command that started them."""

import os
import threading
import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from joblib import Parallel

INTERVAL = 0.2  # seconds; a command started again takes longer than that to begin its work


def worker_pool(
    workers: int,
    return_as: Literal["generator", "generator_unordered"] = "generator_unordered",
    threads: int | None = None,
) -> "Parallel":
    """Return what runs joblib's delayed calls in processes that end with this one.

    Without this the workers of a killed study would train on, next to those of the same command
    started again. Every file is written whole or not at all, so ending is always safe. On Windows
    a process cannot see that its parent is gone.

    Args:
        workers: processes side by side; 1 = none but this one.
        return_as: the answers in the order of the calls, or as they come.
        threads: of numerical libraries in each process; None = the cores shared out.
    """
    from joblib import Parallel

    # the initializer is the first that a worker does: before it loads what the calls need
    watch = {"initializer": end_with, "initargs": (os.getpid(),)}
    return Parallel(
        n_jobs=workers,
        return_as=return_as,
        inner_max_num_threads=threads,
        backend="loky",
        **watch if workers > 1 else {},
    )


def end_with(parent: int) -> None:
    """Let this process end soon after `parent`, which started it, or at once where it is gone."""
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), name=__name__, daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)
