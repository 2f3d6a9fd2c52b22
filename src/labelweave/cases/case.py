"""A case study by name, with what it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelweave.errors import LabelweaveError


@dataclass(frozen=True)
class Case:
    """How to write a case study.

    Args:
        writer: writes tables and study file to a folder; returns the study file.
        k: labels of each class, unless asked otherwise.
        reads_files: whether the data are files of the user; else they come with a package.
        root: where these usually are; None = the user has to say.
        title: what it is, in a line.
        limited: whether fewer rows can be asked for, though it reads no files.
    """

    writer: Callable[..., Path]
    k: int
    reads_files: bool = False
    root: Path | None = None
    title: str = ""
    limited: bool = False

    def write(
        self,
        folder: Path,
        seeds: int,
        k: int | None = None,
        root: Path | None = None,
        rows: int | None = None,
        others: int | None = None,
    ) -> Path:
        """Write the case to a folder; return its study file.

        Args:
            folder: made where needed.
            seeds: number of seeds.
            k: labels of each class; None = the case's own.
            root: folder of the data set's official files; None = where they usually are.
            rows: the first rows of the training part to use; None = the case's own.
            others: other rows, which carry the other tasks' labels; None = the case's own.

        Raises:
            LabelweaveError: files are missing or damaged, or asked for where there are none.
        """
        options: dict[str, Any] = {"root": root or self.root, "rows": rows}
        options = {name: value for name, value in options.items() if value is not None}
        refused = options.keys() - ({"rows"} if self.limited else set())
        if refused and not self.reads_files:
            raise LabelweaveError(
                f"--{min(refused)}: the data of this case come with a package, not as files"
            )
        if self.reads_files and "root" not in options:
            raise LabelweaveError("--root: found none, expected the folder of the official files")
        if others is not None:
            options["others"] = others
        return self.writer(folder, seeds, k or self.k, **options)
