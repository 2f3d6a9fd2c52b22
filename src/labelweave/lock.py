"""One process at a time in a folder."""

import json
import os
import platform
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from labelweave.errors import LabelweaveError, LabelweaveWarning
from labelweave.files import make_folder, unwritable

NAME = ".lock"
FAR = 1 << 20  # Windows hides a locked byte from readers: lock one behind the text
_held = threading.local()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder, made where needed, for this process until the block ends.

    The system frees the lock when the process dies, however it dies. A block inside a block on the
    same folder is free to enter. Where the file system has no locks a warning says so.

    Raises:
        LabelweaveError: another process (or thread) has the folder; names it, its machine, and
            since when.
        WriteError: the folder cannot be written.
    """
    path = folder.resolve() / NAME
    held: set[Path] = _held.__dict__.setdefault("paths", set())
    if path in held:
        yield
        return
    make_folder(folder)
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise unwritable(folder / NAME, error) from error
    with file:
        _acquire(file, folder)
        _write(file, {"process": os.getpid(), "host": platform.node(), "since": _now()})
        held.add(path)
        try:
            yield
        finally:
            held.remove(path)
            _write(file, None)


def check_free(folder: Path) -> None:
    """Find before any work whether another process has a folder; makes no file.

    Raises:
        LabelweaveError: as of `locked`.
    """
    if (folder / NAME).is_file():
        with locked(folder):
            pass


def _acquire(file: IO[str], folder: Path) -> None:
    try:
        _lock(file)
    except BlockingIOError:
        raise LabelweaveError(
            f"{folder}: in use by {_holder(file)}; wait until it ends, or end it"
        ) from None
    except OSError as error:
        warnings.warn(
            f"{folder}: this file system has no locks ({error.strerror}); see to it that no other "
            "process works in this folder",
            LabelweaveWarning,
            stacklevel=4,
        )


def _lock(file: IO[str]) -> None:
    """Lock an open file until it is closed; `BlockingIOError` = another one has it."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write(file: IO[str], holder: dict[str, object] | None) -> None:
    file.seek(0)
    file.truncate()
    if holder:
        file.write(json.dumps(holder))
        file.flush()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        found = json.loads(file.read())
        return f"process {found['process']} on {found['host']} since {found['since']}"
    except (ValueError, KeyError, TypeError):  # it has just come, or is about to go
        return "another process"


def _now() -> str:
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
