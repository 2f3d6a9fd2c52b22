"""EmotioNet: faces from the web, annotated with 60 action units of which most are unknown."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.expressions import unit_names, unit_task
from labelweave.cases.official import found, lines, wrong_line
from labelweave.errors import LabelweaveError, listing

UNITS = (1, 2, 4, 5, 6, 9, 12, 17, 20, 25, 26)
LAST_UNIT = 60
UNKNOWN = "999"
BY_HAND = "dataFile_1000.txt"  # annotated by experts; the others by a program


def read_emotionet(
    root: Path,
    annotations: list[str] | None = None,
    units: list[int] | None = None,
    images: str = "Images",
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
    wanted = tuple(UNITS if units is None else units)
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
        for address, values in _codes(path, wanted):
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


def _codes(path: Path, units: Sequence[int]) -> Iterator[tuple[str, list[int | None]]]:
    for number, line in lines(path):
        cells = [cell.strip().strip("'\"") for cell in re.split("[\t,]", line)]
        if number == 1 and not cells[-1].isdigit():  # a head
            continue
        values = cells[2:]
        if len(values) != LAST_UNIT or not set(values) <= {"0", "1", UNKNOWN}:
            expected = f"two addresses and {LAST_UNIT} times 0, 1 or {UNKNOWN}, with tabs"
            raise wrong_line(path, number, line, expected)
        chosen = [values[unit - 1] for unit in units]
        if set(chosen) != {UNKNOWN}:
            yield cells[0], [None if value == UNKNOWN else int(value) for value in chosen]


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
    title="EmotioNet",
    source="on request: cbcsl.ece.ohio-state.edu (EmotioNet challenge)",
    licence="non-commercial research only, with a signed agreement",
    paper="Fabian Benitez-Quiroz, Srinivasan and Martinez, CVPR 2016",
    metric="mean F1 of the action units (macro_f1), and accuracy",
)
