"""From the folders of published data sets to a study file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labelweave.cases.readers import find_reader
from labelweave.cases.study_text import UsedSet, study_text
from labelweave.cases.writing import write_case


@dataclass(frozen=True)
class Wanted:
    """A data set that a study shall use.

    Args:
        name: of its reader.
        root: the folder of its official files.
        options: the reader's options.
    """

    name: str
    root: Path
    options: Mapping[str, Any] = field(default_factory=dict)


def write_data_sets(
    folder: Path,
    wanted: Sequence[Wanted],
    seeds: int = 3,
    k: int | None = None,
    rows: int | None = None,
    others: int | None = None,
) -> Path:
    """Read data sets, and write the study of all of them; images stay where they are.

    Args:
        folder: where to write the study file, and the tables that the data sets ship.
        wanted: the data sets.
        seeds: number of seeds.
        k: labels of each class that stay; None = all.
        rows: rows of each training part to use; None = all.
        others: with `k`, other rows that keep the labels of the other tasks; None = all.

    Returns:
        The path of the study file.

    Raises:
        LabelweaveError: a reader does not exist, an option is wrong, or files are missing.
    """
    used = []
    for each in wanted:
        reader = find_reader(each.name)
        reader.check_options(each.options)
        data = reader(each.root, **each.options)
        used.append(UsedSet(each.name, reader, each.root.absolute(), data, each.options, rows))
    tables = {name: table for each in used for name, table in each.data.knowledge.items()}
    return write_case(folder, tables, study_text(used, seeds, k, others))
