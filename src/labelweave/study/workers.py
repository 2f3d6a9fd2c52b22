"""Jobs side by side, each in a process of its own, that outlive the death of a process."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed

from labelweave.errors import LabelweaveWarning, TrainingError
from labelweave.study.orphan import end_with

KILLED = "its process was killed, perhaps for lack of memory; try fewer processes (--jobs 1)"
T = TypeVar("T")


def side_by_side(
    call: Callable[..., T], given: Sequence[tuple[Any, ...]], jobs: int | None, told: str
) -> Iterator[tuple[int, T]]:
    """Give the number and the result of every call, as it ends.

    When the system kills a process all of them are lost: what has not ended is called again in new
    ones, until two pools in a row end none. So a call must go on, or find its result, where one
    before it was killed.

    Args:
        call: what to call; one that is left has changed nothing but files.
        given: of every call its arguments.
        jobs: processes side by side; None = one a core.
        told: of which study what goes on, for a warning: "study 'a': {}; {} runs".

    Raises:
        TrainingError: processes were killed again and again.
    """
    waiting, chances = dict(enumerate(given)), 2
    while waiting:
        before = len(waiting)
        try:
            for number, found in _pooled(call, waiting, jobs):
                del waiting[number]
                yield number, found
            return
        except BrokenProcessPool:
            chances = chances - 1 if len(waiting) == before else 2
            if not chances:
                raise TrainingError(KILLED) from None
            if waiting:
                killed = "a worker process was killed, perhaps for lack of memory"
                message = f"{told.format(killed, len(waiting))} go on in new ones"
                warnings.warn(message, LabelweaveWarning, stacklevel=4)


def _pooled(
    call: Callable[..., T], waiting: dict[int, tuple[Any, ...]], jobs: int | None
) -> Iterator[tuple[int, T]]:
    workers = max(1, min(jobs or cpu_count(), len(waiting)))
    parallel = Parallel(
        n_jobs=workers,
        return_as="generator_unordered",
        inner_max_num_threads=1 if workers > 1 else None,
        backend="loky",
    )
    # a list: what has ended leaves `waiting` while the others are called
    calls = [
        delayed(_numbered)(number, call, each, os.getpid()) for number, each in waiting.items()
    ]
    found: Iterator[tuple[int, T]] = parallel(calls)
    yield from found


def _numbered(
    number: int, call: Callable[..., T], given: tuple[Any, ...], parent: int
) -> tuple[int, T]:
    end_with(parent)
    return number, call(*given)
