"""CUB-200-2011: 11,788 birds of 200 species with 312 attributes."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from labelweave._options import Options
from labelweave.datasets._official import (
    DataSet,
    Reader,
    check_images,
    found,
    matrix,
    shared_parts,
    text_lines,
    wrong_line,
)
from labelweave.errors import LabelweaveError, nearest

FIELDS = 8  # some lines of the attribute labels have six or seven fields for five; the first four
USED = ("image", "attribute", "present", "certainty")  # are as on all others
CUB_TABLE = "cub_attributes.csv"


class CUBOptions(Options):
    """The options of `read_cub`."""

    certainty: Annotated[int, Field(ge=1, le=4)] = 2


def read_cub(root: Path, certainty: int) -> DataSet:
    """Read CUB_200_2011/, or the folder above it, which holds attributes.txt in the archive.

    Parts and bounding boxes are not used.

    Args:
        root: the folder.
        certainty: the least certainty of an attribute label, else it is missing: 1 = not visible,
            2 = guessing, 3 = probably, 4 = definitely.

    Raises:
        LabelweaveError: a file or folder is missing, or not as expected.
    """
    base = root / "CUB_200_2011" if (root / "CUB_200_2011").is_dir() else root
    listed = found(base, "images.txt", what="the list of images of CUB-200-2011")
    found(base, "images", what="the images of CUB-200-2011, in a folder a species")
    files = _listed(listed)
    classes = _listed(found(base, "classes.txt", what="the names of the species"))
    species = _listed(found(base, "image_class_labels.txt", what="the species of every image"))
    parts = _listed(found(base, "train_test_split.txt", what="the official parts"))
    for name, values, known, expected in (
        ("image_class_labels.txt", species, classes, "the number of a class of classes.txt"),
        ("train_test_split.txt", parts, ("0", "1"), "0 or 1"),
    ):
        wrong = next((i for i in files if values.get(i) not in known), None)
        if wrong is not None:
            raise LabelweaveError(
                f"{base / name}: image {wrong}: found '{values.get(wrong)}', expected {expected}"
            )
    where = ("attributes/attributes.txt", "../attributes.txt", "attributes.txt")
    labels = list(_listed(found(base, *where, what="the names of the attributes")).values())
    path = found(base, "attributes/image_attribute_labels.txt", what="the attributes of images")
    codes, note = _codes(path, files, len(labels), certainty)
    head = pd.DataFrame(
        {
            "image": [(base.relative_to(root) / "images" / f).as_posix() for f in files.values()],
            "species": [classes[species[i]] for i in files],
            "part": ["train" if parts[i] == "1" else "test" for i in files],
        }
    )
    check_images(root, list(head["image"]), listed)
    shares = matrix(
        found(
            base,
            "attributes/class_attribute_labels_continuous.txt",
            what="the attributes of every species",
        ),
        len(classes),
        len(labels),
        "a row a species, a percentage an attribute",
    )
    knowledge = pd.DataFrame(np.clip(shares / 100, 0, 1), columns=labels)
    knowledge.insert(0, "species", list(classes.values()))
    return DataSet(
        pd.concat([head, pd.DataFrame(codes, columns=labels)], axis=1),
        (
            {"name": "species", "classes": list(classes.values())},
            {"name": "attributes", "kind": "multilabel", "labels": labels},
        ),
        part="part",
        knowledge={CUB_TABLE: knowledge},
        notes=(note, "the table of the species is as published, from images of both parts"),
    )


def _listed(path: Path) -> dict[str, str]:
    """Return what follows the number of every line, by that number."""
    values: dict[str, str] = {}
    for number, line in text_lines(path):
        key, _, value = line.partition(" ")
        if not key.isdigit() or not value:
            raise wrong_line(path, number, line, "a number and a value")
        values[key] = value.strip()
    return values


def _codes(
    path: Path, files: dict[str, str], width: int, certainty: int
) -> tuple[NDArray[np.float32], str]:
    """Return the labels of all images, (n, width), NaN = missing, and a note on odd lines."""
    try:
        frame = pd.read_csv(
            path, sep=r"\s+", header=None, names=list(range(FIELDS)), skip_blank_lines=False
        )
        frame = frame.dropna(how="all")
        used = frame[list(range(4))].astype(np.int64).set_axis(list(USED), axis=1)
    except (ValueError, TypeError, pd.errors.ParserError):
        raise LabelweaveError(
            f"{path}: expected lines of an image, an attribute, 0 or 1, a certainty and a time"
        ) from None
    row_of = {int(number): row for row, number in enumerate(files)}
    rows = used["image"].map(row_of)
    good = rows.notna() & used["attribute"].between(1, width) & used["certainty"].between(1, 4)
    good &= used["present"].isin((0, 1))
    if not good.all():
        number = int(np.flatnonzero(~good)[0])
        line = " ".join(str(value) for value in used.iloc[number])
        expected = (
            f"an image that images.txt lists, an attribute from 1 to {width}, 0 or 1, and 1 to 4"
        )
        raise wrong_line(path, int(frame.index[number]) + 1, line, expected)
    codes = np.full((len(files), width), np.nan, dtype=np.float32)
    sure = (used["certainty"] >= certainty).to_numpy()
    places = rows.to_numpy().astype(np.int64)[sure], used["attribute"].to_numpy()[sure] - 1
    codes[places] = used["present"].to_numpy()[sure]
    odd = int(frame[5].notna().sum())
    return codes, (
        f"{1 - sure.mean():.1%} of the attribute labels are less certain than {certainty} of 4 and "
        f"left out; {odd} lines with more than five fields were read by their first four"
    )


CUB = Reader(
    read_cub,
    options=CUBOptions,
    title="CUB-200-2011, Caltech-UCSD Birds",
    source="data.caltech.edu/records/20098 (CUB_200_2011.tgz)",
    licence="non-commercial research and education; the images belong to their photographers",
    paper="Wah, Branson, Welinder, Perona and Belongie, 2011",
    metric="accuracy of species; attributes: mean F1, balanced accuracy or mAP",
)


SUFFIXES = (".jpg", ".jpeg")
AWA2_TABLE = "awa2_predicates.csv"


class AwA2Options(Options):
    """The options of `read_awa2`."""

    protocol: Literal["shared", "official"] = "shared"
    table: Literal["binary", "continuous"] = "binary"


def read_awa2(
    root: Path, protocol: Literal["shared", "official"], table: Literal["binary", "continuous"]
) -> DataSet:
    """Read Animals_with_Attributes2/, or the folder above it.

    The data set says which attributes a class has, not an image: an image's attributes are those of
    its class, by predicate-matrix-binary.txt.

    Args:
        root: the folder.
        protocol: ``shared`` = every fifth image of a class is for testing; ``official`` = the
            zero-shot split: classes of testclasses.txt are in no training row.
        table: the values of the relation: the binary table, or the shares of people who said yes.

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
        knowledge={AWA2_TABLE: knowledge},
        notes=("an image has the attributes of its class, seen in it or not",),
    )


def _names(path: Path) -> list[str]:
    names: list[str] = []
    for number, line in text_lines(path):
        fields = line.split()
        if len(fields) != 2 or fields[0] != str(len(names) + 1):
            raise wrong_line(path, number, line, f"the number {len(names) + 1} and a name")
        names.append(fields[1])
    return names


def _classes(path: Path, classes: list[str]) -> list[str]:
    for number, line in text_lines(path):
        if line not in classes:
            raise wrong_line(path, number, line, f"a class of classes.txt{nearest(line, classes)}")
    return [line for _, line in text_lines(path)]


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
    options=AwA2Options,
    title="AwA2, Animals with Attributes 2",
    source="cvml.ista.ac.at/AwA2 (AwA2-base.zip and AwA2-data.zip)",
    licence="each image has its own free licence (licenses in the archive)",
    paper="Xian, Lampert, Schiele and Akata, TPAMI 2019",
    metric="mean accuracy per class; attributes: mean F1",
)
