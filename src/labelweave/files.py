"""Files that are written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelweave.errors import LabelweaveError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends well it takes the place of `path`.

    No reader sees half a file, and an old one stays until the new one is whole.

    Raises:
        LabelweaveError: the file cannot be written.
    """
    # always the same name, so that what a killed process left is overwritten
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise LabelweaveError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all.

    Raises:
        LabelweaveError: the file cannot be written.
    """
    with replacing(path) as temporary:
        # a name may hold half a surrogate pair, which UTF-8 cannot
        temporary.write_text(text, encoding="utf-8", errors="replace", newline="\n")
