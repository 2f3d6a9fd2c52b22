"""RAF-DB: faces from the web with seven basic expressions, or with eleven compound ones."""

from pathlib import Path
from typing import Literal

import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.expressions import EXPRESSION, expression_task
from labelweave.cases.official import check_images, found, lines, wrong_line
from labelweave.errors import LabelweaveError

BASIC = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
COMPOUND = (
    "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised",
    "sadly disgusted", "fearfully angry", "fearfully surprised", "angrily surprised",
    "angrily disgusted", "disgustedly surprised",
)  # fmt: skip
LIST = ("EmoLabel/list_patition_label.txt", "EmoLabel/list_partition_label.txt")  # sic, first
TASKS = {"basic": (EXPRESSION, BASIC), "compound": ("compound_expression", COMPOUND)}


def read_raf_db(
    root: Path,
    labels: Literal["basic", "compound"] = "basic",
    images: Literal["aligned", "original"] = "aligned",
) -> DataSet:
    """Read a folder with EmoLabel/ and Image/, or one with basic/ or compound/ above these.

    Every line of the list is an image and a class number from 1: ``train_00001.jpg 5``. Names that
    begin with "train" and "test" are the official parts.

    Args:
        root: the folder.
        labels: the basic or the compound expressions.
        images: the aligned faces of 100 x 100 pixels, or the original images.

    Raises:
        LabelweaveError: a file or folder is missing, or a line is not as expected.
    """
    base = root / labels if (root / labels).is_dir() else root
    path = found(base, *LIST, what=f"the list of images and classes of RAF-DB ({labels})")
    folder = found(base, f"Image/{images}", what=f"the {images} images of RAF-DB")
    name, classes = TASKS[labels]
    rows = []
    for number, line in lines(path):
        image, _, code = line.rpartition(" ")
        part = image.partition("_")[0]
        if part not in ("train", "test") or code not in map(str, range(1, len(classes) + 1)):
            expected = f"'train_...' or 'test_...' and a class from 1 to {len(classes)}"
            raise wrong_line(path, number, line, expected)
        file = Path(image)
        shown = f"{file.stem}_aligned{file.suffix}" if images == "aligned" else file.name
        rows.append(((folder / shown).relative_to(root).as_posix(), classes[int(code) - 1], part))
    if not rows:
        raise LabelweaveError(f"{path}: found no line, expected one for every image")
    table = pd.DataFrame(rows, columns=["image", name, "part"])
    check_images(root, list(table["image"]), path)
    task = {**expression_task(classes), "name": name}
    return DataSet(table, (task,), part="part")


RAF_DB = Reader(
    read_raf_db,
    title="RAF-DB, the Real-world Affective Faces Database",
    source="on request from its authors: www.whdeng.cn/raf/model1.html",
    licence="non-commercial research only",
    paper="Li, Deng and Du, CVPR 2017",
    metric="average accuracy, the mean recall of the classes (balanced_accuracy)",
)
