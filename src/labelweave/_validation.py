"""Settings as typed sections, and one line for what is wrong with them."""

import inspect
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from labelweave._parsing import check_values
from labelweave.errors import listing, nearest, printable


class Section(BaseModel):
    """A part of the study file; keys that it does not know are errors.

    Values are bounded in depth and size, and their texts hold no control characters.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True
    )

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for key, value in given.items():
                check_values(value, f"key '{printable(key)}'")
        return given


def stated(least: float, most: float) -> Any:
    """Return the field of a number whose bounds a validator checks in its own words."""
    return Field(json_schema_extra={"minimum": least, "maximum": most})


MOST_WEIGHT = 1e45  # beyond 32 bits a loss is infinite, and the run is reported as failed
Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A whole number that names something."""


def one_line(error: ValidationError, root: type[BaseModel], called: str = "key") -> str:
    """Return the first wrong key or value of a validation error of `root`, in one line.

    Args:
        error: the error.
        root: the section that was validated.
        called: what a key is called, such as "parameter".
    """
    places = [[p for p in each["loc"] if not _is_union_branch(p)] for each in error.errors()]
    # of the readings of a union, the one that got furthest is meant
    meant = [i for i, place in enumerate(places) if place[: len(places[0])] == places[0]]
    # and of two as far, the one that knows more than the type
    explained = [each["type"] == "value_error" for each in error.errors()]
    index = max(meant, key=lambda i: (len(places[i]), explained[i]))
    first, location = error.errors()[index], places[index]
    key = ".".join(printable(" ".join(str(part).split())) for part in location)
    if first["type"] == "extra_forbidden":
        known = _keys_at(root, location[:-1])
        options = f"expected {listing(known, 30)}{nearest(location[-1], known)}"
        return f"{called} '{key}': no such key, {options}"
    return f"{called} '{key}': {_message(first)}" if key else _message(first)


def reason_of(error: ErrorDetails) -> str:
    """Return the text that a validator raised, or "should be ...", without what was found."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return error["msg"].removeprefix("Input ").removeprefix("String ")


def documented_schema(root: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of settings, every key with its description from the docstrings.

    Args:
        root: the section; those inside it are described too.
    """
    schema = root.model_json_schema()
    sections, known = [root], {root.__name__: root}
    while sections:
        for field in sections.pop().model_fields.values():
            for inner in _sections(field.annotation):
                if inner.__name__ not in known:
                    known[inner.__name__] = inner
                    sections.append(inner)
    for name, section in known.items():
        entry = schema if section is root else schema["$defs"].get(name)
        if entry is None:
            continue
        meanings = {k: v for base in reversed(section.__mro__) for k, v in described(base).items()}
        entry["description"] = (inspect.getdoc(section) or "").partition("\n\nAttributes:")[0]
        for key, value in entry.get("properties", {}).items():
            if key in meanings:
                value["description"] = meanings[key]
    return schema


def described(section: type) -> dict[str, str]:
    """Return the meaning of each attribute in a class's docstring, each in one line."""
    attributes = (inspect.getdoc(section) or "").partition("Attributes:\n")[2]
    entries = re.finditer(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in (entry.groups() for entry in entries)}


def _message(error: ErrorDetails) -> str:
    kind, found = error["type"], error["input"]
    if kind == "missing":
        return "missing"
    if kind == "value_error":  # a validator's text has what was found
        return reason_of(error)
    if kind == "too_short":
        least = error["ctx"]["min_length"]
        return f"should have at least {least} item, found a list of {error['ctx']['actual_length']}"
    if kind in {"model_type", "dict_type"}:
        text = "should be a section of keys"
    else:
        text = reason_of(error)
    if kind == "string_type" and isinstance(found, bool | int | float):
        text += " (write it in quotes)"
    if isinstance(found, list | dict):
        return f"{text}, found a {'list' if isinstance(found, list) else 'section'}"
    return f"{text}, found {'nothing' if found is None else printable(repr(found))}"


def _is_union_branch(part: int | str) -> bool:
    # pydantic adds the tried type of a union to the place of an error
    text = str(part)
    named = text in {"int", "float", "str", "bool"} or text.endswith("Section")
    return named or "[" in text or text.startswith("literal")


def _keys_at(root: type[BaseModel], location: list[int | str]) -> list[str]:
    """Return the keys that are valid in the section at a place below `root`."""
    section: type[BaseModel] | None = root
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
