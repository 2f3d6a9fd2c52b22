"""JSON and JSON lines from outside: size and depth bounded, and what is wrong in one line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labelweave._files import check_regular
from labelweave._parsing import parse_json, read_json
from labelweave.errors import LabelweaveError, nearest, printable

LARGEST = 1 << 29  # bytes of a file that is read as one piece
LONGEST_LINE = 1 << 24
KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}


def checked_file(path: Path, largest: int = LARGEST) -> None:
    """Check that a path is a regular file of a size that is read.

    Raises:
        LabelweaveError: it is not.
    """
    if path.is_dir():
        raise LabelweaveError(f"{path}: found a folder, expected a file")
    if not path.exists():
        others = sorted(o.name for o in path.parent.iterdir()) if path.parent.is_dir() else []
        raise LabelweaveError(f"{path}: no such file{nearest(path.name, others)}")
    check_regular(path, largest)
    if not path.stat().st_size:
        raise LabelweaveError(f"{path}: the file is empty")


def read_json_file(path: Path) -> Any:
    """Return the content of a JSON file in UTF-8.

    Raises:
        LabelweaveError: no readable JSON, too large, or nested too deep.
    """
    checked_file(path)
    return read_json(path, largest=LARGEST)


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number, from 1, and the object of every line that is not blank.

    Raises:
        LabelweaveError: no UTF-8, a line that is too long or no JSON object; names the line.
    """
    checked_file(path)
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), start=1):
            if len(line) > LONGEST_LINE:
                raise LabelweaveError(
                    f"{path}: line {number} is longer than {LONGEST_LINE / 2**20:.0f} MB"
                )
            if not line.strip():
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise LabelweaveError(f"{path}: line {number} is not UTF-8 text") from None
            place = f"{path}: line {number}"
            yield number, expect(parse_json(text, place), dict, place)


def expect(value: Any, kind: type, place: str) -> Any:
    """Return a value that is of a kind (dict, list or str).

    Raises:
        LabelweaveError: it is of another.
    """
    if not isinstance(value, kind):
        raise LabelweaveError(f"{place}: found {shown(value)}, expected {KINDS[kind]}")
    return value


def member(entry: dict[str, Any], key: str, kind: type, place: str) -> Any:
    """Return what stands under a key of an object, of a kind.

    Raises:
        LabelweaveError: it lacks the key, or its value is of another kind.
    """
    if key not in entry:
        raise LabelweaveError(f"{place}: no key '{key}'{nearest(key, entry)}")
    return expect(entry[key], kind, f"{place}, key '{key}'")


def shown(value: Any) -> str:
    """Return what was found, for a message: its kind, or a short printable text of it."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"'{printable(value)}'"
