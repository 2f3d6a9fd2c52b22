"""LFW: 13,233 faces of 5,749 persons, with attributes of Kumar et al. or of LFWA."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from labelweave.cases.celeba import person_set
from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.identities import Protocol, apart, most_frequent
from labelweave.cases.lfwa import read_lfwa
from labelweave.cases.official import check_images, found, lines, wrong_line
from labelweave.errors import LabelweaveError

FOLDERS = ("lfw", "lfw_funneled", "lfw-deepfunneled")
PEOPLE = {"train": "peopleDevTrain.txt", "test": "peopleDevTest.txt"}


def read_lfw(
    root: Path,
    attributes: Literal["kumar", "lfwa-40", "lfwa-73"] = "kumar",
    protocol: Protocol = "official",
    identities: int | None = None,
) -> DataSet:
    """Read a folder with lfw/NAME/NAME_0001.jpg (or lfw_funneled/, lfw-deepfunneled/).

    Args:
        root: the folder.
        attributes: ``kumar`` = lfw_attributes.txt, 73 scores of classifiers, on if positive;
            ``lfwa-40``, ``lfwa-73`` = lfw_att_40.mat or lfw_att_73.mat of the authors of CelebA.
        protocol: ``official`` = persons apart: peopleDevTrain.txt and peopleDevTest.txt of LFW, or
            indices_train_test.mat of LFWA; ``shared`` = every fifth image of each person is for
            testing.
        identities: use the persons with the most images only, so many; None = all.

    Raises:
        LabelweaveError: a file or folder is missing, or not as expected.
    """
    images = found(root, *FOLDERS, what="the images of LFW, in a folder a person").name
    if attributes == "kumar":
        path = found(root, "lfw_attributes.txt", what="the attributes of Kumar et al. (2009)")
        table, labels = _kumar(path)
        if protocol == "official":
            part = table["identity"].map(_people(root))
            table = table.assign(part=part)[part.notna()]
    else:
        path = found(root, f"lfw_att_{attributes[-2:]}.mat", what="the attributes of LFWA")
        table, labels = read_lfwa(path, root if protocol == "official" else None)
    table = table[most_frequent(table["identity"], identities)].reset_index(drop=True)
    table["image"] = f"{images}/" + table["image"]
    check_images(root, list(table["image"]), path)
    if protocol == "official" and not apart(table["identity"], table["part"]):
        raise LabelweaveError(f"{root}: a person has images in the training and the test part")
    return person_set(table, labels, protocol)


def _kumar(path: Path) -> tuple[pd.DataFrame, list[str]]:
    rows, names = [], []
    for number, line in lines(path):
        fields = [field.strip() for field in line.split("\t")]
        if fields[0] == "#":  # the second line: "#", person, imagenum and the attributes
            if fields[1:3] != ["person", "imagenum"] or len(fields) < 4:
                raise wrong_line(path, number, line, "'#', 'person', 'imagenum' and the attributes")
            names = [name.replace(" ", "_") for name in fields[3:]]
        elif not line.startswith("#"):
            rows.append((number, fields))
    if not names or not rows:
        raise LabelweaveError(f"{path}: found no line of column names, or none of an image")
    files, persons, scores = [], [], []
    for number, fields in rows:
        try:
            values = [float(value) for value in fields[2:]]
            image = int(fields[1])
        except (ValueError, IndexError):
            values, image = [], 0
        if len(values) != len(names):
            expected = f"a person, the number of an image and {len(names)} numbers, with tabs"
            raise wrong_line(path, number, "\t".join(fields), expected)
        persons.append(fields[0].replace(" ", "_"))
        files.append(f"{persons[-1]}/{persons[-1]}_{image:04d}.jpg")
        scores.append(values)
    on = pd.DataFrame((np.array(scores) > 0).astype(np.int8), columns=names)
    return pd.concat([pd.DataFrame({"image": files, "identity": persons}), on], axis=1), names


def _people(root: Path) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part, file in PEOPLE.items():
        path = found(root, file, what=f"the persons of the {part} part of LFW")
        for number, line in lines(path):
            fields = line.split()
            if len(fields) == 2 and fields[1].isdigit():
                parts[fields[0]] = part
            elif number > 1:  # the first line is the number of persons
                raise wrong_line(path, number, line, "a person and the number of images")
    return parts


LFW = Reader(
    read_lfw,
    title="LFW, Labeled Faces in the Wild, with attributes",
    source="images and people files: vis-www.cs.umass.edu/lfw; lfw_attributes.txt: "
    "cs.columbia.edu/CAVE/databases/pubfig; LFWA: mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    licence="LFW and its attributes: research; LFWA: non-commercial research only",
    paper="Huang et al. 2007; Kumar et al., ICCV 2009; Liu et al., ICCV 2015",
    metric="mean accuracy over the attributes; identity: accuracy",
)
