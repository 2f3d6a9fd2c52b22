"""Official files: found, read line by line, and told by name where they are not as expected."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from labelweave.errors import LabelweaveError, listing, nearest


def found(root: Path, *names: str, what: str) -> Path:
    """Return the first of some files or folders below `root` that exists.

    Args:
        root: the data set's folder.
        names: where it may be, relative to `root`; the first is the official place.
        what: what it is, for the error.

    Raises:
        LabelweaveError: there is none, naming the official place and what lies beside it.
    """
    if not root.is_dir():
        raise LabelweaveError(f"{root}: no such folder, expected the one with {what}")
    for name in names:
        if (root / name).exists():
            return root / name
    path = root / names[0]
    others = "".join(f" (nor {name})" for name in names[1:])
    beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
    raise LabelweaveError(
        f"{path}: no such file or folder{others}, expected {what}{nearest(path.name, beside)}"
    )


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that are not empty, with their numbers from 1.

    Raises:
        LabelweaveError: not a text file in UTF-8, or it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise LabelweaveError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise LabelweaveError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def wrong_line(path: Path, number: int, line: str, expected: str) -> LabelweaveError:
    """Return the error of a line that is not as expected; long ones are cut."""
    shown = line if len(line) <= 80 else f"{line[:77]}..."
    return LabelweaveError(f"{path}: line {number}: found {shown!r}, expected {expected}")


def check_images(root: Path, names: Sequence[str], listed: Path) -> None:
    """Raise `LabelweaveError` where images that a file lists are missing."""
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise LabelweaveError(
            f"{root / missing[0]}: no such image{more}, expected all {len(names)} that "
            f"{listed} lists"
        )


def numbered(folder: Path, suffixes: Sequence[str]) -> dict[int, str]:
    """Return the files of a folder that are numbered, as 00001.jpg or video_00001.jpg, by number.

    Raises:
        LabelweaveError: the folder holds none, or two of one number.
    """
    files: dict[int, str] = {}
    for path in sorted(folder.iterdir()):
        number = re.search(r"\d+$", path.stem, re.ASCII)
        if path.suffix.lower() in suffixes and number:
            other = files.setdefault(int(number.group()), path.name)
            if other != path.name:
                raise LabelweaveError(
                    f"{path}: found the number of '{other}', expected one file a frame"
                )
    if not files:
        raise LabelweaveError(
            f"{folder}: found no frame, expected files such as 00001 with {listing(suffixes)}"
        )
    return files
