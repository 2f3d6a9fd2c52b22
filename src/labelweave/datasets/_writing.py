"""Writing a case as files that a user can open, change and run again."""

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from labelweave._files import csv_text, replacing
from labelweave.errors import LabelweaveError

IMAGE_ENCODER = "efficientnet-lite0"  # of the studies written here, where it is installed
OTHERS = 5000


def write_case(folder: Path, tables: Mapping[str, pd.DataFrame], study: str) -> Path:
    """Write tables and ``study.yaml`` to a folder; files with the same content stay untouched.

    Args:
        folder: made where needed.
        tables: by file name; one that ends in .parquet becomes Parquet, any other CSV.
        study: the text of the study file.

    Returns:
        The path of the study file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        _write(folder / name, _content(name, table))
    _write(folder / "study.yaml", study.encode())
    return folder / "study.yaml"


def other_rows(case: str, what: str, found: int, few: int, others: int | None) -> int:
    """Return how many rows carry the labels of the other tasks.

    Args:
        case: the case's name.
        what: what a row is, in the plural.
        found: rows of the training part.
        few: rows that carry the class.
        others: rows asked for; None = 5,000, or as many as are left.

    Raises:
        LabelweaveError: fewer are left than asked for, or none.
    """
    if found - few < (others or 1):
        wanted = f"at least {few + others}" if others else f"more than {few}"
        raise LabelweaveError(f"{case}: found {found} training {what}, expected {wanted}")
    return others or min(OTHERS, found - few)


def rows_of(others: int | None) -> str:
    """Return how a part of a `scatter` chooses its rows; None = it takes all others."""
    return "" if others is None else f", rows: {others}"


def _content(name: str, table: pd.DataFrame) -> bytes:
    if not name.endswith(".parquet"):
        return csv_text(table).encode()
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)
