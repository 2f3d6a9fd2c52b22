"""Knowledge tables from the literature that ship with the package."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations.knowledge.reading import read_knowledge
from labelweave.relations.relation import Relation
from labelweave.tasks import Task

SUFFIX = ".json"


@dataclass(frozen=True, eq=False)
class KnownTable:
    """A published table of P(label | class), restricted to a data set's labels.

    Args:
        name: the table's name.
        vocabulary: the name of the data set's list of labels, ``"all"`` where there is none.
        citation: the publication.
        notes: what to know before using it.
        frame: one row a class, first column its name, then one column a label; probabilities, or
            an empty cell where nothing is known. In the form of `read_knowledge`.
    """

    name: str
    vocabulary: str
    citation: str
    notes: str
    frame: pd.DataFrame

    def relations(
        self, source: str, tasks: Sequence[Task], *, strength: float = 1.0
    ) -> list[Relation]:
        """Return the relations from a task whose classes are the rows to those with the labels.

        The tasks may have further classes; labels must have the names of the frame's columns.

        Raises:
            LabelweaveError: a row is no class of the source, or a column no label of any task.
        """
        return read_knowledge(self.frame, source, tasks, strength=strength)

    def restricted(self, classes: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
        """Return the frame's rows and columns that are among some classes and labels.

        Raises:
            LabelweaveError: none of the labels is a column, or none of the classes a row.
        """
        columns = [label for label in self.frame.columns[1:] if label in labels]
        rows = self.frame.iloc[:, 0].isin(classes)
        for found, kind, known, wanted in (
            (len(columns), "label", self.frame.columns[1:], labels),
            (int(rows.sum()), "class", self.frame.iloc[:, 0], classes),
        ):
            if not found:
                raise LabelweaveError(
                    f"known table '{self.name}': found no {kind} of it in {listing(wanted)}, "
                    f"expected some of {listing(known)}"
                )
        return self.frame.loc[rows, [self.frame.columns[0], *columns]]


def known_tables() -> dict[str, tuple[str, ...]]:
    """Return the names of the tables that ship, each with its vocabularies."""
    return {name: tuple(_read(name)["vocabularies"]) for name in _names()}


def known_table(name: str, *, vocabulary: str | None = None, strong: float = 1.0) -> KnownTable:
    """Return a published table, restricted to the labels of a data set.

    A label that no class of the published table names is unknown (an empty cell); one that some
    class names has probability 0 for the classes that do not.

    Args:
        name: ``"du-tao-martinez-2014"``: facial expression -> action units.
        vocabulary: ``"aff-wild2"``, ``"emotionet"``, ``"disfa"``, ``"bp4d"`` or ``"all-17"``;
            None = all labels that any of them has.
        strong: the probability of labels that the publication calls prototypical.

    Raises:
        LabelweaveError: an unknown name or vocabulary (nearest one given), or `strong` outside
            [0, 1].
    """
    names = _names()
    if name not in names:
        raise LabelweaveError(
            f"no known table '{name}', expected {listing(names)}{nearest(name, names)}"
        )
    table = _read(name)
    vocabularies = table["vocabularies"]
    if vocabulary is not None and vocabulary not in vocabularies:
        raise LabelweaveError(
            f"known table '{name}': no vocabulary '{vocabulary}', expected "
            f"{listing(vocabularies)}{nearest(vocabulary, vocabularies)}"
        )
    if not 0 <= strong <= 1:
        raise LabelweaveError(
            f"known table '{name}': strong {strong}, expected a probability from 0 to 1"
        )
    rows = {
        row: dict.fromkeys(said["prototypical"], strong) | said["observational"]
        for row, said in table["rows"].items()
    }
    named = {label for said in rows.values() for label in said}
    everything = dict.fromkeys(label for labels in vocabularies.values() for label in labels)
    labels = list(everything) if vocabulary is None else vocabularies[vocabulary]
    cells = [
        [row, *(said.get(label, 0.0) if label in named else None for label in labels)]
        for row, said in rows.items()
    ]
    frame = pd.DataFrame(cells, columns=[table["classes"], *labels], dtype=object)
    return KnownTable(name, vocabulary or "all", table["citation"], table["notes"], frame)


def _names() -> list[str]:
    found = (
        file.name for file in files("labelweave.relations.knowledge").joinpath("tables").iterdir()
    )
    return sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))


def _read(name: str) -> dict[str, Any]:
    file = files("labelweave.relations.knowledge").joinpath("tables", f"{name}{SUFFIX}")
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return table
