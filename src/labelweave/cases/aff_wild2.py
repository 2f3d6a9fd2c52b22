"""Aff-Wild2: videos from the web, annotated frame by frame, as in the ABAW challenges."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.expressions import EXPRESSION, expression_task, unit_task
from labelweave.cases.official import found, lines, numbered, wrong_line
from labelweave.errors import LabelweaveError

EXPRESSIONS = (
    "neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other",
)  # fmt: skip
UNITS = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)
SETS = {
    "expression": ("EXPR_Set", "EXPR_Classification_Challenge", "EXPR_Recognition_Challenge"),
    "action_units": ("AU_Set", "AU_Detection_Challenge"),
}
PARTS = {"Train_Set": "train", "Validation_Set": "test"}
UNKNOWN = "-1"
FRAMES = ".jpg", ".png"


def read_aff_wild2(
    root: Path,
    labels: Literal["both", "expression", "action_units"] = "both",
    every: int = 10,
    frames: str = "cropped_aligned",
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
    if every < 1:
        raise LabelweaveError(f"option 'every': found {every}, expected at least 1")
    wanted = ("expression", "action_units") if labels == "both" else (labels,)
    pictures = found(root, frames, what="a folder with frames for every video")
    rows: dict[str, dict[int, dict[str, Any]]] = {}  # by video and frame
    part_of: dict[str, str] = {}
    tasks = []
    for task in wanted:
        places = [f"{above}{name}" for name in SETS[task] for above in ("", "annotations/")]
        folder = found(root, *places, what=f"the annotations of Aff-Wild2 ({task})")
        task_names: list[str] = []
        for name, part in PARTS.items():
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
    content = lines(path)
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
                allowed = {UNKNOWN, *map(str, range(len(names)))}
                right = len(values) == 1 and values[0] in allowed
                told = f"a class from 0 to {len(names) - 1}, or -1"
            else:
                right = len(values) == len(names) and set(values) <= {"0", "1", UNKNOWN}
                told = f"{len(names)} times 0, 1 or -1"
            if not right:
                raise wrong_line(path, line_number, line, told)
            if (frame - 1) % every == 0:
                given: dict[str, Any]
                if task == "expression":
                    given = {EXPRESSION: names[int(values[0])]} if values[0] != UNKNOWN else {}
                else:
                    pairs = zip(names, values, strict=True)
                    given = {name: int(value) for name, value in pairs if value != UNKNOWN}
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
    title="Aff-Wild2",
    source="on request, with a signed agreement: ibug.doc.ic.ac.uk/resources/aff-wild2",
    licence="non-commercial research only",
    paper="Kollias and Zafeiriou, 2019; the ABAW challenges",
    metric="mean F1 of expressions and of action units (macro_f1)",
)
