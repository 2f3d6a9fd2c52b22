"""Clothing Attributes: 1,856 persons in the street, with 26 attributes of their upper body."""

from pathlib import Path

import numpy as np
import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.matlab import read_matlab
from labelweave.cases.official import check_images, found
from labelweave.errors import LabelweaveError

MULTICLASS = {"category": 7, "neckline": 3, "sleevelength": 3}
BINARY = (
    "black", "blue", "brown", "collar", "cyan", "gender", "gray", "green", "many_colors", "necktie",
    "pattern_floral", "pattern_graphics", "pattern_plaid", "pattern_solid", "pattern_spot",
    "pattern_stripe", "placket", "purple", "red", "scarf", "skin_exposure", "white", "yellow",
)  # fmt: skip


def read_clothing_attributes(root: Path) -> DataSet:
    """Read images/000001.jpg, ... and labels/NAME_GT.mat, each with a column ``GT``, NaN = missing.

    Classes keep the numbers that the files give them. A binary attribute is on where its number is
    2.

    Args:
        root: ClothingAttributeDataset/, or the folder above it.

    Raises:
        LabelweaveError: a file or folder is missing, or not as expected.
    """
    inner = root / "ClothingAttributeDataset"
    base = inner if inner.is_dir() else root
    folder = found(base, "images", what="the images of Clothing Attributes")
    place = found(base, "labels", what="the labels of Clothing Attributes, a file an attribute")
    columns: dict[str, pd.Series] = {}
    for name, classes in (*MULTICLASS.items(), *dict.fromkeys(BINARY, 2).items()):
        path = found(place, f"{name}_GT.mat", what=f"the attribute '{name}'")
        values = pd.Series(read_matlab(path, "GT")["GT"].ravel().astype(np.float64))
        if not values.dropna().isin(range(1, classes + 1)).all():
            raise LabelweaveError(f"{path}: expected numbers from 1 to {classes}, or NaN")
        if columns and len(values) != len(columns["category"]):
            raise LabelweaveError(
                f"{path}: found {len(values)} rows, expected {len(columns['category'])}, as in "
                "category_GT.mat"
            )
        if name in MULTICLASS:
            columns[name] = (name + " " + values.astype("Int64").astype(str)).where(values.notna())
        else:
            columns[name] = values - 1
    prefix = folder.relative_to(root).as_posix()
    images = [f"{prefix}/{i + 1:06d}.jpg" for i in range(len(columns["category"]))]
    check_images(root, images, place / "category_GT.mat")
    tasks = [
        {"name": name, "classes": [f"{name} {code}" for code in range(1, classes + 1)]}
        for name, classes in MULTICLASS.items()
    ]
    return DataSet(
        pd.DataFrame({"image": images, **columns}),
        (*tasks, {"name": "attributes", "kind": "multilabel", "labels": list(BINARY)}),
        notes=("no official parts",),
    )


CLOTHING_ATTRIBUTES = Reader(
    read_clothing_attributes,
    title="Clothing Attributes",
    source="purl.stanford.edu/tb980qz1002",
    licence="see the archive; the photographs belong to their authors",
    paper="Chen, Gallagher and Girod, ECCV 2012",
    metric="accuracy an attribute, balanced accuracy",
)
