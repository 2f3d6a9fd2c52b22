"""Calls on the workers of a Dask cluster, whose data lie in a folder that all of them see."""

import contextlib
import hashlib
import logging
import pickle
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from filelock import FileLock

import labelweave
from labelweave._files import make_folder, replacing
from labelweave.errors import LabelweaveError, LabelweaveWarning, TrainingError, missing_package
from labelweave.experiments._engines import Plan

if TYPE_CHECKING:
    from distributed import Client, Worker

T = TypeVar("T")
ADDRESS = re.compile(r"(tcp|tls|ws|wss)://\S+")
SMALL = 2**16  # bytes of an array that are sent; larger ones go through the folder
FILES = "cluster"  # the folder of the large ones, each named by the hash of its content
WAIT = 20  # seconds for the scheduler to answer
BACK = 60  # seconds for one that was lost to be there again
KILLED = (
    "its worker was killed again and again, perhaps for lack of memory; give the workers more "
    "memory"
)


@dataclass(frozen=True)
class DaskCluster:
    """The workers of a Dask cluster.

    Every call is a future, keyed by its name and the hash of its arguments. Large arrays are
    written once to the study's folder and mapped into memory by the workers, so all machines must
    see this folder under the same path. Two workers never make the same call at the same time.

    Attributes:
        scheduler: the address of its scheduler, for example ``tcp://10.0.0.1:8786``.

    Raises:
        LabelweaveError: another kind of address.
    """

    scheduler: str

    def __post_init__(self) -> None:
        if ADDRESS.fullmatch(self.scheduler) is None:
            raise LabelweaveError(
                f"--scheduler: found '{self.scheduler[:80]}', expected an address such as "
                "tcp://10.0.0.1:8786"
            )

    def calls(
        self, call: Callable[..., T], given: Sequence[tuple[Any, ...]], plan: Plan
    ) -> Iterator[tuple[int, T]]:
        """Give the number and the result of every call, as it ends; see `Engine`.

        Raises:
            LabelweaveError: no scheduler answers, it is lost and not back in a minute, or a worker
                cannot take part: another version, several threads, or it does not see the folder.
            TrainingError: the worker of some call was killed again and again; the others ended.
        """
        waiting, fruitless = dict(enumerate(given)), 0
        while waiting:
            before = len(waiting)
            try:
                with self._connected() as client:
                    for number, found in self._collected(client, call, waiting, plan):
                        del waiting[number]
                        yield number, found
            except _LostError:
                fruitless = fruitless + 1 if len(waiting) == before else 0
                if waiting and (fruitless > 1 or not self._back(plan, len(waiting))):
                    raise LabelweaveError(
                        f"the Dask scheduler at {self.scheduler} was lost; what has ended is kept "
                        f"in {plan.folder}, and the same command goes on"
                    ) from None

    def _back(self, plan: Plan, left: int) -> bool:
        """Return whether a lost scheduler answers again."""
        lost = f"the Dask scheduler at {self.scheduler} was lost"
        text = f"{plan.title.format(lost, left)} go on if it is back within {BACK} seconds"
        warnings.warn(text, LabelweaveWarning, stacklevel=4)
        with contextlib.suppress(LabelweaveError), self._connected(BACK):
            return True
        return False

    @contextlib.contextmanager
    def _connected(self, wait: float = WAIT) -> Iterator["Client"]:
        try:
            from distributed import Client
        except ImportError as error:
            raise missing_package("a Dask cluster", error, "cluster") from None
        for name in ("distributed", "distributed.client"):  # a lost scheduler is one line
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="distributed")  # versions of other packages
            try:
                client = Client(self.scheduler, timeout=wait, set_as_default=False)
            except (OSError, ValueError, ImportError) as error:
                reason = str(error).strip().splitlines()[0]
                raise LabelweaveError(
                    f"no Dask scheduler answers at {self.scheduler}: {reason}"
                ) from None
        try:
            yield client
        finally:
            client.close(timeout=2)

    def _collected(
        self,
        client: "Client",
        call: Callable[..., T],
        waiting: Mapping[int, tuple[Any, ...]],
        plan: Plan,
    ) -> Iterator[tuple[int, T]]:
        from distributed import CancelledError, KilledWorker, as_completed

        needs = Needs(str(plan.folder.resolve()), str(Path.cwd()), labelweave.__version__)
        self._check_workers(client, needs, plan)
        packer, futures = Packer(plan.folder.resolve() / FILES), {}
        for number, each in waiting.items():
            name, packed = plan.names[number], packer.pack((call, each))
            key = f"{name}-{packed.key(needs)}"
            futures[client.submit(_called, packed, name, needs, key=key)] = number
        killed = 0
        try:
            for future in as_completed(futures, loop=client.loop):
                try:
                    found = future.result()
                except KilledWorker:
                    killed += 1
                    continue
                except CancelledError:
                    raise _LostError from None
                except ImportError as error:
                    raise LabelweaveError(
                        f"a Dask worker at {self.scheduler}: labelweave cannot be imported there "
                        f"({error})"
                    ) from None
                except OSError as error:
                    if future.status != "error":
                        raise
                    raise LabelweaveError(f"a Dask worker at {self.scheduler}: {error}") from None
                yield futures[future], found
                future.release()
        except OSError:  # the connection
            raise _LostError from None
        finally:
            client.cancel(list(futures))
        if killed:
            raise TrainingError(KILLED)

    def _check_workers(self, client: "Client", needs: "Needs", plan: Plan) -> None:
        found = client.run(reason_against, needs, on_error="return")
        if not found:
            text = plan.title.format(f"{self.scheduler} has no worker yet", "the")
            warnings.warn(f"{text} wait for one", LabelweaveWarning, stacklevel=5)
        for worker, reason in found.items():
            if isinstance(reason, Exception):
                reason = f"labelweave cannot be imported there ({reason})"
            if reason is not None:
                raise LabelweaveError(f"Dask worker {worker}: {reason}")


