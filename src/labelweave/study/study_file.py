"""Reading a study file, with every error told in one line."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.study.config import StudyConfig


def read_study_file(path: str | Path) -> StudyConfig:
    """Read and validate a study file.

    Raises:
        LabelweaveError: no such file, no YAML, or a wrong key or value; one line naming the file
            and the key, what was found, and the nearest valid key.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except IsADirectoryError:
        raise LabelweaveError(f"{path}: a folder, expected a study file (YAML)") from None
    except FileNotFoundError:
        others = sorted(other.name for other in path.parent.glob("*.y*ml"))
        raise LabelweaveError(f"{path}: no such study file{nearest(path.name, others)}") from None
    except UnicodeDecodeError:
        raise LabelweaveError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise LabelweaveError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not know"
        raise LabelweaveError(f"{path}: {line}cannot be read as YAML: {problem}") from None
    if not isinstance(content, dict):
        raise LabelweaveError(f"{path}: found no keys, expected a study (see 'labelweave init')")
    return parse_study(content, str(path))


def parse_study(content: Mapping[str, Any], place: str = "study") -> StudyConfig:
    """Return the validated study of a dictionary; errors name `place`."""
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        raise LabelweaveError(f"{place}: {one_line(error)}") from None


def one_line(error: ValidationError) -> str:
    """Return the first wrong key or value of a validation error, in one line."""
    places = [[p for p in each["loc"] if not _is_union_branch(p)] for each in error.errors()]
    # of the readings of a union, the one that got furthest is meant
    meant = [i for i, place in enumerate(places) if place[: len(places[0])] == places[0]]
    # and of two as far, the one that knows more than the type
    told = [each["type"] == "value_error" for each in error.errors()]
    index = max(meant, key=lambda i: (len(places[i]), told[i]))
    first, location = error.errors()[index], places[index]
    key = ".".join(" ".join(str(part).split()) for part in location)
    if first["type"] == "extra_forbidden":
        known = _keys_at(location[:-1])
        options = f"expected {listing(known, 30)}{nearest(location[-1], known)}"
        return f"key '{key}': no such key, {options}"
    return f"key '{key}': {_message(first)}" if key else _message(first)


def _message(error: ErrorDetails) -> str:
    kind, found = error["type"], error["input"]
    if kind == "missing":
        return "missing"
    if kind == "value_error":  # one of this project, which says what was found
        return error["msg"].removeprefix("Value error, ")
    if kind == "too_short":
        least = error["ctx"]["min_length"]
        return f"should have at least {least} item, found a list of {error['ctx']['actual_length']}"
    if kind in {"model_type", "dict_type"}:
        text = "should be a section of keys"
    else:
        text = re.sub("^(Input|String) should", "should", error["msg"])
    if kind == "string_type" and isinstance(found, bool | int | float):
        text += " (write it in quotes)"
    if isinstance(found, list | dict):
        return f"{text}, found a {'list' if isinstance(found, list) else 'section'}"
    return f"{text}, found {'nothing' if found is None else repr(found)}"


class _Loader(yaml.SafeLoader):
    """The safe loader, with a key named twice in one section as an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for name, _ in node.value:
            text = str(name.value)
            if text in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{text}' appears twice", problem_mark=name.start_mark
                )
            seen.add(text)
        return super().construct_mapping(node, deep)


def _is_union_branch(part: int | str) -> bool:
    # pydantic adds the tried type of a union to the place of an error
    text = str(part)
    named = text in {"int", "float", "str", "bool"} or text.endswith("Section")
    return named or "[" in text or text.startswith("literal")


def _keys_at(location: list[int | str]) -> list[str]:
    """Return the keys that are valid in the section at a place of the study file."""
    section: type[BaseModel] | None = StudyConfig
    for part in location:
        if isinstance(part, int) or section is None:
            continue
        field = _fields(section).get(str(part))
        section = next(_sections(field.annotation), None) if field else None
    return list(_fields(section)) if section else []


def _fields(section: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections(argument)
