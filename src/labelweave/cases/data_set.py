"""A published data set, read from its official files."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from labelweave.errors import LabelweaveError, listing, nearest


@dataclass(frozen=True)
class DataSet:
    """One published data set as a table of images and labels.

    Attributes:
        table: a row an image. Column ``image`` is its path, relative to the root; the labels stand
            in the columns of the tasks, missing = None or NaN.
        tasks: the tasks as a study file describes them, for example
            ``{"name": "expression", "classes": [...]}`` or
            ``{"name": "action_units", "kind": "multilabel", "labels": ["AU1", ...]}``.
        group: column of the person or thing whose rows must stay on one side of a split.
        part: column with the official part of a row, ``train``, ``validation`` or ``test``.
        knowledge: tables that the data set itself ships (class by attribute), by file name; the
            first column is the source task's.
        notes: remarks on what was read and what was left out, a line each.
    """

    table: pd.DataFrame
    tasks: tuple[Mapping[str, Any], ...]
    group: str | None = None
    part: str | None = None
    knowledge: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """How to read a data set.

    Args:
        read: reads the folder of the official files, given options by name, with types that a
            study file can hold (str, int, bool, Literal, list, None); raises `LabelweaveError`,
            naming the file or folder that is missing or wrong.
        title: the data set's full name.
        source: where to request or get it, in words.
        licence: under which terms.
        paper: who made it.
        metric: what papers report.
    """

    read: Callable[..., DataSet]
    title: str
    source: str
    licence: str
    paper: str
    metric: str

    def __call__(self, root: Path, **options: Any) -> DataSet:
        """Return the data set of a folder."""
        return self.read(root, **options)

    def options(self) -> dict[str, inspect.Parameter]:
        """Return the options by name, with their types and defaults."""
        _root, *others = inspect.signature(self.read, eval_str=True).parameters.values()
        return {option.name: option for option in others}

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Raise `LabelweaveError` for an option that the reader does not have, or a wrong value."""
        known = self.options()
        for name, value in given.items():
            if name not in known:
                expected = listing(known) or "none"
                raise LabelweaveError(
                    f"no option '{name}', expected {expected}{nearest(name, known)}"
                )
            kind = known[name].annotation
            try:
                TypeAdapter(kind).validate_python(value, strict=True)
            except ValidationError:
                expected = described(kind)
                raise LabelweaveError(
                    f"option '{name}': found {value!r}, expected {expected}"
                ) from None


def described(kind: Any) -> str:
    """Return a type of an option in words, for example ``'basic' or 'compound'``."""
    if get_origin(kind) is Literal:
        return " or ".join(repr(value) for value in get_args(kind))
    parts = get_args(kind)
    if parts and get_origin(kind) is not list:  # a union
        return " or ".join(described(part) for part in parts)
    if get_origin(kind) is list:
        return f"a list of {described(parts[0])}"
    words = {int: "a whole number", str: "a text", bool: "true or false", type(None): "null"}
    return words.get(kind, getattr(kind, "__name__", str(kind)))
