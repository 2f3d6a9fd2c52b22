"""Files of annotation tools and data hubs, by format, each as tables of inputs and labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.importers._answers import (
    Annotators,
    Imported,
    Question,
    Unticked,
    asked,
    imported,
)
from labelweave.importers._croissant import official_part, read_croissant
from labelweave.importers._hugging_face import read_hugging_face
from labelweave.importers._label_studio import read_label_studio
from labelweave.importers._object_annotations import CATEGORY, read_coco, read_cvat, read_datumaro
from labelweave.importers._prodigy import read_prodigy
from labelweave.tables import read_table
from labelweave.tasks import factorize

OBJECTS = {"coco": read_coco, "datumaro": read_datumaro, "cvat": read_cvat}
Format = Literal["label_studio", "prodigy", "hugging_face", "coco", "datumaro", "cvat", "croissant"]
FORMATS: tuple[Format, ...] = get_args(Format)


def read_annotations(
    path: str | Path,
    format: str,
    *,
    unticked: Unticked = "missing",
    annotators: Annotators = "majority",
    multiple: Sequence[str] = (),
) -> list[Imported]:
    """Read a file of an annotation tool.

    Args:
        path: the file.
        format: ``label_studio`` (export "JSON"), ``prodigy`` (JSON lines), ``hugging_face``
            (Parquet with ClassLabel), ``coco``, ``datumaro`` (JSON), ``cvat`` ("CVAT for images",
            XML) or ``croissant`` (the description of tables next to it).
        unticked: what an option means that an answered question of several options does not
            choose: ``missing`` or ``no``.
        annotators: several annotators of one sample: their ``majority``, or a table for each
            (``separate``).
        multiple: questions of which several options may hold together, where the file's own
            answers do not show it.

    Returns:
        One table; one for each annotator with ``separate``, one for each file of a description.

    Raises:
        LabelweaveError: no such format, or a file that is not of it; one line.
    """
    path = Path(path)
    if format not in FORMATS:
        raise LabelweaveError(
            f"{path}: unknown format '{format}', expected {listing(FORMATS)}"
            f"{nearest(format, FORMATS)}"
        )
    if format == "croissant":
        return _described(path)
    licence: str | None = None
    if format == "label_studio":
        samples, notes = read_label_studio(path)
        with in_place(path):
            questions = asked(samples, multiple)
    elif format == "prodigy":
        samples, several, options, notes = read_prodigy(path)
        with in_place(path):
            questions = asked(samples, [*multiple, *several], options)
    elif format == "hugging_face":
        samples, questions, notes = read_hugging_face(path)
    else:
        samples, categories, licence, notes = OBJECTS[format](path)
        with in_place(path):
            questions = asked(samples, multiple, {CATEGORY: categories} if categories else {})
    with in_place(path):
        found = imported(samples, questions, unticked, annotators, notes, licence)
    return [_with_open_note(each, questions, unticked) for each in found]


def _with_open_note(found: Imported, questions: Sequence[Question], unticked: str) -> Imported:
    """Note the questions of which only chosen options are known, for nothing can be learnt so."""
    names = []
    for question in questions:
        if question.multiple:
            said = {v for column in question.columns() for v in factorize(found.frame[column])[1]}
            names += [question.name] * (said == {"yes"})
    if not names or unticked == "no":
        return found
    note = (
        f"only what holds is known of {listing(names)}; 'unticked: no' says that the rest does not"
    )
    return replace(found, notes=(*found.notes, note))


def _described(path: Path) -> list[Imported]:
    described = read_croissant(path)
    found = []
    for file in described.files:
        table = read_table(file.path)
        lacking = [column for column in file.columns if column not in table.columns]
        if lacking:
            raise LabelweaveError(
                f"{path}: field '{file.columns[lacking[0]]}': no column '{lacking[0]}' in "
                f"{file.path.name}{nearest(lacking[0], table.columns)}"
            )
        frame = table[list(file.columns)].rename(columns=file.columns)
        if file.part is not None:
            frame[file.part] = frame[file.part].map(official_part)
        tasks: tuple[dict[str, Any], ...] = tuple(
            {"name": name, "kind": "multiclass"} for name in file.labels
        )
        unused = len(table.columns) - len(file.columns)
        notes = (f"left out: {unused:,} columns of {file.path.name} that no field names",)
        found.append(
            Imported(
                file.path.stem if len(described.files) > 1 else "",
                frame.replace({np.nan: None}),
                tasks,
                part=file.part,
                licence=described.licence,
                notes=notes if unused else (),
            )
        )
    return found
