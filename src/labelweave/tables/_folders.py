"""Folders of images as tables of paths."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from labelweave.errors import LabelweaveError, listing

IMAGES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".bmp", ".pgm", ".ppm", ".tif", ".tiff",
)  # fmt: skip


def read_folder(root: str | Path, column: str, levels: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table of all images below a folder, sorted by their paths.

    Hidden files and folders, and files that are no images by their ending, are passed over.

    Args:
        root: the folder.
        column: the name of the column of the paths, which are relative to `root`.
        levels: columns that the names of the folders become, from the outermost: with
            ``["site", "kind"]`` the file ``a/bolt/1.png`` is of site a and kind bolt. Folders
            deeper down mean nothing.

    Raises:
        LabelweaveError: no such folder, no image in it, or one that lies too high for `levels`.
    """
    root = Path(root)
    if not root.is_dir():
        raise LabelweaveError(f"{root}: no such folder, expected one with images")
    names = sorted(_images(root))
    if not names:
        kinds = listing(IMAGES, len(IMAGES))
        raise LabelweaveError(f"{root}: found no image, expected files {kinds}")
    parts = [Path(name).parts for name in names]
    for name, each in zip(names, parts, strict=True):
        if len(each) <= len(levels):
            raise LabelweaveError(
                f"{root / name}: lies in {len(each) - 1} folders below '{root.name}', expected "
                f"{len(levels)}, for {listing(levels)}"
            )
    columns = {level: [each[i] for each in parts] for i, level in enumerate(levels)}
    return pd.DataFrame({column: names, **columns})


def other_files(root: str | Path) -> list[str]:
    """Return the files below a folder, but hidden ones, that are no images by their endings."""
    return sorted(name for name in _files(Path(root)) if not name.lower().endswith(IMAGES))


def _images(root: Path) -> list[str]:
    return [name for name in _files(root) if name.lower().endswith(IMAGES)]


def _files(root: Path) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        found += [(below / name).as_posix() for name in files if not name.startswith(".")]
    return found
