"""The one JSON form of results: dataclasses to plain values, and back with their types checked."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from labelweave._messages import Message
from labelweave.errors import LabelweaveError, nearest

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


def plain(value: Any) -> Any:
    """Return JSON-able values; what is no finite number becomes null.

    A message has its English text siblings code and values, for readers without the catalogue.
    """
    if is_dataclass(value):
        text = {"text": str(value)} if isinstance(value, Message) else {}
        return text | {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def typed(kind: type[T], given: Any, name: str) -> T:
    """Return the dataclass that `plain` gave.

    Args:
        kind: the dataclass.
        given: content of a JSON text.
        name: what it is, for errors.

    Raises:
        LabelweaveError: a key that is missing or of a wrong kind; one line.
    """
    from pydantic import ValidationError

    try:
        made: T = _adapter(cast(Any, kind)).validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        raise _refused(error, given, name) from None
    return made


def _refused(error: "ValidationError", given: Any, name: str) -> LabelweaveError:
    first = error.errors(include_url=False)[0]
    raised = (first.get("ctx") or {}).get("error")
    if isinstance(raised, LabelweaveError):
        place = f"{_place(name, first['loc'])}: " if first["loc"] else ""
        return LabelweaveError(f"{place}{raised}")
    *path, last = first["loc"] or ("",)
    if first["type"] in ("missing", "missing_argument"):
        siblings: Any = given
        for part in path:
            siblings = siblings[part]
        return LabelweaveError(f"{_place(name, path)}: no '{last}'{nearest(last, siblings)}")
    found, wanted = first["input"], first["msg"].removeprefix("Input should be ")
    options = (first.get("ctx") or {}).get("expected", "").replace("'", "").replace(" or ", ", ")
    guess = nearest(found, options.split(", ")) if options else ""
    return LabelweaveError(
        f"{_place(name, [*path, last])}: found {str(found)[:80]!r}, expected {wanted}{guess}"
    )


def _place(name: str, path: Sequence[str | int]) -> str:
    """Return a place in words; entries of a list count from 1."""
    return ", ".join([name, *(str(p + 1) if isinstance(p, int) else p for p in path)])
