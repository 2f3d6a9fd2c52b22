"""Names that data sets of facial expressions share, so that they can be joined."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from labelweave._files import check_regular
from labelweave._options import Options
from labelweave._progress import items_bar
from labelweave.datasets._official import (
    Count,
    DataSet,
    Reader,
    check_images,
    found,
    numbered,
    text_lines,
    wrong_line,
)
from labelweave.errors import LabelweaveError

EXPRESSION = "expression"
ACTION_UNITS = "action_units"


def expression_task(classes: Sequence[str]) -> dict[str, Any]:
    """Return the task of expressions as a study file describes it."""
    return {"name": EXPRESSION, "classes": list(classes)}


def unit_names(numbers: Sequence[int]) -> list[str]:
    """Return the labels of action units, for example ``["AU1", "AU12"]``."""
    return [f"AU{number}" for number in numbers]


def unit_task(numbers: Sequence[int]) -> dict[str, Any]:
    """Return the task of action units as a study file describes it."""
    return {"name": ACTION_UNITS, "kind": "multilabel", "labels": unit_names(numbers)}


CLASSES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
)  # fmt: skip
NO_CLASS = {8: "none", 9: "uncertain", 10: "no face"}
COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
LISTS = {"train": "training.csv", "test": "validation.csv"}
AFFECTNET_FOLDERS = {"train": "train_set", "test": "val_set"}
AFFECTNET_IMAGES = (
    "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images",
)  # fmt: skip


class AffectNetOptions(Options):
    """The options of `read_affectnet`."""

    classes: Literal[7, 8] = 8
    layout: Literal["auto", "csv", "npy"] = "auto"


def read_affectnet(
    root: Path, classes: Literal[7, 8], layout: Literal["auto", "csv", "npy"]
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
    images = found(root, *AFFECTNET_IMAGES, what="the manually annotated images of AffectNet")
    for number, line in text_lines(path):
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
    folder = found(root, AFFECTNET_FOLDERS[part], what=f"the {part} part of AffectNet")
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
        check_regular(path)
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
    options=AffectNetOptions,
    title="AffectNet",
    source="on request: mohammadmahoor.com/pages/databases/affectnet",
    licence="non-commercial research only, with a signed agreement",
    paper="Mollahosseini, Hasani and Mahoor, 2017",
    metric="total accuracy (accuracy)",
)


BASIC = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
COMPOUND = (
    "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised",
    "sadly disgusted", "fearfully angry", "fearfully surprised", "angrily surprised",
    "angrily disgusted", "disgustedly surprised",
)  # fmt: skip
LIST = ("EmoLabel/list_patition_label.txt", "EmoLabel/list_partition_label.txt")  # sic, first
RAF_DB_TASKS = {"basic": (EXPRESSION, BASIC), "compound": ("compound_expression", COMPOUND)}


class RafDBOptions(Options):
    """The options of `read_raf_db`."""

    labels: Literal["basic", "compound"] = "basic"
    images: Literal["aligned", "original"] = "aligned"


def read_raf_db(
    root: Path, labels: Literal["basic", "compound"], images: Literal["aligned", "original"]
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
    name, classes = RAF_DB_TASKS[labels]
    rows = []
    for number, line in text_lines(path):
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
    options=RafDBOptions,
    title="RAF-DB, the Real-world Affective Faces Database",
    source="on request from its authors: www.whdeng.cn/raf/model1.html",
    licence="non-commercial research only",
    paper="Li, Deng and Du, CVPR 2017",
    metric="average accuracy, the mean recall of the classes (balanced_accuracy)",
)


EXPRESSIONS = (
    "neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other",
)  # fmt: skip
AFF_WILD2_UNITS = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)
SETS = {
    "expression": ("EXPR_Set", "EXPR_Classification_Challenge", "EXPR_Recognition_Challenge"),
    "action_units": ("AU_Set", "AU_Detection_Challenge"),
}
AFF_WILD2_PARTS = {"Train_Set": "train", "Validation_Set": "test"}
AFF_WILD2_UNKNOWN = "-1"
FRAMES = ".jpg", ".png"


class AffWild2Options(Options):
    """The options of `read_aff_wild2`."""

    labels: Literal["both", "expression", "action_units"] = "both"
    every: Count = 10
    frames: str = "cropped_aligned"


def read_aff_wild2(
    root: Path, labels: Literal["both", "expression", "action_units"], every: int, frames: str
) -> DataSet:
    """Read annotations and frames; one line of a text file after its head is one frame.

    ``EXPR_Set/Train_Set/VIDEO.txt`` has a head with the names of the classes and then a class
    number a line; ``AU_Set/Train_Set/VIDEO.txt`` has the names of the units and 0 or 1 for each.
    -1 is unknown. Line i belongs to ``cropped_aligned/VIDEO/0000i.jpg``; frames without a file,
    where no face was found, are left out. The labels of the official test part are not public, so
    the validation part is the test, as in papers. A video that is in the training part of one task
    and in the validation part of the other is tested on only.

    Args:
        root: the folder, with or without a folder ``annotations`` in between; the newer names
            ``EXPR_Classification_Challenge`` and ``AU_Detection_Challenge`` are known, too.
        labels: which of the tasks to read.
        every: use each n-th frame only; neighbours hardly differ.
        frames: the folder of the frames, below `root`.

    Raises:
        LabelweaveError: a file or folder is missing, or a line is not as expected.
    """
    wanted = ("expression", "action_units") if labels == "both" else (labels,)
    pictures = found(root, frames, what="a folder with frames for every video")
    rows: dict[str, dict[int, dict[str, Any]]] = {}  # by video and frame
    part_of: dict[str, str] = {}
    tasks = []
    for task in wanted:
        places = [f"{above}{name}" for name in SETS[task] for above in ("", "annotations/")]
        folder = found(root, *places, what=f"the annotations of Aff-Wild2 ({task})")
        task_names: list[str] = []
        for name, part in AFF_WILD2_PARTS.items():
            place = found(folder, name, what="text files, one a video")
            for path in sorted(place.glob("*.txt")):
                names, read = _annotations(path, task, every)
                task_names = task_names or names
                if names != task_names:
                    raise wrong_line(path, 1, ",".join(names), f"'{','.join(task_names)}'")
                video = rows.setdefault(path.stem, {})
                for frame, values in read:
                    video.setdefault(frame, {}).update(values)
                if part_of.setdefault(path.stem, part) != part:
                    part_of[path.stem] = "test"
        if not task_names:
            raise LabelweaveError(f"{folder}: found no text file in its Train_Set, expected some")
        units = [int(name.removeprefix("AU")) for name in task_names if name.startswith("AU")]
        tasks.append(expression_task(task_names) if task == "expression" else unit_task(units))
    return _data_set(root, pictures, rows, part_of, tasks)


def _annotations(
    path: Path, task: str, every: int
) -> tuple[list[str], Iterator[tuple[int, dict[str, Any]]]]:
    """Return the names in a file's head, and its known frames, from 1, with their labels."""
    content = text_lines(path)
    number, head = next(content, (1, ""))
    found_names = [name.strip() for name in head.strip(", ").split(",")]
    if task == "expression":
        names = [name.lower() for name in found_names]
        known = names in (list(EXPRESSIONS), list(EXPRESSIONS[:-1]))
        expected = "a head 'Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise[,Other]'"
    else:
        names = found_names
        known = all(n.startswith("AU") and n[2:].isdigit() for n in names)
        expected = "a head such as 'AU1,AU2,AU4'"
    if not known:
        raise wrong_line(path, number, head, expected)

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        for line_number, line in content:
            frame = line_number - number
            values = [value.strip() for value in line.split(",")]
            if task == "expression":
                allowed = {AFF_WILD2_UNKNOWN, *map(str, range(len(names)))}
                right = len(values) == 1 and values[0] in allowed
                wanted = f"a class from 0 to {len(names) - 1}, or -1"
            else:
                right = len(values) == len(names) and set(values) <= {"0", "1", AFF_WILD2_UNKNOWN}
                wanted = f"{len(names)} times 0, 1 or -1"
            if not right:
                raise wrong_line(path, line_number, line, wanted)
            if (frame - 1) % every == 0:
                given: dict[str, Any]
                if task == "expression":
                    given = (
                        {EXPRESSION: names[int(values[0])]}
                        if values[0] != AFF_WILD2_UNKNOWN
                        else {}
                    )
                else:
                    pairs = zip(names, values, strict=True)
                    given = {
                        name: int(value) for name, value in pairs if value != AFF_WILD2_UNKNOWN
                    }
                if given:
                    yield frame, given

    return names, rows()


