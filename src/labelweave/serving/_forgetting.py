"""A final model fitted again without some rows: what is forgotten stays forgotten in later fits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labelweave._files import locked
from labelweave.data import Collection
from labelweave.errors import LabelweaveError, listing, nearest, printable
from labelweave.fitting._versions import (
    current_version,
    next_version,
    point_to,
    version,
    version_numbers,
)
from labelweave.results import read_results
from labelweave.serving._final import FULL, Forgotten, load
from labelweave.serving._finish import (
    all_rows,
    fit_all,
    out_of_fold,
    study_at,
    with_sources,
    without_rows,
    write_model,
)
from labelweave.serving._update import FOLDS, UpdatedTask, compared, lies_below
from labelweave.tables import read_table

if TYPE_CHECKING:
    from labelweave.experiments import Study

MOST_ROWS = 1_000_000  # of a list


@dataclass(frozen=True)
class Forgetting:
    """What forgetting changed.

    Attributes:
        version: the version without the rows, in use from now on.
        rows: how many were forgotten.
        labels: by task how many labels went with them.
        tasks: by task the main metric with (``before``) and without them (``after``), out-of-fold,
            on the rows that are left.
        former: folders of earlier versions, which still hold what they learnt from the rows.
    """

    version: int
    rows: int
    labels: dict[str, int]
    tasks: tuple[UpdatedTask, ...]
    former: tuple[Path, ...]


def forget(
    folder: str | Path,
    *,
    source: str | None = None,
    rows: str | Path | None = None,
    study: "str | Path | Study | None" = None,
    folds: int = FOLDS,
    progress: bool = False,
) -> Forgetting:
    """Fit a final model again without a source or some rows, and show what that changes.

    For every fold of all labelled rows the method is fitted twice without it, with and without the
    rows, and the two are compared in pairs on the rows that are left. Then the fit on these becomes
    the next version. The new version does not contain the rows in its weights, encoder, relations,
    calibration or thresholds; later `update` and `finish` leave them out, too. The schema of the
    columns is decided without a forgotten source, but with single forgotten rows.

    Args:
        folder: the model's folder.
        source: the name of the source to forget; or
        rows: a table with the columns ``source`` and ``row``, the number of the row in its file
            from 1 (`labelweave.trust.label_provenance` lists them).
        study: a study file or results folder; None = the results folder that the model lies in.
        folds: 2 or more.
        progress: show what is fitted.

    Raises:
        LabelweaveError: no model or study there, neither or both of source and rows, an unknown
            source or row, or a task that would have no label.
    """
    place = Path(folder)
    facts = load(place).facts
    if (source is None) == (rows is None):
        raise LabelweaveError("found neither or both of source and rows, expected one of them")
    if folds < 2:
        raise LabelweaveError(f"folds: found {folds}, expected 2 or more")
    given = study_at(study if study is not None else place.resolve().parent)
    wide = without_rows(with_sources(given, facts.added), facts.forgotten)
    gone = (
        [Forgotten(source=source, rows=None)] if source is not None else read_rows(Path(str(rows)))
    )
    lost = forgotten_rows(wide.data.collection, gone)
    _check_labels_left(wide.data.collection, lost)
    narrow = without_rows(wide, gone)
    results = read_results(given.output)
    spec = wide.config.method(facts.method)
    with locked(given.output):
        before = all_rows(wide)
        is_gone = lost[before.train.index]
        tasks, _ = compared(wide, spec, before, is_gone, np.ones_like(is_gone), folds, progress)
        split = all_rows(narrow)
        made = fit_all(narrow, spec, split, progress)
        held = out_of_fold(narrow, spec, split, progress)
        number = next_version(place)
        full = (current_version(place).folder / FULL).is_dir()
        write_model(
            version(place, number).folder, narrow, results, facts.method, made, held, full,
            facts.added, facts.rules, forgotten=[*facts.forgotten, *gone],
        )  # fmt: skip
        point_to(place, number)
    former = tuple(version(place, each).folder for each in version_numbers(place) if each != number)
    every = wide.data.collection.annotations
    labels = {task.name: int((every.labels[task.name][lost] >= 0).sum()) for task in every.tasks}
    shown = tuple(_turned(each) for each in tasks if each.rows == "earlier")
    return Forgetting(number, int(lost.sum()), labels, shown, former)


def read_rows(path: Path) -> list[Forgotten]:
    """Return the rows of a table with the columns ``source`` and ``row``.

    Raises:
        LabelweaveError: no such file, other columns, no row, or a number that is none.
    """
    table = read_table(path)
    columns = [str(name) for name in table.columns]
    for name in ("source", "row"):
        if name not in columns:
            raise LabelweaveError(
                f"{path}: found the columns {listing(columns)}, expected 'source' and 'row'"
            )
    if len(table) > MOST_ROWS:
        raise LabelweaveError(f"{path}: found {len(table):,} rows, expected at most {MOST_ROWS:,}")
    found: dict[str, list[int]] = {}
    pairs = zip(table["source"].astype(str), table["row"].astype(str), strict=True)
    for line, (name, text) in enumerate(pairs, start=1):
        digits = text.strip().removesuffix(".0")
        if not digits.isdecimal() or not 1 <= len(digits) <= 12 or int(digits) < 1:
            raise LabelweaveError(
                f"{path}, line {line}, column 'row': found '{printable(text)}', expected the "
                "number of a row, from 1"
            )
        found.setdefault(name, []).append(int(digits))
    return [Forgotten(source=name, rows=sorted(set(numbers))) for name, numbers in found.items()]


def forgotten_rows(collection: Collection, gone: Sequence[Forgotten]) -> NDArray[np.bool_]:
    """Return which rows of a collection are to be forgotten, (n,).

    Raises:
        LabelweaveError: a source or a row that is not there.
    """
    parts: dict[str, NDArray[np.bool_]] = {
        source.name: np.zeros(len(source.numbers), np.bool_) for source in collection.sources
    }
    numbers = {source.name: source.numbers for source in collection.sources}
    for each in gone:
        if each.source not in parts:
            raise LabelweaveError(
                f"source: found '{printable(each.source)}', expected {listing(parts)}"
                f"{nearest(each.source, parts)}"
            )
        if each.rows is None:
            parts[each.source][:] = True
            continue
        unknown = np.setdiff1d(each.rows, numbers[each.source])
        if len(unknown):
            raise LabelweaveError(
                f"source '{each.source}': found no row {unknown[0]}, expected numbers of rows in "
                "its file, from 1"
            )
        parts[each.source] |= np.isin(numbers[each.source], each.rows)
    return np.concatenate([parts[source.name] for source in collection.sources])


def _check_labels_left(collection: Collection, lost: NDArray[np.bool_]) -> None:
    labels = collection.annotations
    for task in labels.tasks:
        codes: Any = labels.labels[task.name]
        if (codes >= 0).any() and not (codes[~lost] >= 0).any():
            raise LabelweaveError(
                f"task '{task.name}': all its labels are to be forgotten, expected some that are "
                "left; a study without the task must run first"
            )


def _turned(found: UpdatedTask) -> UpdatedTask:
    """Return the comparison from with the rows to without them."""
    low = None if found.high is None else -found.high
    high = None if found.low is None else -found.low
    falls = lies_below(found.metric, low, high)
    return replace(found, before=found.after, after=found.before, low=low, high=high, falls=falls)
