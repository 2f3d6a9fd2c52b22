"""Components by name, with typed options: the resolver that all packages use."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from labelweave._search_space import Space
from labelweave._validation import reason_of
from labelweave.errors import LabelweaveError, listing, nearest, printable

Named = str | Mapping[str, Any]
"""A component as a study file names it: ``name``, or ``{name: {option: value}}``."""


class Options(BaseModel):
    """The options of a component, with their defaults; the bounds are those of valid values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    short: ClassVar[str | None] = None  # the option that a bare value stands for
    space: ClassVar[Space] = {}  # the values that a search may try


def resolve(kind: str, choice: Named, known: Mapping[str, type[Options]]) -> tuple[str, Options]:
    """Return the name and options of ``name``, ``{name: {option: value}}`` or ``{name: value}``.

    Args:
        kind: what errors call the components.
        choice: the choice, as a study file has it.
        known: name to the class of its options.

    Raises:
        LabelweaveError: an unknown name or option, or a value that an option cannot have.
    """
    if isinstance(choice, Mapping):
        if len(choice) != 1:
            raise LabelweaveError(
                f"{kind}: found {len(choice)} names ({listing(choice)}), expected one with its "
                "options"
            )
        ((name, given),) = choice.items()
    else:
        name, given = choice, {}
    if name not in known:
        raise LabelweaveError(
            f"no such {kind} '{name}', expected {listing(known, 20)}{nearest(name, known)}"
        )
    options = known[name]
    if not isinstance(given, Mapping):
        if given is not None and options.short is None:
            raise LabelweaveError(
                f"{kind} '{name}': found {given!r}, expected options by name: "
                f"{listing(options.model_fields) or 'none'}"
            )
        given = {} if given is None else {str(options.short): given}
    try:
        return name, options.model_validate(given)
    except ValidationError as error:
        raise LabelweaveError(f"{kind} '{name}': {_reason(error, options)}") from None


def _reason(error: ValidationError, options: type[Options]) -> str:
    # of the readings of a union, the one that got furthest is meant
    first = max(error.errors(), key=lambda each: len(each["loc"]))
    key = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        known = options.model_fields
        return f"no such option '{key}', expected {listing(known) or 'none'}{nearest(key, known)}"
    message = reason_of(first)
    return f"option '{key}' {message}, found {printable(repr(first['input']))}" if key else message
