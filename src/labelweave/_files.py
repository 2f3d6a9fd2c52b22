"""Files: written whole or not at all, and only regular ones of bounded size are read."""

import errno
import json
import os
import platform
import re
import shutil
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from filelock import BaseFileLock, FileLock, Timeout

from labelweave.errors import LabelweaveError, LabelweaveWarning, WriteError

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 1 << 28  # bytes of a file that is read as one piece, such as model.json
LARGEST_TEXT = 1 << 20  # of one that people write by hand, such as a study file
LARGEST_TENSORS = 1 << 36  # of weights
PIECE = 1 << 20  # bytes read at once beyond the size that a file says
KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip


def check_regular(path: str | Path, largest: int | None = None) -> None:
    """Check that a path is a regular file, before a library opens it by its name.

    Args:
        path: the file; links are followed.
        largest: its greatest size in bytes; None = any.

    Raises:
        LabelweaveError: a pipe, device or socket, a larger file, or a name that no file can have.
        OSError: no such file, a folder, or no access.
    """
    try:
        found = Path(path).stat()
    except ValueError:  # a zero byte, or half a surrogate pair
        raise LabelweaveError("no file can have this name", place=path) from None
    _check_kind(path, found, largest)


def open_regular(path: str | Path, largest: int | None = None) -> BinaryIO:
    """Return a regular file, open for reading; the arguments and errors of `check_regular`.

    It never waits, and never opens a device.
    """
    check_regular(path, largest)
    # between the look and the opening the file may be replaced
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        _check_kind(path, os.fstat(handle), largest)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: str | Path, largest: int = LARGEST) -> bytes:
    """Return what a regular file holds; the arguments and errors of `check_regular`."""
    with open_regular(path, largest) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, largest) + 1)
        while piece := file.read(PIECE):  # a file of /proc has more than its size says
            content += piece
            if len(content) > largest:
                break
    if len(content) > largest:
        raise _too_large(path, len(content), largest)
    return content


def read_text(path: str | Path, largest: int = LARGEST) -> str:
    """Return the text of a regular file in UTF-8, with or without a byte order mark.

    Raises:
        LabelweaveError: see `check_regular`; or the file is not in UTF-8.
        OSError: no such file, a folder, or no access.
    """
    try:
        return read_regular(path, largest).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LabelweaveError(f"{path}: not a text file in UTF-8") from None


def unreadable(path: object, error: OSError) -> LabelweaveError:
    """Return the error for a file that cannot be read, in one line."""
    return LabelweaveError(f"{path}: cannot be read: {error.strerror or error}")


def _check_kind(path: str | Path, found: os.stat_result, largest: int | None) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise LabelweaveError(f"found {kind}, expected a regular file", place=path)
    if largest is not None and found.st_size > largest:
        raise _too_large(path, found.st_size, largest)


def _too_large(path: str | Path, size: int, largest: int) -> LabelweaveError:
    return LabelweaveError(
        f"found {size / 2**20:,.1f} MB, expected at most {largest / 2**20:,.0f} MB", place=path
    )


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


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder next to `path` for what is only needed while that file is written.

    Raises:
        WriteError: the folder cannot be made.
    """
    # always the same name, so that what a killed process left is removed
    folder = path.with_name(f".{path.name}.parts")
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(path) as temporary:
        # a name may hold half a surrogate pair, which UTF-8 cannot
        temporary.write_text(text, encoding="utf-8", errors="replace", newline="\n")


BOM = "\ufeff"  # without it Excel takes UTF-8 for the encoding of its country
STARTS_FORMULA = re.compile(r"'*[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?")


def harmless(text: str) -> str:
    """Return the text of a cell that a spreadsheet takes for a text and not for a formula.

    A text that starts with = + - @, a tab or a carriage return, and is no number, gets a ' in
    front, which spreadsheets do not show; `labelweave.tables` takes it away again.
    """
    starts = STARTS_FORMULA.match(text) is not None and NUMBER.fullmatch(text) is None
    return f"'{text}" if starts else text


def without_mark(text: str) -> str:
    """Return the text that `harmless` was given."""
    return text[1:] if text.startswith("'") and STARTS_FORMULA.match(text) is not None else text


def csv_text(
    frame: "pd.DataFrame", *, bom: bool = False, formulas: bool = False, index: bool = False,
    index_label: str | None = None, header: bool = True,
) -> str:  # fmt: skip
    """Return a data frame as CSV.

    Args:
        frame: the table.
        bom: begin with the mark by which Excel knows UTF-8.
        formulas: leave cells that start a formula as they are, see `harmless`.
        index: the index as first column.
        index_label: its name.
        header: begin with the names of the columns.
    """
    if index:
        frame = frame.rename_axis(index=str(index_label or frame.index.name or "")).reset_index()
    if not formulas:
        texts = [i for i, kind in enumerate(frame.dtypes) if kind.kind not in "biufcmM"]
        columns = dict(enumerate(frame.iloc[:, i] for i in range(frame.shape[1])))
        for i in texts:
            columns[i] = frame.iloc[:, i].map(
                lambda value: harmless(value) if isinstance(value, str) else value
            )
        names = [harmless(str(name)) for name in frame.columns]
        frame = type(frame)(columns).set_axis(names, axis=1)
    return BOM * bom + str(frame.to_csv(index=False, header=header, lineterminator="\n"))


def write_csv(path: Path, frame: "pd.DataFrame", **options: Any) -> None:
    """Write a data frame as a CSV file, whole or not at all; the options are those of `csv_text`.

    Raises:
        WriteError: the file cannot be written.
    """
    write_text(path, csv_text(frame, **options))


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where it is not there yet.

    Raises:
        WriteError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def check_makeable(folder: Path) -> None:
    """Find before any work whether a folder can be made, or written to; makes nothing.

    Raises:
        WriteError: it cannot: a file stands in its way, a name that no folder can have, or no right
            to write.
    """
    try:
        place = folder
        while not place.exists() and place != place.parent:
            if place.is_symlink():
                raise FileExistsError(errno.EEXIST, "a link that leads nowhere stands in its place")
            place = place.parent
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"'{place}' is no folder")
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"no right to write to '{place}'")
        longest = os.pathconf(place, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
        for name in folder.relative_to(place).parts:
            if len(os.fsencode(name)) > longest:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except ValueError:  # a zero byte, or half a surrogate pair
        raise WriteError(f"{folder}: no folder can have this name") from None
    except OSError as error:
        raise unwritable(folder, error) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written by `replacing` in a folder."""
    for path in folder.glob(".*.partial"):
        path.unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Remove a folder and those in it, but none that holds a file: a full disk may leave them."""
    for below in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):
            if below.is_dir():
                below.rmdir()
    with suppress(OSError):
        folder.rmdir()


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
        found = json.loads(read_text(folder / HOLDER, LARGEST_TEXT))
        return f"process {found['process']} on {found['host']} since {found['since']}"
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ):  # it has just come, or is about to go
        return "another process"
