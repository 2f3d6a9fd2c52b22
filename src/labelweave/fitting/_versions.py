"""The versions of a model: its folder is the first, and a pointer in it may name another."""

import json
from dataclasses import dataclass
from pathlib import Path

from labelweave._files import write_text
from labelweave._parsing import read_json_object
from labelweave.errors import LabelweaveError

POINTER, VERSIONS = "current.json", "versions"
FIRST = 1


@dataclass(frozen=True)
class Version:
    """A version of a model: its number, from 1, and its folder."""

    number: int
    folder: Path


def current_version(folder: Path) -> Version:
    """Return the version that a model's pointer names; without one the first.

    Raises:
        LabelweaveError: the pointer is damaged, or its version is not there.
    """
    path = folder / POINTER
    if not path.exists():
        return Version(FIRST, folder)
    number = read_json_object(path).get("version")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 10**9:
        raise LabelweaveError(f"{path}: key 'version': found '{number}', expected a whole number")
    found = version(folder, number)
    if not (found.folder / "model.json").exists():
        raise LabelweaveError(
            f"{path}: names version {number}, which is not there, expected one of "
            f"{', '.join(map(str, version_numbers(folder)))}"
        )
    return found


def version(folder: Path, number: int) -> Version:
    """Return the version of a number, there or not."""
    return Version(number, folder if number == FIRST else folder / VERSIONS / str(number))


def version_numbers(folder: Path) -> list[int]:
    """Return the numbers of the versions that are there, in order."""
    inner = folder / VERSIONS
    names = [each.name for each in inner.iterdir()] if inner.is_dir() else []
    return [FIRST, *sorted(int(name) for name in names if name.isdecimal())]


def next_version(folder: Path) -> int:
    """Return the number that a new version of a model gets."""
    return max(version_numbers(folder)) + 1


def point_to(folder: Path, number: int) -> None:
    """Let the pointer name a version; it is written whole or not at all."""
    write_text(folder / POINTER, json.dumps({"version": number}))
