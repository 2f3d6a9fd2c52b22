"""What a task may be called, and its classes or labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from labelweave.errors import LabelweaveError, listing
from labelweave.labels import key


def listed(values: Any, place: str) -> tuple[Any, ...]:
    """Return classes or labels as a tuple of plain values.

    Raises:
        LabelweaveError: a text; names `place`.
    """
    # a text is a sequence too, and would fall apart into its letters
    if isinstance(values, str):
        raise LabelweaveError(f"{place}: found the text '{values}', expected a list")
    return tuple(value.item() if isinstance(value, np.generic) else value for value in values)


def check_names(name: str, kind: str, names: Sequence[object] | None) -> None:
    """Check the name of a task, and the names of its classes or labels.

    Args:
        name: the task's name.
        kind: ``classes`` or ``labels``.
        names: their names; None = not known yet.

    Raises:
        LabelweaveError: an empty name, one given twice, or too few of them.
    """
    if not name:
        raise LabelweaveError("a task needs a name, found an empty one")
    if names is None:
        return
    keys = [key(value) for value in names]
    least = 2 if kind == "classes" else 1
    if len(keys) < least:
        raise LabelweaveError(f"task '{name}': found {len(keys)} {kind}, expected at least {least}")
    if "" in keys or None in names:
        raise LabelweaveError(f"task '{name}': {kind} without a name, expected no empty one")
    repeated = sorted({k for k in keys if keys.count(k) > 1})
    if repeated:
        raise LabelweaveError(f"task '{name}': {kind} named twice: {listing(repeated)}")