def _data_set(
    root: Path,
    pictures: Path,
    rows: dict[str, dict[int, dict[str, Any]]],
    part_of: dict[str, str],
    tasks: Sequence[dict[str, Any]],
) -> DataSet:
    made, lacking = [], 0
    for video in sorted(rows):
        if not rows[video]:
            continue
        folder = found(pictures, video, what="a folder with the frames of this video")
        files = numbered(folder, FRAMES)
        # two persons of one video are annotated as VIDEO and VIDEO_right
        film = video.removesuffix("_left").removesuffix("_right")
        for frame, values in sorted(rows[video].items()):
            if frame in files:
                image = (folder / files[frame]).relative_to(root).as_posix()
                made.append({"image": image, "video": film, "part": part_of[video], **values})
            else:
                lacking += 1
    if not made:
        raise LabelweaveError(f"{pictures}: found none of the annotated frames")
    tested = {row["video"] for row in made if row["part"] == "test"}
    for row in made:
        row["part"] = "test" if row["video"] in tested else "train"
    columns = [name for task in tasks for name in task.get("labels", [task["name"]])]
    table = pd.DataFrame(made).reindex(columns=["image", "video", "part", *columns])
    notes = [f"{lacking} annotated frames have no image and are left out"] if lacking else []
    return DataSet(table, tuple(tasks), group="video", part="part", notes=tuple(notes))


AFF_WILD2 = Reader(
    read_aff_wild2,
    options=AffWild2Options,
    title="Aff-Wild2",
    source="on request, with a signed agreement: ibug.doc.ic.ac.uk/resources/aff-wild2",
    licence="non-commercial research only",
    paper="Kollias and Zafeiriou, 2019; the ABAW challenges",
    metric="mean F1 of expressions and of action units (macro_f1)",
)
