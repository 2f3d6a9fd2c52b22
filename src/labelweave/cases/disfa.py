"""DISFA: spontaneous facial action of 27 persons, every frame with the intensity of 12 units."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.expressions import unit_names, unit_task
from labelweave.cases.official import found, lines, numbered, wrong_line
from labelweave.errors import LabelweaveError

UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
ON = 2  # intensities from 0 to 5; from this one up a unit is on
FOLDS = (  # three folds of persons that papers use
    ("SN001", "SN002", "SN009", "SN010", "SN016", "SN026", "SN027", "SN030", "SN032"),
    ("SN006", "SN011", "SN012", "SN013", "SN018", "SN021", "SN024", "SN028", "SN031"),
    ("SN003", "SN004", "SN005", "SN007", "SN008", "SN017", "SN023", "SN025", "SN029"),
)
FRAMES = ".jpg", ".jpeg", ".png", ".bmp"


def read_disfa(
    root: Path,
    fold: Literal[1, 2, 3] | None = None,
    every: int = 5,
    frames: str = "frames",
) -> DataSet:
    """Read ``ActionUnit_Labels/SN001/SN001_au1.txt``, with lines ``frame,intensity``.

    The data set holds videos; their frames have to be written to files first, numbered as in the
    labels, from 1: ``frames/SN001/00001.jpg``, or ``frames/LeftVideoSN001_comp/00001.jpg``, for
    example by ``ffmpeg -i Videos_LeftCamera/LeftVideoSN001_comp.avi frames/SN001/%05d.jpg``.
    A unit is on from intensity 2.

    Args:
        root: the folder with ActionUnit_Labels/ and the frames.
        fold: the persons of this fold are the test part; None = no parts, the study splits persons.
        every: use each n-th frame only; neighbours hardly differ.
        frames: the folder of the frames, below `root`.

    Raises:
        LabelweaveError: a file or folder is missing, or a line is not as expected.
    """
    if every < 1:
        raise LabelweaveError(f"option 'every': found {every}, expected at least 1")
    labels = found(root, "ActionUnit_Labels", what="a folder of labels for every person")
    pictures = found(root, frames, what="a folder of frames for every person")
    rows, lacking = [], 0
    persons = sorted(path.name for path in labels.iterdir() if path.is_dir())
    if not persons:
        raise LabelweaveError(f"{labels}: found no folder, expected one a person, such as SN001")
    for person in persons:
        units = {unit: dict(_intensities(labels / person, person, unit)) for unit in UNITS}
        names = (
            person,
            f"LeftVideo{person}_comp",
            f"LeftVideo{person}",
            f"RightVideo{person}_comp",
        )
        folder = found(pictures, *names, what="the frames of this person")
        files = numbered(folder, FRAMES)
        for frame in sorted(units[UNITS[0]])[::every]:
            if frame not in files:
                lacking += 1
                continue
            image = (folder / files[frame]).relative_to(root).as_posix()
            on = [units[unit].get(frame) for unit in UNITS]
            rows.append((image, person, *(None if v is None else int(v >= ON) for v in on)))
    if not rows:
        raise LabelweaveError(f"{pictures}: found none of the labelled frames")
    table = pd.DataFrame(rows, columns=["image", "person", *unit_names(UNITS)])
    if fold is not None:
        tested = table["person"].isin(FOLDS[fold - 1])
        table["part"] = tested.map({True: "test", False: "train"})
    notes = [f"{lacking} labelled frames have no image and are left out"] if lacking else []
    part = None if fold is None else "part"
    return DataSet(table, (unit_task(UNITS),), group="person", part=part, notes=tuple(notes))


def _intensities(folder: Path, person: str, unit: int) -> Iterator[tuple[int, int]]:
    path = found(folder, f"{person}_au{unit}.txt", what=f"the intensities of unit {unit}")
    for number, line in lines(path):
        frame, _, intensity = line.partition(",")
        if not frame.isdigit() or intensity.strip() not in {"0", "1", "2", "3", "4", "5"}:
            raise wrong_line(path, number, line, "'frame,intensity', with intensities from 0 to 5")
        yield int(frame), int(intensity)


DISFA = Reader(
    read_disfa,
    title="DISFA, the Denver Intensity of Spontaneous Facial Action database",
    source="on request: mohammadmahoor.com/pages/databases/disfa",
    licence="non-commercial research only, with a signed agreement",
    paper="Mavadati et al., 2013",
    metric="mean F1 of the action units (macro_f1), persons in three folds",
)
