"""AwA2: 37,322 images of 50 animals, each class with 85 attributes (predicates)."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.grids import matrix
from labelweave.cases.identities import shared_parts
from labelweave.cases.official import found, lines, wrong_line
from labelweave.errors import LabelweaveError, nearest

SUFFIXES = (".jpg", ".jpeg")
TABLE = "awa2_predicates.csv"


def read_awa2(
    root: Path,
    protocol: Literal["shared", "official"] = "shared",
    table: Literal["binary", "continuous"] = "binary",
) -> DataSet:
    """Read Animals_with_Attributes2/, or the folder above it.

    The data set says which attributes a class has, not an image: an image's attributes are those of
    its class, by predicate-matrix-binary.txt.

    Args:
        root: the folder.
        protocol: ``shared`` = every fifth image of a class is for testing; ``official`` = the
            zero-shot split: classes of testclasses.txt are in no training row.
        table: what the relation is told: the binary table, or the shares of people who said yes.

    Raises:
        LabelweaveError: a file or folder is missing, or not as expected.
    """
    inner = root / "Animals_with_Attributes2"
    base = inner if inner.is_dir() else root
    classes = _names(found(base, "classes.txt", what="the names of the classes of AwA2"))
    labels = _names(found(base, "predicates.txt", what="the names of the attributes of AwA2"))
    what = "a row a class, a number an attribute"
    binary = matrix(
        found(base, "predicate-matrix-binary.txt", what="the attributes of the classes"),
        len(classes),
        len(labels),
        what,
    )
    if not np.isin(binary, (0, 1)).all():
        raise LabelweaveError(f"{base / 'predicate-matrix-binary.txt'}: expected only 0 and 1")
    shares = binary
    if table == "continuous":
        file = "predicate-matrix-continuous.txt"
        place = found(base, file, what="the shares of people who see an attribute in a class")
        shares = matrix(place, len(classes), len(labels), what)
        shares = np.where(shares < 0, np.nan, np.clip(shares / 100, 0, 1))  # -1 = unknown
    folder = found(base, "JPEGImages", what="the images of AwA2, in a folder a class")
    head = _images(root, folder, classes)
    if protocol == "shared":
        head["part"] = shared_parts(head["animal"])
    else:
        part = {
            name: side
            for side in ("train", "test")
            for name in _classes(found(base, f"{side}classes.txt", what="its classes"), classes)
        }
        head["part"] = head["animal"].map(part)
        head = head.dropna(subset="part").reset_index(drop=True)
    codes = binary[head["animal"].map({name: i for i, name in enumerate(classes)})]
    knowledge = pd.DataFrame(shares, columns=labels)
    knowledge.insert(0, "animal", classes)
    return DataSet(
        pd.concat([head, pd.DataFrame(codes.astype(np.int8), columns=labels)], axis=1),
        (
            {"name": "animal", "classes": classes},
            {"name": "attributes", "kind": "multilabel", "labels": labels},
        ),
        part="part",
        knowledge={TABLE: knowledge},
        notes=("an image has the attributes of its class, seen in it or not",),
    )


def _names(path: Path) -> list[str]:
    names: list[str] = []
    for number, line in lines(path):
        fields = line.split()
        if len(fields) != 2 or fields[0] != str(len(names) + 1):
            raise wrong_line(path, number, line, f"the number {len(names) + 1} and a name")
        names.append(fields[1])
    return names


def _classes(path: Path, classes: list[str]) -> list[str]:
    for number, line in lines(path):
        if line not in classes:
            raise wrong_line(path, number, line, f"a class of classes.txt{nearest(line, classes)}")
    return [line for _, line in lines(path)]


def _images(root: Path, folder: Path, classes: list[str]) -> pd.DataFrame:
    rows = []
    for name in classes:
        place = found(folder, name, what=f"the images of '{name}', a class of classes.txt")
        files = sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES)
        if not files:
            raise LabelweaveError(f"{place}: found no image, expected files that end in .jpg")
        rows += [(path.relative_to(root).as_posix(), name) for path in files]
    return pd.DataFrame(rows, columns=["image", "animal"])


AWA2 = Reader(
    read_awa2,
    title="AwA2, Animals with Attributes 2",
    source="cvml.ista.ac.at/AwA2 (AwA2-base.zip and AwA2-data.zip)",
    licence="each image has a free licence of its own (licenses in the archive)",
    paper="Xian, Lampert, Schiele and Akata, TPAMI 2019",
    metric="mean accuracy per class; attributes: mean F1",
)
