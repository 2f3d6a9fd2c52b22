"""CelebA: 202,599 faces of 10,177 persons with 40 attributes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.grids import codes_of, counted_rows
from labelweave.cases.identities import Protocol, hide_unknown, most_frequent, shared_parts
from labelweave.cases.official import check_images, found, lines, wrong_line
from labelweave.errors import LabelweaveError

CODES = {"-1": 0, "1": 1}
PARTS = {"0": "train", "1": "validation", "2": "test"}


def read_celeba(
    root: Path, protocol: Protocol = "official", identities: int | None = None
) -> DataSet:
    """Read the aligned images, with identities and attributes.

    The text files lie in the folder itself, or in Anno/ and Eval/ as in the archive; the images in
    img_align_celeba/ or Img/img_align_celeba/.

    Args:
        root: the folder.
        protocol: ``official`` = the authors' parts, in which persons are apart, so test rows have
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
    for number, line in lines(path):
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
    title="CelebA, CelebFaces Attributes",
    source="mmlab.ie.cuhk.edu.hk/projects/CelebA.html (Align&Cropped Images, Anno, Eval)",
    licence="non-commercial research only; no redistribution of the images",
    paper="Liu, Luo, Wang and Tang, ICCV 2015",
    metric="mean accuracy over the 40 attributes; identity: accuracy",
)
