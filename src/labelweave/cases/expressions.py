"""Names that data sets of facial expressions share, so that they can be joined."""

from collections.abc import Sequence
from typing import Any

EXPRESSION = "expression"
ACTION_UNITS = "action_units"


def expression_task(classes: Sequence[str]) -> dict[str, Any]:
    """Return the task of expressions as a study file describes it."""
    return {"name": EXPRESSION, "classes": list(classes)}


def unit_names(numbers: Sequence[int]) -> list[str]:
    """Return the labels of action units, for example ``["AU1", "AU12"]``."""
    return [f"AU{number}" for number in numbers]


def unit_task(numbers: Sequence[int]) -> dict[str, Any]:
    """Return the task of action units as a study file describes it."""
    return {"name": ACTION_UNITS, "kind": "multilabel", "labels": unit_names(numbers)}
