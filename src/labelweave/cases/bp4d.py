"""BP4D-Spontaneous: 41 persons at eight tasks, frames coded for the occurrence of action units."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.expressions import unit_names, unit_task
from labelweave.cases.official import found, lines, numbered, wrong_line
from labelweave.errors import LabelweaveError

UNITS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
UNKNOWN = "9"
FRAMES = ".jpg", ".jpeg", ".png"
NAME = re.compile(r"([FM]\d{3})_(T\d+)")


def read_bp4d(
    root: Path,
    protocol: Literal["none", "fera2015"] = "none",
    units: list[int] | None = None,
    every: int = 5,
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
    if every < 1:
        raise LabelweaveError(f"option 'every': found {every}, expected at least 1")
    wanted = tuple(UNITS if units is None else units)
    coding = found(root, "AUCoding/AU_OCC", "AUCoding", what="files such as F001_T1.csv")
    base = root / "BP4D" if (root / "BP4D").is_dir() else root
    rows, lacking = [], 0
    for path in sorted(coding.glob("*.csv")):
        named = NAME.fullmatch(path.stem)
        if named is None:
            raise LabelweaveError(f"{path}: found this name, expected one such as F001_T1.csv")
        person, task = named.groups()
        folder = found(base, f"{person}/{task}", what="the frames of this person and task")
        files = numbered(folder, FRAMES)
        for frame, values in list(_codes(path, wanted))[::every]:
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


def _codes(path: Path, units: Sequence[int]) -> Iterator[tuple[int, list[int | None]]]:
    content = lines(path)
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
        if not set(values) <= {"0", "1", UNKNOWN}:
            raise wrong_line(path, number, line, "0, 1 or 9 = unknown for each action unit")
        if set(values) != {UNKNOWN}:
            yield int(cells[0]), [None if value == UNKNOWN else int(value) for value in values]


BP4D = Reader(
    read_bp4d,
    title="BP4D-Spontaneous",
    source="on request: www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",
    licence="non-commercial research only, with a signed agreement, for a fee",
    paper="Zhang et al., 2014",
    metric="mean F1 of the action units (macro_f1), persons apart",
)
