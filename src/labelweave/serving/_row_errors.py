"""What is wrong with the rows of a request."""

from collections.abc import Mapping, Sequence
from typing import Any

from labelweave.errors import LabelweaveError, printable

MOST_ERRORS = 20  # that an answer names


class RowsError(LabelweaveError):
    """Rows that do not fit the schema.

    Attributes:
        errors: for each row (from 1) and column what was found and what was expected; None where an
            error has no row or column.
    """

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        self.errors = list(errors)[:MOST_ERRORS]
        first = self.errors[0]
        place = ", ".join(
            f"{name} {first[name]!r}" for name in ("row", "column") if first[name] is not None
        )
        super().__init__(f"{place or 'rows'}: found {first['found']}, expected {first['expected']}")


class TooManyRowsError(LabelweaveError):
    """More rows than a request may have."""


def row_error(row: int | None, column: str | None, found: object, expected: str) -> dict[str, Any]:
    """Return one entry of `RowsError`."""
    column = None if column is None else printable(column, None)
    return {"row": row, "column": column, "found": printable(found), "expected": expected}
