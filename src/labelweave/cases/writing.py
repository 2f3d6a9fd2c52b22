"""Writing a case as files that a user can open, change and run again."""

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from labelweave.files import replacing


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


def _content(name: str, table: pd.DataFrame) -> bytes:
    if not name.endswith(".parquet"):
        return table.to_csv(index=False, lineterminator="\n").encode()
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)
