"""AffectNet: faces from the web with eight expressions, in its older and its newer layout."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.expressions import EXPRESSION, expression_task
from labelweave.cases.official import found, lines, wrong_line
from labelweave.data.progress import items_bar
from labelweave.errors import LabelweaveError

CLASSES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
)  # fmt: skip
NO_CLASS = {8: "none", 9: "uncertain", 10: "no face"}
COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
LISTS = {"train": "training.csv", "test": "validation.csv"}
FOLDERS = {"train": "train_set", "test": "val_set"}
IMAGES = (
    "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images",
)  # fmt: skip


def read_affectnet(
    root: Path,
    classes: Literal[7, 8] = 8,
    layout: Literal["auto", "csv", "npy"] = "auto",
) -> DataSet:
    """Read AffectNet; the official test labels are not public, so the validation part is the test.

    The older layout has ``training.csv`` and ``validation.csv`` (with or without a head) in
    ``Manually_Annotated_file_lists/`` or in `root`, and the images in
    ``Manually_Annotated_Images/``. The newer one has ``train_set/images/ID.jpg`` and
    ``train_set/annotations/ID_exp.npy``, and the same below ``val_set/``.
    Images of the classes "none", "uncertain" and "no face" are left out.

    Args:
        root: the folder.
        classes: 8, or 7 without contempt, whose images are then left out.
        layout: which of the two layouts; "auto" = the newer one, where there is a ``train_set``.

    Raises:
        LabelweaveError: a file or folder is missing, or an annotation is not as expected.
    """
    newer = layout == "npy" or (layout == "auto" and (root / "train_set").is_dir())
    rows, left_out = [], 0
    for part in LISTS:
        for image, code in (_annotated if newer else _listed)(root, part):
            if code < classes:
                rows.append((image, CLASSES[code], part))
            else:
                left_out += 1
    if not rows:
        raise LabelweaveError(f"{root}: found no image with one of the {classes} classes")
    table = pd.DataFrame(rows, columns=["image", EXPRESSION, "part"])
    notes = [f"{left_out} images of other classes are left out"] if left_out else []
    return DataSet(table, (expression_task(CLASSES[:classes]),), part="part", notes=tuple(notes))


def _listed(root: Path, part: str) -> Iterator[tuple[str, int]]:
    name = LISTS[part]
    path = found(
        root, f"Manually_Annotated_file_lists/{name}", name, what=f"the {part} list of AffectNet"
    )
    images = found(root, *IMAGES, what="the manually annotated images of AffectNet")
    for number, line in lines(path):
        cells = next(csv.reader([line]))
        if number == 1 and cells[0] == COLUMNS[0]:
            continue
        code = cells[6].strip() if len(cells) == len(COLUMNS) else ""
        if not code.isdigit() or int(code) > max(NO_CLASS):
            expected = f"{len(COLUMNS)} cells, the seventh a class from 0 to {max(NO_CLASS)}"
            raise wrong_line(path, number, line, expected)
        image = images / cells[0]
        if int(code) < len(CLASSES) and not image.is_file():
            raise LabelweaveError(f"{image}: no such image, but {path}, line {number}, names it")
        yield image.relative_to(root).as_posix(), int(code)


def _annotated(root: Path, part: str) -> Iterator[tuple[str, int]]:
    folder = found(root, FOLDERS[part], what=f"the {part} part of AffectNet")
    images = found(folder, "images", what="the images")
    annotations = found(folder, "annotations", what="files such as 0_exp.npy")
    files = sorted(images.glob("*.jpg"), key=lambda path: (len(path.stem), path.stem))
    if not files:
        raise LabelweaveError(f"{images}: found no .jpg file, expected the images of AffectNet")
    with items_bar(True) as bar:
        shown = bar.add_task(f"AffectNet {part}", total=len(files))
        for image in files:
            yield image.relative_to(root).as_posix(), _class(annotations / f"{image.stem}_exp.npy")
            bar.advance(shown)


def _class(path: Path) -> int:
    try:
        value = np.load(path, allow_pickle=False)  # a number, or a text that is one
        code = int(str(value.item()))
    except FileNotFoundError:
        raise LabelweaveError(f"{path}: no such file, expected the class of the image") from None
    except (OSError, ValueError, EOFError):
        raise LabelweaveError(f"{path}: not a NumPy file with one whole number") from None
    if not 0 <= code <= max(NO_CLASS):
        raise LabelweaveError(f"{path}: found {code}, expected a class from 0 to {max(NO_CLASS)}")
    return code


AFFECTNET = Reader(
    read_affectnet,
    title="AffectNet",
    source="on request: mohammadmahoor.com/pages/databases/affectnet",
    licence="non-commercial research only, with a signed agreement",
    paper="Mollahosseini, Hasani and Mahoor, 2017",
    metric="total accuracy (accuracy)",
)
