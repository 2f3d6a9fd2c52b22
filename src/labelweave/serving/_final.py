"""The final model of a study as a folder: what predicts, what it was made of, what to expect."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from labelweave._files import write_text
from labelweave._saved import Saved, read_description
from labelweave.class_priors import PriorChoice
from labelweave.coupling._posterior import Link
from labelweave.data._row_hashes import FILE as ROWS_FILE
from labelweave.data._row_hashes import seen_rows, write_row_hashes
from labelweave.errors import LabelweaveError, in_place
from labelweave.fitting._stack import load_model
from labelweave.fitting._versions import current_version
from labelweave.model import EncodedPredictor
from labelweave.relations import AnyRelation
from labelweave.relations._relatedness import relation_of
from labelweave.results import RelationTable, typed
from labelweave.serving._prediction import CHUNK, prediction_tables
from labelweave.tables import Table
from labelweave.tasks import Task
from labelweave.trust._forest import model_links
from labelweave.trust._saved_sets import FILE as SETS
from labelweave.trust._saved_sets import SavedSets, read_sets
from labelweave.trust._sets import SetRule

FORMAT = 1  # of the folder; raised when what a key means changes
TRIES = 10  # readings of a folder that another process replaces meanwhile
FACTS, FULL = "final.json", "full"
Count = Annotated[int, Field(ge=0)]


class Expected(Saved):
    """What was measured on rows that the fit had not seen: a task's main metric and calibration.

    Attributes:
        task: the task.
        metric: its main metric.
        mean: mean over the seeds; None = no data.
        low: lower end of its interval.
        high: upper end.
        n: labels behind it.
        calibration_error: the expected calibration error; None = not measured.
    """

    task: str
    metric: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: Count | None = None
    calibration_error: float | None = None

    def __str__(self) -> str:
        if self.mean is None:
            return f"{self.task}: {self.metric} not measured"
        ends = "" if self.low is None else f" ({self.low:.3f} to {self.high:.3f})"
        return f"{self.task}: {self.metric} {self.mean:.3f}{ends}"


class Calibrated(Saved):
    """What calibration did to one question, a task or a label, on out-of-fold predictions.

    Attributes:
        question: the task, or ``task=label``.
        kind: of the map: ``none``, ``temperature``, ``vector`` or ``isotonic``.
        n: labels behind it.
        before: ``ece`` (bins of equal mass, less what chance adds), ``brier`` and ``log_loss``;
            None = no labels.
        after: the same, of maps that were fitted without the row.
    """

    question: str
    kind: str
    n: Count
    before: dict[str, float | None]
    after: dict[str, float | None]

    def __str__(self) -> str:
        if self.kind == "none":
            return f"{self.question}: unchanged, {self.n} labels"
        (a, b), (c, d) = (
            [each.get(key) or 0.0 for each in (self.before, self.after)]
            for key in ("ece", "log_loss")
        )
        return (
            f"{self.question}: {self.kind}, {self.n} labels, error {a:.3f} -> {b:.3f}, "
            f"log-loss {c:.3f} -> {d:.3f}"
        )


class Forgotten(Saved):
    """What a model was fitted again without.

    Attributes:
        source: the data set.
        rows: the numbers of its rows in their file, from 1; None = all of it.
    """

    source: str
    rows: Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=1_000_000)] | None


class FinalFacts(Saved):
    """What a final model was made of, and what to expect of it.

    Attributes:
        format: of the folder.
        labelweave: the version that wrote it.
        created: when.
        study: the study's name.
        method: the method that was fitted.
        network: what predicts: the method, or ``student``, the network that a stack taught.
        seed: the seed of the fit.
        rows: the rows it was fitted on.
        held_out: rows that only stopped the training, where the study stops early.
        labels: by task the number of labels.
        sources: the names of the data sets.
        measured: the method whose figures `expected` are.
        measured_on: the ``test rows`` of the study, or ``out-of-fold rows``.
        expected: a figure a task.
        relations: the tables that coupled the tasks, as in ``results.json``.
        evidence: what supports them, as ``relatedness`` in ``results.json``.
        versions: of Python and packages.
        salt: what the hashes of the rows begin with, hexadecimal.
        added: sources that `update` added to those of the study.
        rules: by task what its thresholds are to reach (`finish`).
        calibration: what calibration did to every question.
        forgotten: sources and rows that fits leave out (`forget`).
        licenses: by source its licence, as the study file gives it; None = not given.
        use: what the study file declares the model is for.
    """

    format: Annotated[int, Field(ge=1, le=1_000_000)]
    labelweave: str
    created: str
    study: str
    method: str
    network: str
    seed: Count
    rows: Count
    held_out: Count = 0
    labels: dict[str, Count]
    sources: list[str]
    measured: str
    measured_on: Literal["test rows", "out-of-fold rows"] = "test rows"
    expected: list[Expected]
    relations: list[dict[str, Any]]
    evidence: dict[str, Any]
    versions: dict[str, str]
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{2,128}$")]
    added: list[dict[str, Any]] = Field(default=[])
    rules: dict[str, str] = Field(default={})
    calibration: list[Calibrated] = Field(default=[])
    forgotten: list[Forgotten] = Field(default=[])
    licenses: dict[str, str | None] = Field(default={})
    use: Literal["commercial", "research"] | None = None


@dataclass(frozen=True, eq=False)
class FinalModel:
    """A final model, ready to predict; the training data are not needed.

    Attributes:
        folder: where it was read from.
        model: what predicts.
        facts: what it was made of, and what to expect.
        relations: the tables and noisy-ORs that coupled its tasks.
        saved_sets: thresholds of conformal sets; None in models of earlier versions.
    """

    folder: Path
    model: EncodedPredictor
    facts: FinalFacts
    relations: tuple[AnyRelation, ...] = ()
    saved_sets: SavedSets | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the model predicts."""
        return self.model.tasks

    def predict(
        self, inputs: pd.DataFrame, prior: PriorChoice | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return per task the labels of n raw rows; see `labelweave.model.Model.predict`."""
        return self.model.predict(inputs, prior)

    def predict_proba(
        self, inputs: pd.DataFrame | Table, prior: PriorChoice | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return per task P(class), (n, K), or P(label on), (n, L), of n raw rows."""
        return self.model.predict_proba(inputs, prior)

    def tables(
        self,
        inputs: pd.DataFrame | Table,
        *,
        labels: bool = True,
        keep: Sequence[str] = (),
        rows: int = CHUNK,
    ) -> Iterator[pd.DataFrame]:
        """Give the predictions as tables of at most `rows` rows, in order (`prediction_tables`)."""
        return prediction_tables(self.model, inputs, labels=labels, keep=keep, rows=rows)

    def sets(self, coverage: float = 0.9, per: Literal["task", "class"] = "task") -> SetRule:
        """Return what turns `predict_proba` into sets that hold the truth with a probability.

        Args:
            coverage: from .50 to .99, in hundredths.
            per: what it is for: each ``task``, or each ``class``.

        Raises:
            LabelweaveError: another coverage, or a model without thresholds.
        """
        if self.saved_sets is None:
            raise LabelweaveError(
                f"{self.folder}: found no file {SETS}, expected thresholds of sets "
                "('labelweave finish' writes them)"
            )
        return self.saved_sets.rule(self.tasks, coverage, per)

    def links(self) -> list[Link]:
        """Return the relations as `labelweave.trust.coherent` takes them."""
        return model_links(self.model, self.relations)

    def check(self, inputs: pd.DataFrame | Table) -> list[str]:
        """Return what is unusual of raw rows, a line each."""
        return self.model.check(inputs)

    def seen(self, inputs: pd.DataFrame | Table) -> NDArray[np.bool_]:
        """Return which of n raw rows have exactly the inputs of a row of the fit, (n,).

        Such rows measure nothing: the model knows their labels. Rows are compared by salted hashes
        of their encoded inputs; the folder holds no input.

        Raises:
            LabelweaveError: inputs that do not fit, or a damaged folder.
        """
        found = seen_rows(self.folder, self.model.encoder.transform(self.model.typed(inputs)))
        if found is None:
            raise LabelweaveError(
                f"{self.folder / ROWS_FILE}: no such file, expected hashes of the rows"
            )
        return found


def load(folder: str | Path, *, full: bool = False) -> FinalModel:
    """Return the final model that `finish` wrote, in its current version.

    >>> model = load("runs/leaves/model")  # doctest: +SKIP
    >>> model.predict(rows)["species"]  # doctest: +SKIP
    >>> load("nowhere")
    Traceback (most recent call last):
    labelweave.errors.LabelweaveError: nowhere: no final model here, expected a file final.json ...

    Args:
        folder: the model's folder.
        full: the stack that taught the network, in its place (`finish` with ``full=True``).

    Raises:
        LabelweaveError: no final model there, a damaged one, or one of a newer format.
    """
    for _ in range(TRIES):
        before = _stamp(Path(folder))
        try:
            found = _loaded(folder, full=full)
        except LabelweaveError:
            if _stamp(Path(folder)) == before:
                raise
        else:
            if _stamp(Path(folder)) == before:
                return found
    raise LabelweaveError(f"{folder}: replaced by another process while it was read; try again")


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes when another model takes a folder's name."""
    found: list[int] = []
    for path in (folder, folder / FACTS):
        with suppress(OSError, ValueError):
            seen = path.stat()
            found += [seen.st_ino, seen.st_mtime_ns if path.name == FACTS else 0]
    return tuple(found)


def _loaded(folder: str | Path, *, full: bool) -> FinalModel:
    path = current_version(Path(folder)).folder
    try:
        facts = read_description(path / FACTS, FinalFacts, FORMAT)
    except (FileNotFoundError, NotADirectoryError):
        hint = "; labelweave.Model.load reads it" if (path / "model.json").exists() else ""
        raise LabelweaveError(
            f"{folder}: no final model here, expected a file {FACTS} ('labelweave finish'){hint}"
        ) from None
    if full and not (path / FULL).is_dir():
        raise LabelweaveError(
            f"{folder}: found no folder '{FULL}', expected one with the stack; "
            "'labelweave finish --full' writes it"
        )
    model = load_model(path / FULL if full else path)
    return FinalModel(
        path, model, facts, saved_relations(facts, model.tasks, path), read_sets(path, model.tasks)
    )


def saved_relations(
    facts: FinalFacts, tasks: Sequence[Task], folder: Path
) -> tuple[AnyRelation, ...]:
    """Return the relations in a final model's facts.

    Raises:
        LabelweaveError: one that makes no sense.
    """
    place, found = f"{folder / FACTS}, relations", []
    by_name = {task.name: task for task in tasks}
    for saved in facts.relations:
        table = typed(RelationTable, {k: v for k, v in saved.items() if k != "text"}, place)
        with in_place(place):
            found.append(relation_of(table, by_name))
    return tuple(found)


def write_final(
    folder: Path,
    model: EncodedPredictor,
    facts: FinalFacts,
    hashes: NDArray[np.uint64],
    sets: SavedSets,
    full: EncodedPredictor | None = None,
) -> None:
    """Write a final model to a new folder."""
    model.save(folder)
    if full is not None:
        full.save(folder / FULL)
    sets.write(folder)
    write_row_hashes(folder, hashes, bytes.fromhex(facts.salt))
    write_text(folder / FACTS, json.dumps(facts.model_dump(), indent=1))
