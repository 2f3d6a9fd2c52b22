"""CelebA: 202,599 faces of 10,177 persons with 40 attributes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._options import Options
from labelweave.datasets._official import (
    Count,
    DataSet,
    Protocol,
    Reader,
    check_images,
    codes_of,
    counted_rows,
    disjoint,
    found,
    hide_unknown,
    most_frequent,
    shared_parts,
    text_lines,
    wrong_line,
)
from labelweave.errors import LabelweaveError, listing

CODES = {"-1": 0, "1": 1}
PARTS = {"0": "train", "1": "validation", "2": "test"}


class CelebAOptions(Options):
    """The options of `read_celeba`."""

    protocol: Protocol = "official"
    identities: Count | None = None


def read_celeba(root: Path, protocol: Protocol, identities: int | None) -> DataSet:
    """Read the aligned images, with identities and attributes.

    The text files lie in the folder itself, or in Anno/ and Eval/ as in the archive; the images in
    img_align_celeba/ or Img/img_align_celeba/.

    Args:
        root: the folder.
        protocol: ``official`` = the authors' parts, which share no persons, so test rows have
            no identity to predict; ``shared`` = every fifth image of each person is for testing.
        identities: use the persons with the most images only, so many; None = all.

    Raises:
        LabelweaveError: a file or folder is missing, or not as expected.
    """
    path = found(
        root, "list_attr_celeba.txt", "Anno/list_attr_celeba.txt", what="the attributes of CelebA"
    )
    images = found(
        root, "img_align_celeba", "Img/img_align_celeba", what="the aligned images of CelebA"
    )
    rows = counted_rows(path, progress=True)
    _, names = next(rows)
    files, codes = [], []
    for number, (file, *values) in rows:
        files.append(file)
        codes.append(codes_of(path, number, values, len(names), CODES))
    attributes = pd.DataFrame(np.stack(codes), columns=names)
    identity = _values(
        found(root, "identity_CelebA.txt", "Anno/identity_CelebA.txt", what="the persons"), files
    )
    folder = images.relative_to(root).as_posix()
    head = {"image": [f"{folder}/{file}" for file in files], "identity": identity}
    table = pd.concat([pd.DataFrame(head), attributes], axis=1)
    if protocol == "official":
        where = ("list_eval_partition.txt", "Eval/list_eval_partition.txt")
        place = found(root, *where, what="the official parts of CelebA")
        table["part"] = [PARTS[part] for part in _values(place, files, PARTS)]
    kept = table[most_frequent(table["identity"], identities)].reset_index(drop=True)
    check_images(root, list(kept["image"]), path)
    return person_set(kept, names, protocol)


def person_set(table: pd.DataFrame, labels: list[str], protocol: Protocol) -> DataSet:
    """Return the data set of a table with columns ``identity``, `labels` and official ``part``.

    Args:
        table: a row an image.
        labels: the attributes.
        protocol: with ``shared`` the column ``part`` is made here.
    """
    person = table["identity"]
    notes: tuple[str, ...] = ()
    if protocol == "shared":
        table = table.assign(part=shared_parts(person))
    else:
        table = table.assign(person=person, identity=hide_unknown(person, table["part"]))
        notes = ("persons of the test part have no training image: their identity is left out",)
    classes = sorted(table["identity"].dropna().unique(), key=lambda name: (len(name), name))
    tasks = (
        {"name": "identity", "classes": classes},
        {"name": "attributes", "kind": "multilabel", "labels": labels},
    )
    group = "person" if protocol == "official" else None
    return DataSet(table, tasks, group=group, part="part", notes=notes)


def _values(path: Path, files: list[str], allowed: Mapping[str, str] | None = None) -> list[str]:
    """Return the number that a file gives to each image."""
    values: dict[str, str] = {}
    for number, line in text_lines(path):
        fields = line.split()
        if len(fields) != 2 or not fields[1].isdigit() or (allowed and fields[1] not in allowed):
            expected = "an image and " + (f"one of {', '.join(allowed)}" if allowed else "a number")
            raise wrong_line(path, number, line, expected)
        values[fields[0]] = fields[1]
    missing = [file for file in files if file not in values]
    if missing:
        raise LabelweaveError(f"{path}: found no line of the image '{missing[0]}'")
    return [values[file] for file in files]


CELEBA = Reader(
    read_celeba,
    options=CelebAOptions,
    title="CelebA, CelebFaces Attributes",
    source="mmlab.ie.cuhk.edu.hk/projects/CelebA.html (Align&Cropped Images, Anno, Eval)",
    licence="non-commercial research only; no redistribution of the images",
    paper="Liu, Luo, Wang and Tang, ICCV 2015",
    metric="mean accuracy over the 40 attributes; identity: accuracy",
)


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


FOLDERS = ("lfw", "lfw_funneled", "lfw-deepfunneled")
PEOPLE = {"train": "peopleDevTrain.txt", "test": "peopleDevTest.txt"}


class LFWOptions(Options):
    """The options of `read_lfw`."""

    attributes: Literal["kumar", "lfwa-40", "lfwa-73"] = "kumar"
    protocol: Protocol = "official"
    identities: Count | None = None


def read_lfw(
    root: Path,
    attributes: Literal["kumar", "lfwa-40", "lfwa-73"],
    protocol: Protocol,
    identities: int | None,
) -> DataSet:
    """Read a folder with lfw/NAME/NAME_0001.jpg (or lfw_funneled/, lfw-deepfunneled/).

    Args:
        root: the folder.
        attributes: ``kumar`` = lfw_attributes.txt, 73 scores of classifiers, on if positive;
            ``lfwa-40``, ``lfwa-73`` = lfw_att_40.mat or lfw_att_73.mat of the authors of CelebA.
        protocol: ``official`` = no person in two parts: peopleDevTrain.txt and peopleDevTest.txt of
            LFW, or indices_train_test.mat of LFWA; ``shared`` = every fifth image of each person is
            for testing.
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
    if protocol == "official" and not disjoint(table["identity"], table["part"]):
        raise LabelweaveError(f"{root}: a person has images in the training and the test part")
    return person_set(table, labels, protocol)


def _kumar(path: Path) -> tuple[pd.DataFrame, list[str]]:
    rows, names = [], []
    for number, line in text_lines(path):
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
        for number, line in text_lines(path):
            fields = line.split()
            if len(fields) == 2 and fields[1].isdigit():
                parts[fields[0]] = part
            elif number > 1:  # the first line is the number of persons
                raise wrong_line(path, number, line, "a person and the number of images")
    return parts


LFW = Reader(
    read_lfw,
    options=LFWOptions,
    title="LFW, Labeled Faces in the Wild, with attributes",
    source="images and people files: vis-www.cs.umass.edu/lfw; lfw_attributes.txt: "
    "cs.columbia.edu/CAVE/databases/pubfig; LFWA: mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    licence="LFW and its attributes: research; LFWA: non-commercial research only",
    paper="Huang et al. 2007; Kumar et al., ICCV 2009; Liu et al., ICCV 2015",
    metric="mean accuracy over the attributes; identity: accuracy",
)
