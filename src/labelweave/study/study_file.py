"""Reading a study file, with every error told in one line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

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
    except (FileNotFoundError, IsADirectoryError):
        others = [other.name for other in path.parent.glob("*.y*ml")]
        raise LabelweaveError(f"{path}: no such study file{nearest(path.name, others)}") from None
    except UnicodeDecodeError:
        raise LabelweaveError(f"{path}: not a text file in UTF-8") from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise LabelweaveError(f"{path}: {line}not YAML: {problem}") from None
    if not isinstance(content, dict):
        raise LabelweaveError(f"{path}: found no keys, expected a study (see 'labelweave init')")
    return parse_study(content, str(path))


def parse_study(content: dict[str, Any], place: str = "study") -> StudyConfig:
    """Return the validated study of a dictionary; errors name `place`."""
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        raise LabelweaveError(f"{place}: {_one_line(error)}") from None


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    location = [part for part in first["loc"] if not _is_union_branch(part)]
    key = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        known = _keys_at(location[:-1])
        options = f"expected {listing(known, 20)}{nearest(location[-1], known)}" if known else ""
        return f"key '{key}': no such key, {options}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        message = "missing"
    found = first.get("input")
    shown = f", found {found!r}" if isinstance(found, str | int | float | bool) else ""
    return f"key '{key}': {message}{shown}" if key else f"{message}"


def _is_union_branch(part: int | str) -> bool:
    # pydantic adds the tried type of a union to the place of an error
    text = str(part)
    return text in {"int", "float", "str", "bool"} or "[" in text or text.startswith("literal")


def _keys_at(location: list[int | str]) -> list[str]:
    """Return the keys that are valid in the section at a place of the study file."""
    section: type[BaseModel] | None = StudyConfig
    for part in location:
        if isinstance(part, int) or section is None:
            continue
        field = section.model_fields.get(str(part))
        section = next(_sections(field.annotation), None) if field else None
    return list(section.model_fields) if section else []


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections(argument)
