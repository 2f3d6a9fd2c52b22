"""Files that are written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labelweave.errors import WriteError


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
