"""A final model fitted again with new labels, and back: versions, handed over where none falls."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from labelweave._files import locked, write_text
from labelweave.data._row_hashes import row_hashes
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.evaluation._comparison import Replicates, TestResult
from labelweave.evaluation._metrics import HIGHER_IS_BETTER
from labelweave.fitting._methods import Method
from labelweave.fitting._split import Rows, Split, held_out
from labelweave.fitting._versions import (
    Version,
    current_version,
    next_version,
    point_to,
    version,
    version_numbers,
)
from labelweave.importers._annotation_tools import FORMATS, read_annotations
from labelweave.model import EncodedPredictor, Model
from labelweave.results import read_results
from labelweave.serving._final import FULL, FinalModel, load
from labelweave.serving._finish import (
    all_rows,
    fit_all,
    study_at,
    with_sources,
    without_rows,
    write_model,
)
from labelweave.tasks import Binary, Multiclass, Task

if TYPE_CHECKING:
    from labelweave.experiments import Study

Part = Literal["earlier", "new"]
FOLDS, REPLICATES, LEVEL = 3, 1000, 0.95
STREAM = 17  # random numbers that choose exemplars
REPORT = "update.json"


@dataclass(frozen=True)
class UpdatedTask:
    """A task's main metric without and with the new labels, on rows that neither fit has seen.

    Attributes:
        task: the task.
        rows: ``earlier`` rows, or those of the ``new`` source.
        metric: its main metric.
        before: without the new labels; None = no data.
        after: with them.
        low: lower end of the interval of the difference; all intervals hold together.
        high: upper end.
        n: labels behind it.
        falls: the interval lies wholly on the worse side of 0.
    """

    task: str
    rows: Part
    metric: str
    before: float | None
    after: float | None
    low: float | None
    high: float | None
    n: int
    falls: bool

    def __str__(self) -> str:
        if self.before is None or self.after is None:
            return f"{self.task}, {self.rows} rows: no labels"
        ends = "" if self.low is None else f", difference {self.low:+.3f} to {self.high:+.3f}"
        return (
            f"{self.task}, {self.rows} rows: {self.metric} {self.before:.3f} -> {self.after:.3f} "
            f"({self.n:,} labels{ends})"
        )


@dataclass(frozen=True)
class Update:
    """What an update found.

    Attributes:
        handed_over: the new version is in use.
        version: the version in use.
        tasks: the comparison, every task on earlier and on new rows.
        reason: why it was refused; "" = handed over.
        kept: earlier rows of the fit.
        warm: the new version started from the weights of the former one.
        left_out: columns of the table that are no inputs of the model.
    """

    handed_over: bool
    version: int
    tasks: tuple[UpdatedTask, ...]
    reason: str = ""
    kept: int = 0
    warm: bool = False
    left_out: tuple[str, ...] = ()


def update(
    folder: str | Path,
    source: str | Path,
    *,
    study: "str | Path | Study | None" = None,
    like: str | None = None,
    format: str | None = None,
    keep: int | None = None,
    folds: int = FOLDS,
    warm: bool = False,
    progress: bool = False,
) -> Update:
    """Fit a final model again with the labels of a new table, and hand it over where none falls.

    Out-of-fold: for every fold of all labelled rows the method is fitted twice without it, with and
    without the new rows, and predicts it. The two are compared in pairs, task by task, on earlier
    rows and on new ones. Where a difference lies wholly below 0, the update is refused and the
    version in use stays. Else the fit on all rows, of all sources, becomes the next version. A new
    row with the inputs of an earlier one is held out together with it. A column of the table that
    is no input of the model stays out.

    With `keep`, fits with the new rows have only exemplars of the earlier ones, so they cost less.
    They are compared with fits on all earlier rows, so an update that forgets is refused.

    With `warm`, networks that learn the new rows start from those that have not seen them, for half
    of the steps: in every fold from the fit without the new rows, which has not seen the fold
    either, and at the end from the version in use. So the comparison is of what is handed over.
    Where columns, classes or architecture of the version in use differ, the last fit starts anew.

    Args:
        folder: the model's folder.
        source: the table with new rows, inputs and labels under the names of the study.
        study: a study file or results folder; None = the results folder that the model lies in.
        like: the study's source whose reading options the table takes (`rename`, `map`, ...).
        format: the file is an export of an annotation tool, as that of the rows of `label_next`;
            an option that an answer leaves out does not hold.
        keep: earlier rows that stay, of every class of every task, at random; a row may stand for
            several tasks. None = all.
        folds: 2 or more.
        warm: start from former weights; what a stack learns before its network starts anew.
        progress: show what is fitted.

    Raises:
        LabelweaveError: no model or study there, a table that does not fit, or no label in it.
    """
    place, table = Path(folder), Path(source)
    former = load(place)
    facts = former.facts
    if not table.exists():
        raise LabelweaveError(f"{table}: no such file, expected a table with new labels")
    if folds < 2:
        raise LabelweaveError(f"folds: found {folds}, expected 2 or more")
    if keep is not None and keep < 1:
        raise LabelweaveError(f"keep: found {keep}, expected 1 or more")
    given = study_at(study if study is not None else place.resolve().parent)
    section = _section(given, table, like, format)
    unknown = _unknown_inputs(former, given, section)
    section["exclude"] = [*section.get("exclude", []), *unknown]
    added = [*facts.added, section]
    wider = without_rows(with_sources(given, added), facts.forgotten)
    _check_classes(former.tasks, wider.data.tasks, table)
    results = read_results(given.output)
    spec = wider.config.method(facts.method)
    with locked(given.output):
        split = all_rows(wider)
        is_new = split.source == len(split.source_names) - 1
        split = with_copies_together(split, is_new)
        labels = split.train.annotations
        if not any((labels.labels[task.name][is_new] >= 0).any() for task in labels.tasks):
            names = [task.name for task in labels.tasks]
            raise LabelweaveError(f"{table}: found no label, expected labels of {listing(names)}")
        kept = np.ones(len(is_new), np.bool_) if keep is None else exemplars(split, is_new, keep)
        tasks, held = compared(wider, spec, split, is_new, kept, folds, progress, warm)
        falling = [each for each in tasks if each.falls]
        current, number = current_version(place), next_version(place)
        found = Update(
            True, number, tasks, kept=int((kept & ~is_new).sum()), left_out=tuple(unknown)
        )
        if falling:
            reason = "; ".join(str(each) for each in falling)
            found = replace(found, handed_over=False, version=current.number, reason=reason)
            write_text(place / REPORT, json.dumps(asdict(found), indent=1))
            return found
        start = former.model if warm else None
        made = fit_all(wider, spec, _without(split, ~kept), progress, start)
        following = version(place, number)
        full = (current.folder / FULL).is_dir()
        write_model(
            following.folder, wider, results, facts.method, made, held, full,
            added, facts.rules, measured=split, forgotten=facts.forgotten, folds=folds,
        )  # fmt: skip
        started = isinstance(made.model, Model) and made.model.record.warm
        found = replace(found, warm=started)
        write_text(following.folder / REPORT, json.dumps(asdict(found), indent=1))
        point_to(place, number)
    return found


def rollback(folder: str | Path, to: int | None = None) -> Version:
    """Put a former version of a model in use.

    Args:
        folder: the model's folder.
        to: the version; None = the one before that in use.

    Returns:
        The version in use.

    Raises:
        LabelweaveError: no model there, or no such version; the version in use stays.
    """
    place = Path(folder)
    current, numbers = current_version(place), version_numbers(place)
    earlier = [number for number in numbers if number < current.number]
    if to is None and not earlier:
        raise LabelweaveError(f"{place}: version {current.number} is the first, none before it")
    number = earlier[-1] if to is None else to
    if number not in numbers:
        raise LabelweaveError(
            f"{place}: no version {number}, expected one of {', '.join(map(str, numbers))}"
        )
    chosen = version(place, number)
    load_version(chosen)
    point_to(place, number)
    return chosen


def load_version(chosen: Version) -> None:
    """Check that a version can be read, whatever the pointer names.

    Raises:
        LabelweaveError: it cannot.
    """
    from labelweave.fitting._stack import load_model

    load_model(chosen.folder)


def _section(study: "Study", table: Path, like: str | None, format: str | None) -> dict[str, Any]:
    sources = {str(each.name or Path(each.path or "").stem): each for each in study.config.sources}
    given: dict[str, Any] = {}
    if like is not None:
        if like not in sources:
            raise LabelweaveError(
                f"like: found '{like}', expected a source of the study, {listing(sources)}"
                f"{nearest(like, sources)}"
            )
        given = sources[like].model_dump(mode="json", exclude_defaults=True)
    if format is not None:
        if format not in FORMATS:
            raise LabelweaveError(
                f"format: found '{format}', expected {listing(FORMATS)}{nearest(format, FORMATS)}"
            )
        given |= _answers(table, format, study.data.tasks, given.get("rename", {}))
    return given | {"path": str(table.resolve()), "name": f"update {table.stem}"}


def _answers(
    table: Path, format: str, tasks: Sequence[Task], rename: Mapping[str, str]
) -> dict[str, Any]:
    """Return how the answers of an annotation tool are read as labels of the tasks."""
    answered = {task["name"] for each in read_annotations(table, format) for task in each.tasks}
    several = [
        task
        for task in tasks
        if not isinstance(task, Multiclass | Binary) and task.name in answered
    ]
    options: dict[str, Any] = {"unticked": "no", "multiple": [task.name for task in several]}
    read = read_annotations(table, format, **options)
    # an option is read as QUESTION.OPTION, the study may name its label OPTION
    labels = {f"{task.name}.{name}": str(name) for task in several for name in task.names}
    own = {a: b for a, b in labels.items() if any(a in each.frame.columns for each in read)}
    return options | {"format": format, "rename": {**own, **rename}}


def _unknown_inputs(former: FinalModel, study: "Study", section: dict[str, Any]) -> list[str]:
    """Return columns that a new source would make inputs, though all earlier rows lack them."""
    known = former.model.encoder.schema
    schema = with_sources(study, [section]).data.collection.schema
    if known is None or schema is None:
        return []
    earlier = {name for each in study.data.collection.sources for name in each.inputs.columns}
    earlier |= set(known.named("input"))
    return [name for name in schema.named("input") if name not in earlier]


def lies_below(metric: str, low: float | None, high: float | None) -> bool:
    """Return whether the interval of a difference lies wholly on the worse side of 0."""
    if HIGHER_IS_BETTER[metric]:
        return high is not None and high < 0
    return low is not None and low > 0


def _check_classes(known: Sequence[Task], found: Sequence[Task], table: Path) -> None:
    classes = {task.name: task.names for task in known}
    for task in found:
        new = [name for name in task.names if name not in classes.get(task.name, ())]
        if new:
            raise LabelweaveError(
                f"{table}: task '{task.name}': found the new class '{new[0]}', expected one of "
                f"{listing(classes.get(task.name, ()))}{nearest(new[0], classes[task.name])}; a "
                "study with the class must run first"
            )


def compared(
    study: "Study",
    spec: Method,
    split: Split,
    is_new: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    folds: int,
    progress: bool,
    warm: bool = False,
) -> tuple[tuple[UpdatedTask, ...], dict[str, NDArray[np.float64]]]:
    """Return fits with and without some rows, compared on rows that neither has seen.

    Args:
        study: the study, with all sources.
        spec: the method.
        split: its training rows are all rows.
        is_new: (n,) which of them the fits of the side before do not see.
        chosen: (n,) which of them the fits of the side after see.
        folds: number of folds.
        progress: show what is fitted.
        warm: the side after starts from the network of the side before, of the same fold.

    Returns:
        By task and part the figures, and what fits with all rows gave out-of-fold (`out_of_fold`).
    """
    labels, groups = split.train.annotations, split.train.groups
    scores = {
        side: {task.name: np.zeros((len(is_new), task.width)) for task in labels.tasks}
        for side in ("before", "after")
    }
    held = {task.name: np.zeros((len(is_new), task.width)) for task in labels.tasks}
    for fold, out in held_out(split, folds):
        kept = np.setdiff1d(np.arange(len(is_new)), out)
        after_fold = replace(fold, relations=split.relations)
        sides = ("before", is_new[kept]), ("after", ~chosen[kept])
        start: EncodedPredictor | None = None
        for side, gone in sides:
            train = _without(after_fold, gone)
            model = fit_all(study, spec, train, progress, start).model
            start = model if warm else None
            given = model.uncalibrated(fold.test.inputs)
            for name, p in model.under_prior(given).items():
                scores[side][name][out] = p
            if side == "after":
                for name, p in given.items():
                    held[name][out] = p
    parts: dict[Part, NDArray[np.bool_]] = {"earlier": ~is_new, "new": is_new}
    tests = len(labels.tasks) * len(parts)
    found_tasks = []
    for task in labels.tasks:
        truth = labels.labels[task.name]
        for part, rows in parts.items():
            if not (truth[rows] >= 0).any():
                continue
            before, after = (
                Replicates(
                    task,
                    [TestResult(scores[side][task.name][rows], truth[rows], None, groups[rows])],
                    REPLICATES,
                )
                for side in ("before", "after")
            )  # fmt: skip
            metric = after.main_metric
            difference = after.difference(before, LEVEL, tests)[metric]
            falls = lies_below(metric, difference.low, difference.high)
            means = before.summary(LEVEL)[metric].mean, after.summary(LEVEL)[metric].mean
            n = int((truth[rows] >= 0).sum())
            found_tasks.append(
                UpdatedTask(
                    task.name, part, metric, *means, difference.low, difference.high, n, falls
                )
            )
    return tuple(found_tasks), held


def with_copies_together(split: Split, is_new: NDArray[np.bool_]) -> Split:
    """Return a split where a new row is of the group of an earlier one with its inputs.

    Labelling a row of the study, as `label_next` asks, gives a second row with its inputs. Folds
    hold out both.
    """
    groups, hashes = split.train.groups, row_hashes(split.train.inputs, b"")
    first = dict(zip(hashes[~is_new][::-1], groups[~is_new][::-1], strict=True))
    pairs = [
        (own, first[each])
        for each, own in zip(hashes[is_new], groups[is_new], strict=True)
        if each in first
    ]
    size = int(groups.max(initial=-1)) + 1
    ends = np.array(pairs, np.int64).reshape(-1, 2).T
    joined = coo_array((np.ones(len(pairs)), ends), shape=(size, size))
    together = connected_components(joined, directed=False)[1][groups]
    return replace(split, train=replace(split.train, groups=together.astype(np.int64)))


def exemplars(split: Split, is_new: NDArray[np.bool_], keep: int) -> NDArray[np.bool_]:
    """Return which rows stay, (n,): the new ones, and `keep` earlier ones of every class."""
    labels, chosen = split.train.annotations, is_new.copy()
    order = np.random.default_rng([split.seed, STREAM]).permutation(np.flatnonzero(~is_new))
    for task in labels.tasks:
        codes = labels.labels[task.name][order].reshape(len(order), -1)
        for column in codes.T:
            for code in np.unique(column[column >= 0]):
                chosen[order[column == code][:keep]] = True
    return chosen


def _without(split: Split, gone: NDArray[np.bool_]) -> Split:
    kept, train = np.flatnonzero(~gone), split.train
    rows = Rows(train.inputs[kept], train.annotations[kept], train.index[kept], train.groups[kept])
    weight = None if split.sample_weight is None else split.sample_weight[kept]
    return replace(split, train=rows, source=split.source[kept], sample_weight=weight)