class _LostError(Exception):
    """The scheduler no longer answers."""


def remove_files(folder: Path) -> None:
    """Remove what was written to a study's folder for the workers of a cluster."""
    shutil.rmtree(folder / FILES, ignore_errors=True)


@dataclass(frozen=True)
class Needs:
    """What a worker must have.

    Attributes:
        folder: the study's folder, absolute.
        place: the folder that relative paths start from.
        version: of labelweave.
    """

    folder: str
    place: str
    version: str


def reason_against(needs: Needs, dask_worker: "Worker | None" = None) -> str | None:
    """Return why this worker cannot take part, or None; Dask names itself outside of a call."""
    from distributed import get_worker

    threads = (dask_worker or get_worker()).state.nthreads
    if labelweave.__version__ != needs.version:
        return f"found labelweave {labelweave.__version__}, expected {needs.version}"
    if threads != 1:
        return f"found {threads} threads, expected 1: start it with --nthreads 1"
    for path in (needs.place, needs.folder):
        if not Path(path).is_dir():
            return f"{path}: no such folder there, expected one that all machines share"
    return None


@dataclass(frozen=True)
class Packed:
    """A call and its arguments.

    Attributes:
        small: the pickle, without its large arrays.
        large: the names of their files, in order.
    """

    small: bytes
    large: tuple[str, ...]

    def key(self, needs: Needs) -> str:
        """Return a hash of what is called, in which folder."""
        content = repr((needs.folder, self.large)).encode() + self.small
        return hashlib.blake2b(content, digest_size=8).hexdigest()

    def open(self, folder: Path) -> Any:
        """Return what was packed; large arrays are mapped from their files, read-only."""
        maps = [np.memmap(folder / name, np.uint8, mode="r") for name in self.large]
        return pickle.loads(self.small, buffers=maps)


class Packer:
    """Pickles arguments, and writes their large arrays to files named by the hash of the content.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[tuple[int, int], str] = {}  # by address and size

    def pack(self, given: Any) -> Packed:
        """Return the pickle; what was packed before must still be alive.

        Raises:
            WriteError: a file cannot be written.
        """
        large: list[str] = []

        def keep(buffer: pickle.PickleBuffer) -> bool:
            with buffer.raw() as view:
                if view.nbytes < SMALL:
                    return True  # stays in the pickle
                large.append(self._file_of(view))
            return False

        return Packed(pickle.dumps(given, protocol=5, buffer_callback=keep), tuple(large))

    def _file_of(self, view: memoryview) -> str:
        bytes_ = np.frombuffer(view, np.uint8)
        at = bytes_.__array_interface__["data"][0], view.nbytes
        if at not in self.written:
            name = self.written[at] = hashlib.blake2b(view, digest_size=16).hexdigest()
            path = self.folder / name
            if not path.exists():
                make_folder(self.folder)
                with replacing(path) as temporary:
                    temporary.write_bytes(view)
        return self.written[at]


def _called(packed: Packed, name: str, needs: Needs) -> Any:
    """Make a call on a worker."""
    reason = reason_against(needs)
    if reason is not None:  # it came after the others were asked
        from distributed import get_worker

        raise LabelweaveError(f"Dask worker {get_worker().address}: {reason}")
    files = Path(needs.folder) / FILES
    make_folder(files)
    with contextlib.chdir(needs.place), contextlib.ExitStack() as held:
        # one that the scheduler has given up may still be at it: wait until it ends
        with contextlib.suppress(OSError, NotImplementedError):  # no locks here
            held.enter_context(FileLock(files / f"{name}.lock"))
        call, given = packed.open(files)
        return call(*given)
