"""Files that are written whole or not at all."""

import errno
import json
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from labelweave.errors import LabelweaveError, LabelweaveWarning, WriteError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path next to `path` to write to; it replaces `path` when the block succeeds.

    No reader sees half a file, and an old one stays until the new one is whole.

    Raises:
        WriteError: the file cannot be written.
    """
    # always the same name, so that what a killed process left is overwritten
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(path) as temporary:
        # a name may hold half a surrogate pair, which UTF-8 cannot
        temporary.write_text(text, encoding="utf-8", errors="replace", newline="\n")


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where it is not there yet.

    Raises:
        WriteError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written by `replacing` in a folder."""
    for path in folder.glob(".*.partial"):
        path.unlink(missing_ok=True)


def unwritable(path: object, error: OSError) -> WriteError:
    """Return the error for a file or folder that cannot be written, in one line."""
    return WriteError(f"{path}: cannot be written ({error.strerror or error})")


LOCK = ".lock"  # what the system locks; empty
HOLDER = ".locked_by"  # who has the lock, as JSON for people; only while it is held
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder, made where needed, for this thread of this process until the block ends.

    The system frees the lock when the process dies, however it dies. A block inside a block on the
    same folder may enter. Where the file system has no locks a warning says so.

    Raises:
        LabelweaveError: another process (or thread) has the folder; names it, its machine, and
            since when.
        WriteError: the folder cannot be written.
    """
    make_folder(folder)
    # one object a path: it counts nested blocks, separately for each thread
    lock = FileLock(folder.resolve() / LOCK, timeout=0, is_singleton=True)
    outermost = not lock.is_locked
    _acquire(lock, folder)
    holder = folder / HOLDER
    try:
        if outermost:
            write_text(holder, json.dumps(_this_process()))
        yield
    finally:
        if outermost:
            with suppress(OSError):
                holder.unlink(missing_ok=True)
        lock.release()


def check_free(folder: Path) -> None:
    """Find before any work whether another process has a folder; makes no file.

    Raises:
        LabelweaveError: another process has it; see `locked`.
    """
    if (folder / LOCK).is_file():
        with locked(folder):
            pass


def _acquire(lock: BaseFileLock, folder: Path) -> None:
    try:
        lock.acquire()
    except Timeout:
        raise LabelweaveError(
            f"{folder}: in use by {_holder(folder)}; wait until it ends, or end it"
        ) from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise unwritable(folder / LOCK, error) from error
        reason = getattr(error, "strerror", None) or error
        warnings.warn(
            f"{folder}: this file system has no locks ({reason}); make sure that no other "
            "process works in this folder",
            LabelweaveWarning,
            stacklevel=4,
        )


def _this_process() -> dict[str, object]:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"process": os.getpid(), "host": platform.node(), "since": since}


def _holder(folder: Path) -> str:
    try:
        found = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {found['process']} on {found['host']} since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has just come, or is about to go
        return "another process"
