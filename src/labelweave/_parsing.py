"""JSON of any origin and values of settings: bounded in depth, size and numbers."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labelweave._files import LARGEST, read_text, unreadable
from labelweave.errors import LabelweaveError, is_printable, printable

DEEPEST = 64  # sections inside each other
MOST_VALUES = 50_000  # of settings; those behind an alias of YAML count each time
LARGEST_NUMBER = 2**63
BLANKS = {9: " ", 10: " ", 13: " "}  # a text over several lines is a text


def parse_json(text: str | bytes, place: object, *, finite: bool = False) -> Any:
    """Return the content of a JSON text.

    Args:
        text: the text.
        place: what errors call it.
        finite: refuse the numbers NaN and Infinity, which JSON does not have but Python writes.

    Raises:
        LabelweaveError: no JSON, nested deeper than 64, or a number that is too large.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise LabelweaveError(
            f"{place}: {line}column {error.colno}: no JSON: {error.msg}"
        ) from None
    except UnicodeDecodeError:
        raise LabelweaveError(f"{place}: not a text in UTF-8") from None
    except RecursionError:
        raise too_deep(place) from None
    except ValueError:  # a whole number of thousands of digits
        raise LabelweaveError(f"{place}: holds a number that is too long") from None
    for value in bounded_values(content, place, None):
        check_number(value, place, finite)
    return content


def read_json(path: Path, *, largest: int = LARGEST, finite: bool = False) -> Any:
    """Return the content of a JSON file; see `parse_json`.

    Raises:
        LabelweaveError: what `parse_json` and `labelweave._files.check_regular` raise.
        FileNotFoundError: there is no such file.
    """
    try:
        text = read_text(path, largest)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise unreadable(path, error) from None
    return parse_json(text, path, finite=finite)


def read_json_object(path: Path, *, largest: int = LARGEST) -> dict[str, Any]:
    """Return the keys and values of a JSON file; see `read_json`.

    Raises:
        LabelweaveError: what `read_json` raises, or the file holds something else.
        FileNotFoundError: there is no such file.
    """
    content = read_json(path, largest=largest)
    if not isinstance(content, dict):
        raise LabelweaveError(
            f"{path}: found {_kind(content)}, expected an object of keys and values"
        )
    return content


def check_values(content: Any, place: object) -> None:
    """Check the depth, numbers and texts of settings from a file or from Python.

    Raises:
        LabelweaveError: nested too deep, too many values, a number that is too large, or a text
            with control characters, which would reach terminals, pages and names of files.
    """
    for value in bounded_values(content, place, MOST_VALUES):
        check_number(value, place, finite=False)
        if isinstance(value, str) and not is_printable(value.translate(BLANKS)):
            raise LabelweaveError(
                f"{place}: found '{printable(value)}', expected no control characters"
            )


def bounded_values(content: Any, place: object, most: int | None) -> Iterator[Any]:
    """Yield every key and value that is no list or dictionary."""
    waiting, seen = [(content, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if most is not None and seen > most:
            raise LabelweaveError(f"{place}: holds more than {most:,} values (aliases count)")
        if depth > DEEPEST:
            raise too_deep(place)
        if isinstance(value, dict):
            yield from value
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += [(each, depth + 1) for each in value]
        else:
            yield value


def check_number(value: Any, place: object, finite: bool) -> None:
    if isinstance(value, int) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise LabelweaveError(f"{place}: found a number above 2^63, expected a smaller one")
    if finite and isinstance(value, float) and not math.isfinite(value):
        raise LabelweaveError(f"{place}: found {value}, expected finite numbers")


def _kind(content: Any) -> str:
    return {list: "a list", str: "a text", type(None): "null"}.get(type(content), "a number")


def too_deep(place: object) -> LabelweaveError:
    return LabelweaveError(f"{place}: nested deeper than {DEEPEST}")
