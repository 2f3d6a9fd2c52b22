"""Shoes: 14,658 images of ten types of women's shoes, whose types are ordered by ten attributes."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.matlab import read_matlab, texts
from labelweave.cases.official import found
from labelweave.errors import LabelweaveError

FILE = "shoes_attributes.mat"
PARTS = {"train": "train_inds", "validation": "validation_inds", "test": "test_inds"}
TABLE = "shoes_attributes.csv"


def read_shoes(root: Path) -> DataSet:
    """Read shoes_attributes.mat, and images anywhere below the folder, by their names.

    ``orders`` ranks the types by each attribute, 1 = weakest. An attribute counts as on in the
    types whose rank is above the middle, and so in all their images: labels of types, not of single
    images.

    Args:
        root: the folder.

    Raises:
        LabelweaveError: a file is missing, or not as expected.
    """
    path = found(root, FILE, what="the types and attributes of the Shoes data set")
    keys = ("im_names", "class_names", "attribute_names", "class_labels", "orders")
    data = read_matlab(path, *keys, *PARTS.values())
    files, classes = texts(data["im_names"]), texts(data["class_names"])
    labels = texts(data["attribute_names"])
    codes = data["class_labels"].ravel().astype(np.int64) - 1
    orders = data["orders"].astype(np.float64)
    if orders.shape != (len(labels), len(classes)):
        raise LabelweaveError(
            f"{path}: orders: found the shape {orders.shape}, expected {len(labels)} attributes by "
            f"{len(classes)} types"
        )
    if codes.shape != (len(files),) or not np.isin(codes, range(len(classes))).all():
        raise LabelweaveError(
            f"{path}: class_labels: expected {len(files)} numbers from 1 to {len(classes)}"
        )
    middle = (orders.min(axis=1) + orders.max(axis=1)) / 2
    on = (orders > middle[:, None]).T.astype(np.int8)  # (types, attributes)
    part = _parts(path, data, len(files))
    head = pd.DataFrame(
        {
            "image": _images(root, files, path),
            "shoe_type": [classes[code] for code in codes],
            "part": part,
        }
    )
    knowledge = pd.DataFrame(on, columns=labels)
    knowledge.insert(0, "shoe_type", classes)
    table = pd.concat([head, pd.DataFrame(on[codes], columns=labels)], axis=1)
    return DataSet(
        table.dropna(subset="part").reset_index(drop=True),
        (
            {"name": "shoe_type", "classes": classes},
            {"name": "attributes", "kind": "multilabel", "labels": labels},
        ),
        part="part",
        knowledge={TABLE: knowledge},
        notes=(
            "an image has the attributes of its type: those in which the type ranks above the "
            "middle",
            f"{sum(p is None for p in part)} images are in no official part and left out",
        ),
    )


def _parts(path: Path, data: dict[str, NDArray[np.generic]], n: int) -> list[str | None]:
    part: list[str | None] = [None] * n
    for name, key in PARTS.items():
        for row in data[key].ravel().astype(np.int64):
            if not 1 <= row <= n:
                raise LabelweaveError(
                    f"{path}: {key}: found {row}, expected numbers of images from 1 to {n}"
                )
            part[row - 1] = name
    return part


def _images(root: Path, files: list[str], path: Path) -> list[str]:
    places = {p.name: p for p in sorted(root.rglob("*.jpg"))}
    missing = [file for file in files if file not in places]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise LabelweaveError(
            f"{root}: found no image {missing[0]}{more} in any folder below, expected all "
            f"{len(files)} that {path} lists"
        )
    return [places[file].relative_to(root).as_posix() for file in files]


SHOES = Reader(
    read_shoes,
    title="Shoes, of the Attribute Discovery data set",
    source="shoes_attributes.mat: vision.cs.utexas.edu/whittlesearch; images: "
    "tamaraberg.com/attributesDataset",
    licence="research; the images belong to the shops",
    paper="Berg, Berg and Shih, ECCV 2010; Kovashka, Parikh and Grauman, CVPR 2012",
    metric="accuracy of the type; attributes: mean F1",
)
