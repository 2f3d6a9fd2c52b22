"""JSON and YAML of any origin: bounded in depth, size and numbers, with errors in one line."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from labelweave._files import LARGEST, LARGEST_TEXT, read_text, unreadable
from labelweave.errors import LabelweaveError, is_printable, printable

DEEPEST = 64  # sections inside each other
MOST_NODES = 50_000  # values of a YAML text, those behind an alias counted each time
MOST_MERGED = 1000  # keys that `<<` may bring into a section
LONGEST_NUMBER = 100  # digits, or characters of a date
LARGEST_NUMBER = 2**63
BLANKS = {9: " ", 10: " ", 13: " "}  # a text over several lines is a text
SCALARS = ("int", "float", "timestamp")


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
        where = f"line {error.lineno}, column {error.colno}"
        raise LabelweaveError(f"{place}: {where}: no JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise LabelweaveError(f"{place}: not a text in UTF-8") from None
    except RecursionError:
        raise _too_deep(place) from None
    except ValueError:  # a whole number of thousands of digits
        raise LabelweaveError(f"{place}: holds a number that is too long") from None
    for value in _values(content, place, None):
        _check_number(value, place, finite)
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


def parse_yaml(
    text: str, place: object, *, largest: int = LARGEST_TEXT, nodes: int = MOST_NODES
) -> Any:
    """Return the content of a YAML text.

    Args:
        text: the text.
        place: what errors call it.
        largest: its greatest length.
        nodes: the most values that it may hold.

    Raises:
        LabelweaveError: no YAML, a key named twice, nested too deep, aliases or merged keys that
            grow without bound, or a number or date that cannot be; names the line where it is
            known.
    """
    if len(text) > largest:
        size = f"{largest >> 20} MB"
        raise LabelweaveError(f"{place}: found {len(text):,} characters, expected at most {size}")
    try:
        content = yaml.load(text, Loader=type("_Bounded", (_Loader,), {"most": nodes}))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not know"
        raise LabelweaveError(f"{place}: {line}cannot be read as YAML: {problem}") from None
    except RecursionError:
        raise _too_deep(place) from None
    for value in _values(content, place, nodes):
        _check_number(value, place, finite=False)
    return content


def check_values(content: Any, place: object) -> None:
    """Check the depth, numbers and texts of settings from a file or from Python.

    Raises:
        LabelweaveError: nested too deep, too many values, a number that is too large, or a text
            with control characters, which would reach terminals, pages and names of files.
    """
    for value in _values(content, place, MOST_NODES):
        _check_number(value, place, finite=False)
        if isinstance(value, str) and not is_printable(value.translate(BLANKS)):
            raise LabelweaveError(
                f"{place}: found '{printable(value)}', expected no control characters"
            )


class _Loader(yaml.SafeLoader):
    """The safe loader, bounded, with a key named twice in one section as an error."""

    depth = nodes = 0
    most = MOST_NODES

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        self.nodes += 1
        if self.depth > DEEPEST or self.nodes > self.most:
            deep = f"nested deeper than {DEEPEST}"
            problem = deep if self.depth > DEEPEST else f"more than {self.most:,} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        kind = str(node.tag).rpartition(":")[2]
        if kind in SCALARS and len(str(node.value)) > LONGEST_NUMBER:
            raise yaml.MarkedYAMLError(
                problem="a number that is too long", problem_mark=node.start_mark
            )
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, AttributeError, KeyError, TypeError, IndexError):
            # a date that does not exist, or a tag such as !!int before something else
            found = printable(node.value) if isinstance(node.value, str) else "a section"
            raise yaml.MarkedYAMLError(
                problem=f"found '{found}', expected a value of the kind '{printable(kind)}'",
                problem_mark=node.start_mark,
            ) from None

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        merged = [v for k, v in node.value if k.tag == "tag:yaml.org,2002:merge"]
        sections = [
            each
            for value in merged
            for each in (value.value if isinstance(value, yaml.SequenceNode) else [value])
        ]
        grown = sum(len(each.value) for each in sections if isinstance(each, yaml.MappingNode))
        if len(sections) > MOST_MERGED or grown > MOST_MERGED:
            raise yaml.MarkedYAMLError(
                problem=f"'<<' merges more than {MOST_MERGED} keys", problem_mark=node.start_mark
            )
        super().flatten_mapping(node)
        if merged and len(node.value) > 2 * MOST_MERGED:  # through sections that merge others
            raise yaml.MarkedYAMLError(
                problem=f"'<<' merges more than {MOST_MERGED} keys", problem_mark=node.start_mark
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.MarkedYAMLError(
                problem="expected a section of keys", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for name, _ in node.value:
            text = str(name.value)
            if text in seen and isinstance(name, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem=f"key '{text}' appears twice", problem_mark=name.start_mark
                )
            seen.add(text)
        return node


def _values(content: Any, place: object, most: int | None) -> Iterator[Any]:
    """Yield every key and value that is no list or dictionary."""
    waiting, seen = [(content, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if most is not None and seen > most:
            raise LabelweaveError(f"{place}: holds more than {most:,} values (aliases count)")
        if depth > DEEPEST:
            raise _too_deep(place)
        if isinstance(value, dict):
            yield from value
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += [(each, depth + 1) for each in value]
        else:
            yield value


def _check_number(value: Any, place: object, finite: bool) -> None:
    if isinstance(value, int) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise LabelweaveError(f"{place}: found a number above 2^63, expected a smaller one")
    if finite and isinstance(value, float) and not math.isfinite(value):
        raise LabelweaveError(f"{place}: found {value}, expected finite numbers")


def _kind(content: Any) -> str:
    return {list: "a list", str: "a text", type(None): "null"}.get(type(content), "a number")


def _too_deep(place: object) -> LabelweaveError:
    return LabelweaveError(f"{place}: nested deeper than {DEEPEST}")
