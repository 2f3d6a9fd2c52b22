"""LFWA: the attributes of LFW by the authors of CelebA, in MATLAB files of version 7.3 (HDF5)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.cases.official import found
from labelweave.errors import LabelweaveError, listing

INDICES = "indices_train_test.mat"


def read_lfwa(path: Path, parts: Path | None = None) -> tuple[pd.DataFrame, list[str]]:
    r"""Read lfw_att_40.mat or lfw_att_73.mat.

    Their variables: ``name`` (``NAME\NAME_0001.jpg``), ``AttrName`` and ``label``.

    Args:
        path: the file.
        parts: the folder of indices_train_test.mat, with row numbers from 1 in
            ``indices_img_train`` and ``indices_img_test``; None = no official parts.

    Returns:
        Columns image (``NAME/NAME_0001.jpg``), identity, the attributes and part, and the names of
        the attributes, with underscores for spaces.

    Raises:
        LabelweaveError: h5py is not installed, or a file is missing or not as expected.
    """
    with _opened(path, ("name", "AttrName", "label")) as file:
        names = [text.replace("\\", "/") for text in _texts(file, "name")]
        labels = [text.strip().replace(" ", "_") for text in _texts(file, "AttrName")]
        codes = np.asarray(file["label"]).T  # MATLAB's (n, attributes), stored by columns
    if codes.shape != (len(names), len(labels)) or not np.isin(codes, (0, 1)).all():
        raise LabelweaveError(
            f"{path}: found labels of shape {codes.shape}, expected 0 or 1 for {len(names)} images "
            f"and {len(labels)} attributes"
        )
    head = pd.DataFrame({"image": names, "identity": [name.partition("/")[0] for name in names]})
    table = pd.concat([head, pd.DataFrame(codes.astype(np.int8), columns=labels)], axis=1)
    if parts is not None:
        table["part"] = _parts(found(parts, INDICES, what="the official parts of LFWA"), len(names))
        table = table.dropna(subset="part")
    return table, labels


def _parts(path: Path, n: int) -> pd.Series:
    part = pd.Series([None] * n, dtype=object)
    with _opened(path, ("indices_img_train", "indices_img_test")) as file:
        for name in ("train", "test"):
            rows = np.asarray(file[f"indices_img_{name}"]).ravel().astype(np.int64) - 1
            if len(rows) and not 0 <= rows.min() <= rows.max() < n:
                raise LabelweaveError(
                    f"{path}: indices_img_{name}: found {rows.min() + 1} to {rows.max() + 1}, "
                    f"expected row numbers from 1 to {n}"
                )
            part[rows] = name
    return part


def _opened(path: Path, keys: tuple[str, ...]) -> Any:
    try:
        import h5py
    except ImportError:
        raise LabelweaveError(
            f"{path}: MATLAB files of version 7.3 need h5py: pip install 'labelweave[cases]'"
        ) from None
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise LabelweaveError(f"{path}: not a MATLAB file of version 7.3 (HDF5)") from None
    missing = [key for key in keys if key not in file]
    if missing:
        held = listing(key for key in file if key != "#refs#")
        file.close()
        raise LabelweaveError(f"{path}: found {held}, expected '{missing[0]}' among them")
    return file


def _texts(file: Any, key: str) -> list[str]:
    """Return the texts of a MATLAB cell array: references to arrays of character codes."""
    references: NDArray[Any] = np.asarray(file[key]).ravel()
    return ["".join(map(chr, np.asarray(file[each]).ravel())) for each in references]
