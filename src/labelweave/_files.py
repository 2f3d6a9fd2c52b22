"""Files that are written whole or not at all."""

import json
import os
import platform
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from labelweave.errors import LabelweaveError, LabelweaveWarning, WriteError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends well it takes the place of `path`.

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
