"""A published data set, read from its official files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class DataSet:
    """One published data set as a table of images and labels.

    Attributes:
        table: a row an image. Column ``image`` is its path, relative to the root; the labels stand
            in the columns of the tasks, missing = None or NaN.
        tasks: the tasks as a study file describes them, for example
            ``{"name": "expression", "classes": [...]}`` or
            ``{"name": "action_units", "kind": "multilabel", "labels": ["AU1", ...]}``.
        group: column of the person or thing whose rows must stay on one side of a split.
        part: column with the official part of a row, ``train``, ``validation`` or ``test``.
        knowledge: tables that the data set itself ships (class by attribute), by file name; the
            first column is the source task's.
        notes: remarks on what was read and what was left out, a line each.
    """

    table: pd.DataFrame
    tasks: tuple[Mapping[str, Any], ...]
    group: str | None = None
    part: str | None = None
    knowledge: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """How to read a data set.

    Args:
        read: reads the folder of the official files, given options by name; raises
            `LabelweaveError`, naming the file or folder that is missing or wrong.
        title: the data set's full name.
        source: where to request or get it, in words.
        licence: under which terms.
        paper: who made it.
        metric: what papers report.
    """

    read: Callable[..., DataSet]
    title: str
    source: str
    licence: str
    paper: str
    metric: str

    def __call__(self, root: Path, **options: Any) -> DataSet:
        """Return the data set of a folder."""
        return self.read(root, **options)
