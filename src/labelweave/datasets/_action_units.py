"""BP4D-Spontaneous: 41 persons at eight tasks, frames coded for the occurrence of action units."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

import pandas as pd

from labelweave._options import Options
from labelweave.datasets._expressions import unit_names, unit_task
from labelweave.datasets._official import (
    Count,
    DataSet,
    Reader,
    found,
    numbered,
    text_lines,
    wrong_line,
)
from labelweave.errors import LabelweaveError, listing

BP4D_UNITS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
BP4D_UNKNOWN = "9"
BP4D_FRAMES = ".jpg", ".jpeg", ".png"
BP4D_NAME = re.compile(r"([FM]\d{3})_(T\d+)")


class BP4DOptions(Options):
    """The options of `read_bp4d`."""

    protocol: Literal["none", "fera2015"] = "none"
    units: list[Count] | None = None
    every: Count = 5


def read_bp4d(
    root: Path, protocol: Literal["none", "fera2015"], units: list[int] | None, every: int
) -> DataSet:
    """Read ``AUCoding/F001_T1.csv``: a head of unit numbers, then a line a frame; 9 = unknown.

    The first cell of a line is the number of the frame, whose image is ``BP4D/F001/T1/NUMBER.jpg``
    or ``F001/T1/NUMBER.jpg``, with zeros before the number or without.

    Args:
        root: the folder with AUCoding/ (or AUCoding/AU_OCC/) and the frames.
        protocol: "fera2015" = persons of odd numbers train, of even ones test, as in the training
            and development part of the FERA 2015 challenge; "none" = the study splits persons.
        units: the action units to read; None = the twelve that papers use.
        every: use each n-th frame only; neighbours hardly differ.

    Raises:
        LabelweaveError: a file, folder or unit is missing, or a line is not as expected.
    """
    wanted = tuple(BP4D_UNITS if units is None else units)
    coding = found(root, "AUCoding/AU_OCC", "AUCoding", what="files such as F001_T1.csv")
    base = root / "BP4D" if (root / "BP4D").is_dir() else root
    rows, lacking = [], 0
    for path in sorted(coding.glob("*.csv")):
        named = BP4D_NAME.fullmatch(path.stem)
        if named is None:
            raise LabelweaveError(f"{path}: found this name, expected one such as F001_T1.csv")
        person, task = named.groups()
        folder = found(base, f"{person}/{task}", what="the frames of this person and task")
        files = numbered(folder, BP4D_FRAMES)
        for frame, values in list(_bp4d_codes(path, wanted))[::every]:
            if frame not in files:
                lacking += 1
                continue
            rows.append(((folder / files[frame]).relative_to(root).as_posix(), person, *values))
    if not rows:
        raise LabelweaveError(f"{coding}: found no .csv file whose frames have images")
    table = pd.DataFrame(rows, columns=["image", "person", *unit_names(wanted)])
    part = None
    if protocol == "fera2015":
        part, odd = "part", table["person"].str[-1].astype(int) % 2 == 1
        table["part"] = odd.map({True: "train", False: "test"})
    notes = [f"{lacking} coded frames have no image and are left out"] if lacking else []
    return DataSet(table, (unit_task(wanted),), group="person", part=part, notes=tuple(notes))


def _bp4d_codes(path: Path, units: Sequence[int]) -> Iterator[tuple[int, list[int | None]]]:
    content = text_lines(path)
    number, head = next(content, (1, ""))
    names = [re.sub(r"\D", "", cell) for cell in head.split(",")[1:]]  # 1, AU1 or AU01
    known = {int(name): place for place, name in enumerate(names, start=1) if name}
    for unit in units:
        if unit not in known:
            raise wrong_line(path, number, head, f"a head with a column of action unit {unit}")
    for number, line in content:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(names) + 1 or not cells[0].isdigit():
            expected = f"the number of a frame and {len(names)} values"
            raise wrong_line(path, number, line, expected)
        values = [cells[known[unit]] for unit in units]
        if not set(values) <= {"0", "1", BP4D_UNKNOWN}:
            raise wrong_line(path, number, line, "0, 1 or 9 = unknown for each action unit")
        if set(values) != {BP4D_UNKNOWN}:
            yield int(cells[0]), [None if value == BP4D_UNKNOWN else int(value) for value in values]


BP4D = Reader(
    read_bp4d,
    options=BP4DOptions,
    title="BP4D-Spontaneous",
    source="on request: www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",
    licence="non-commercial research only, with a signed agreement, for a fee",
    paper="Zhang et al., 2014",
    metric="mean F1 of the action units (macro_f1), different persons",
)


DISFA_UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
DISFA_ON = 2  # intensities from 0 to 5; from this one up a unit is on
DISFA_FOLDS = (  # three folds of persons that papers use
    ("SN001", "SN002", "SN009", "SN010", "SN016", "SN026", "SN027", "SN030", "SN032"),
    ("SN006", "SN011", "SN012", "SN013", "SN018", "SN021", "SN024", "SN028", "SN031"),
    ("SN003", "SN004", "SN005", "SN007", "SN008", "SN017", "SN023", "SN025", "SN029"),
)
DISFA_FRAMES = ".jpg", ".jpeg", ".png", ".bmp"


class DISFAOptions(Options):
    """The options of `read_disfa`."""

    fold: Literal[1, 2, 3] | None = None
    every: Count = 5
    frames: str = "frames"


def read_disfa(root: Path, fold: Literal[1, 2, 3] | None, every: int, frames: str) -> DataSet:
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
    labels = found(root, "ActionUnit_Labels", what="a folder of labels for every person")
    pictures = found(root, frames, what="a folder of frames for every person")
    rows, lacking = [], 0
    persons = sorted(path.name for path in labels.iterdir() if path.is_dir())
    if not persons:
        raise LabelweaveError(f"{labels}: found no folder, expected one a person, such as SN001")
    for person in persons:
        units = {unit: dict(_intensities(labels / person, person, unit)) for unit in DISFA_UNITS}
        names = (
            person,
            f"LeftVideo{person}_comp",
            f"LeftVideo{person}",
            f"RightVideo{person}_comp",
        )
        folder = found(pictures, *names, what="the frames of this person")
        files = numbered(folder, DISFA_FRAMES)
        for frame in sorted(units[DISFA_UNITS[0]])[::every]:
            if frame not in files:
                lacking += 1
                continue
            image = (folder / files[frame]).relative_to(root).as_posix()
            on = [units[unit].get(frame) for unit in DISFA_UNITS]
            rows.append((image, person, *(None if v is None else int(v >= DISFA_ON) for v in on)))
    if not rows:
        raise LabelweaveError(f"{pictures}: found none of the labelled frames")
    table = pd.DataFrame(rows, columns=["image", "person", *unit_names(DISFA_UNITS)])
    if fold is not None:
        tested = table["person"].isin(DISFA_FOLDS[fold - 1])
        table["part"] = tested.map({True: "test", False: "train"})
    notes = [f"{lacking} labelled frames have no image and are left out"] if lacking else []
    part = None if fold is None else "part"
    return DataSet(table, (unit_task(DISFA_UNITS),), group="person", part=part, notes=tuple(notes))


def _intensities(folder: Path, person: str, unit: int) -> Iterator[tuple[int, int]]:
    path = found(folder, f"{person}_au{unit}.txt", what=f"the intensities of unit {unit}")
    for number, line in text_lines(path):
        frame, _, intensity = line.partition(",")
        if not frame.isdigit() or intensity.strip() not in {"0", "1", "2", "3", "4", "5"}:
            raise wrong_line(path, number, line, "'frame,intensity', with intensities from 0 to 5")
        yield int(frame), int(intensity)


DISFA = Reader(
    read_disfa,
    options=DISFAOptions,
    title="DISFA, the Denver Intensity of Spontaneous Facial Action database",
    source="on request: mohammadmahoor.com/pages/databases/disfa",
    licence="non-commercial research only, with a signed agreement",
    paper="Mavadati et al., 2013",
    metric="mean F1 of the action units (macro_f1), persons in three folds",
)


EMOTIONET_UNITS = (1, 2, 4, 5, 6, 9, 12, 17, 20, 25, 26)
LAST_UNIT = 60
EMOTIONET_UNKNOWN = "999"
BY_HAND = "dataFile_1000.txt"  # annotated by experts; the others by a program


class EmotioNetOptions(Options):
    """The options of `read_emotionet`."""

    annotations: list[str] | None = None
    units: list[Count] | None = None
    images: str = "Images"


def read_emotionet(
    root: Path, annotations: list[str] | None, units: list[int] | None, images: str
) -> DataSet:
    """Read the files of the challenge: a line an image, with tabs (or commas) and no head.

    The first two cells are addresses of the image, the other 60 its action units 1 to 60: 1 = on,
    0 = off, 999 = unknown. Images are looked for below `images` under the path that follows
    "Images/" in the first address, else under the file's name; those that are not there, for they
    have to be fetched one by one, are left out and counted. Where there are several files, the one
    that was annotated by hand, dataFile_1000.txt, is the test part.

    Args:
        root: the folder with the annotation files, in it or in one folder below.
        annotations: names of annotation files, relative to `root`; None = all .txt files there.
        units: the action units to read; None = the eleven of the challenge.
        images: the folder of the images, below `root`.

    Raises:
        LabelweaveError: a file or folder is missing, or a line is not as expected.
    """
    wanted = tuple(EMOTIONET_UNITS if units is None else units)
    outside = [unit for unit in wanted if not 1 <= unit <= LAST_UNIT]
    if outside:
        raise LabelweaveError(f"option 'units': found {outside[0]}, expected 1 to {LAST_UNIT}")
    pictures = found(root, images, images.lower(), what="the images of EmotioNet")
    if annotations is not None:
        files = [found(root, name, what="an annotation file") for name in annotations]
    else:
        files = sorted([*root.glob("*.txt"), *root.glob("*/*.txt")])
    if not files:
        raise LabelweaveError(f"{root}: found no .txt file, expected files such as {BY_HAND}")
    rows, lacking = [], 0
    for path in files:
        part = "test" if path.name == BY_HAND and len(files) > 1 else "train"
        for address, values in _emotionet_codes(path, wanted):
            image = _local(pictures, address)
            if image is None:
                lacking += 1
            else:
                rows.append((image.relative_to(root).as_posix(), part, *values))
    if not rows:
        raise LabelweaveError(
            f"{pictures}: found none of the images that {listing([f.name for f in files], 3)} name"
        )
    table = pd.DataFrame(rows, columns=["image", "part", *unit_names(wanted)])
    notes = [f"{lacking} annotated images are not there and are left out"] if lacking else []
    parts = "part" if len(set(table["part"])) > 1 else None
    return DataSet(table, (unit_task(wanted),), part=parts, notes=tuple(notes))


def _emotionet_codes(path: Path, units: Sequence[int]) -> Iterator[tuple[str, list[int | None]]]:
    for number, line in text_lines(path):
        cells = [cell.strip().strip("'\"") for cell in re.split("[\t,]", line)]
        if number == 1 and not cells[-1].isdigit():  # a head
            continue
        values = cells[2:]
        if len(values) != LAST_UNIT or not set(values) <= {"0", "1", EMOTIONET_UNKNOWN}:
            expected = f"two addresses and {LAST_UNIT} times 0, 1 or {EMOTIONET_UNKNOWN}, with tabs"
            raise wrong_line(path, number, line, expected)
        chosen = [values[unit - 1] for unit in units]
        if set(chosen) != {EMOTIONET_UNKNOWN}:
            yield cells[0], [None if value == EMOTIONET_UNKNOWN else int(value) for value in chosen]


def _local(pictures: Path, address: str) -> Path | None:
    path = PurePosixPath(unquote(urlsplit(address).path))
    below = path.parts[path.parts.index("Images") + 1 :] if "Images" in path.parts else path.parts
    for parts in (below, below[-1:]):
        image = pictures.joinpath(*(part for part in parts if part not in ("/", "..")))
        if image.is_file():
            return image
    return None


EMOTIONET = Reader(
    read_emotionet,
    options=EmotioNetOptions,
    title="EmotioNet",
    source="on request: cbcsl.ece.ohio-state.edu (EmotioNet challenge)",
    licence="non-commercial research only, with a signed agreement",
    paper="Fabian Benitez-Quiroz, Srinivasan and Martinez, CVPR 2016",
    metric="mean F1 of the action units (macro_f1), and accuracy",
)
