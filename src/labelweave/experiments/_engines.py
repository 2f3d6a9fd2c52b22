"""Where the calls of a study run: one small interface, and the processes of this machine."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from joblib import cpu_count, delayed

from labelweave._processes import worker_pool
from labelweave.errors import LabelweaveError, LabelweaveWarning, TrainingError

KILLED = "its process was killed, perhaps for lack of memory; try fewer processes (--jobs 1)"
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """How calls are shown, and where their files are.

    Attributes:
        title: of a warning, with places for what happened and for how many calls are left:
            "study 'a': {}; {} runs".
        folder: where the calls read and write files.
        names: one a call, all different: what a call is known by on a cluster.
    """

    title: str
    folder: Path
    names: Sequence[str]


class Engine(Protocol):
    """Makes many calls of one function, at the same time, somewhere."""

    def calls(
        self, call: Callable[..., T], given: Sequence[tuple[Any, ...]], plan: Plan
    ) -> Iterator[tuple[int, T]]:
        """Give the number and the result of every call, as it ends.

        A call whose worker dies is made again. So it must go on, or find its result, where one
        before it was killed. Closing the iterator cancels what has not begun.

        Args:
            call: what to call, a function of a module; it leaves nothing but files and its result.
            given: of every call its arguments.
            plan: how they are shown, and where their files are.

        Raises:
            TrainingError: workers were killed again and again.
        """
        ...


@dataclass(frozen=True)
class LocalProcesses:
    """Processes of this machine.

    When the system kills a process all of them are lost: what has not ended is called again in new
    ones, until two pools in a row end none.

    Attributes:
        jobs: processes at the same time; None = one a core, 1 = this process.
    """

    jobs: int | None = None

    def calls(
        self, call: Callable[..., T], given: Sequence[tuple[Any, ...]], plan: Plan
    ) -> Iterator[tuple[int, T]]:
        """Give the number and the result of every call, as it ends; see `Engine`.

        Raises:
            TrainingError: processes were killed again and again.
        """
        waiting, chances = dict(enumerate(given)), 2
        while waiting:
            before = len(waiting)
            try:
                for number, found in self._pooled(call, waiting):
                    del waiting[number]
                    yield number, found
                return
            except BrokenProcessPool:
                chances = chances - 1 if len(waiting) == before else 2
                if not chances:
                    raise TrainingError(KILLED) from None
                if waiting:
                    killed = "a worker process was killed, perhaps for lack of memory"
                    message = f"{plan.title.format(killed, len(waiting))} go on in new ones"
                    warnings.warn(message, LabelweaveWarning, stacklevel=3)

    def _pooled(
        self, call: Callable[..., T], waiting: dict[int, tuple[Any, ...]]
    ) -> Iterator[tuple[int, T]]:
        workers = max(1, min(self.jobs or cpu_count(), len(waiting)))
        parallel = worker_pool(workers, threads=1 if workers > 1 else None)
        # a list: what has ended leaves `waiting` while the others are called
        calls = [delayed(_numbered)(number, call, each) for number, each in waiting.items()]
        found: Iterator[tuple[int, T]] = parallel(calls)
        yield from found


def _numbered(number: int, call: Callable[..., T], given: tuple[Any, ...]) -> tuple[int, T]:
    return number, call(*given)


def engine_of(jobs: int | None, engine: Engine | None) -> Engine:
    """Return the engine, or processes of this machine where none is given.

    Raises:
        LabelweaveError: both a number of processes and an engine were given.
    """
    if engine is None:
        return LocalProcesses(jobs)
    if jobs is not None:
        raise LabelweaveError(
            f"found both {jobs} processes and another engine, expected one of them: the workers of "
            "a cluster decide how many runs train at the same time"
        )
    return engine
