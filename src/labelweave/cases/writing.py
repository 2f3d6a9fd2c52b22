"""Writing a demonstration as files that a user can open, change and run again."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from labelweave.files import write_text


def write_case(folder: Path, tables: Mapping[str, pd.DataFrame], study: str) -> Path:
    """Write tables and ``study.yaml`` to a folder; files with the same content stay untouched.

    Returns:
        The path of the study file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: table.to_csv(index=False) for name, table in tables.items()}
    texts["study.yaml"] = study
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    return folder / "study.yaml"
