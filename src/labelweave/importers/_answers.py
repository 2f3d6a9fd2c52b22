"""Answers of annotators to questions about samples, and the tables and tasks that they become."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import pandas as pd

from labelweave.data import Source, table_source
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tasks import task_from_dict

Unticked = Literal["missing", "no"]
Annotators = Literal["majority", "separate"]
MOST_ROWS = 5_000_000
MOST_QUESTIONS = 500
MOST_OPTIONS = 5_000  # of all questions together
SAMPLE = "sample"  # the column that ties the rows of one sample together
YES, NO = "yes", "no"


@dataclass(frozen=True)
class Answers:
    """The answers of one annotator for one sample.

    Attributes:
        annotator: the annotator's name; "" = unknown.
        chosen: by question the options that were chosen. A question that is not here was not
            answered; one without options was answered by "none of them".
        judged: by question single options that were said to hold or not; says nothing of others.
    """

    annotator: str = ""
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    judged: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One sample: its inputs, and the answers of all annotators."""

    inputs: Mapping[str, Any]
    answers: Sequence[Answers]


@dataclass(frozen=True)
class Question:
    """A question: its options, and whether several of them may hold at once.

    Attributes:
        name: the question's name, which becomes the task's.
        options: all options that the file names.
        multiple: several options may hold together: a multilabel task; else a multiclass one.
        closed: the options that a sample lacks are known not to hold, whatever `unticked` says.
    """

    name: str
    options: tuple[str, ...]
    multiple: bool = False
    closed: bool = False

    def column(self, option: str) -> str:
        """Return the label column of an option of a multilabel task."""
        return f"{self.name}.{option}"

    def columns(self) -> list[str]:
        """Return the label columns of the task."""
        return [self.column(o) for o in self.options] if self.multiple else [self.name]

    def task(self) -> dict[str, Any]:
        """Return the task as a study file says it."""
        if self.multiple:
            return {"name": self.name, "kind": "multilabel", "labels": self.columns()}
        classes = {"classes": list(self.options)} if len(self.options) > 1 else {}
        return {"name": self.name, "kind": "multiclass", **classes}


@dataclass(frozen=True, eq=False)
class Imported:
    """What a file of an annotation tool holds, as one table.

    Attributes:
        name: whose labels these are: "" = all annotators', else one annotator's.
        frame: one row a sample: input columns, then label columns; a missing cell is None.
        tasks: the tasks, each as a study file says it.
        group: the column that ties rows of one sample together; None = one row a sample.
        part: the column that holds the official part of a row (train, validation, test), or None.
        licence: the licence that the file names, or None.
        notes: what was left out or decided, a line each.
    """

    name: str
    frame: pd.DataFrame
    tasks: tuple[dict[str, Any], ...]
    group: str | None = None
    part: str | None = None
    licence: str | None = None
    notes: tuple[str, ...] = ()

    def source(self, name: str) -> Source:
        """Return the table as a source of a collection.

        Args:
            name: the source's name.

        Raises:
            LabelweaveError: the table has no input column, or a task has fewer than two classes.
        """
        tasks = [task_from_dict(task) for task in self.tasks]
        left_out = [] if self.part is None else [self.part]
        return table_source(name, self.frame, tasks, group=self.group, exclude=left_out, missing=())


def known_option(name: str, found: str, options: Iterable[str]) -> None:
    """Raise `LabelweaveError` where an option of the import is not one of those that exist."""
    known = list(options)
    if found not in known:
        raise LabelweaveError(
            f"{name}: found '{found}', expected {listing(known)}{nearest(found, known)}"
        )


def asked(
    samples: Sequence[Sample],
    multiple: Sequence[str],
    options: Mapping[str, Sequence[str]] | None = None,
) -> list[Question]:
    """Return the questions that some answer answers, in order of appearance.

    A question takes several options where one answer holds two, an option was judged by itself, or
    `multiple` names it.

    Args:
        samples: the samples.
        multiple: questions that are known to take several options.
        options: by question, options that the file names besides those that were chosen.

    Raises:
        LabelweaveError: `multiple` names no question of the file.
    """
    found: dict[str, dict[str, None]] = {
        name: dict.fromkeys(given) for name, given in (options or {}).items()
    }
    several = set(multiple)
    for sample in samples:
        for answers in sample.answers:
            for part in (answers.chosen, answers.judged):
                for name, given in part.items():
                    found.setdefault(name, {}).update(dict.fromkeys(given))
            several |= {name for name, given in answers.chosen.items() if len(set(given)) > 1}
            several |= {name for name, given in answers.judged.items() if given}
    for name in multiple:
        if name not in found:
            raise LabelweaveError(
                f"multiple: no question '{name}', found {listing(found) or 'none'}"
                f"{nearest(name, found)}"
            )
    return [Question(name, tuple(given), name in several) for name, given in found.items() if given]


def imported(
    samples: Sequence[Sample],
    questions: Sequence[Question],
    unticked: Unticked = "missing",
    annotators: Annotators = "majority",
    notes: Sequence[str] = (),
    licence: str | None = None,
) -> list[Imported]:
    """Turn samples and their answers into tables.

    Args:
        samples: the samples.
        questions: the questions, as of `asked`.
        unticked: what an option means that an answer to a question of several does not choose:
            unknown (missing) or no.
        annotators: ``majority``: one table; a tie is missing. ``separate``: a table for each
            annotator, whose rows are tied together by the column ``sample``.
        notes: lines to pass on.
        licence: the licence to pass on.

    Raises:
        LabelweaveError: no sample, too many of something, or an input with a label's name.
    """
    known_option("unticked", unticked, get_args(Unticked))
    known_option("annotators", annotators, get_args(Annotators))
    _check_sizes(samples, questions)
    inputs = pd.DataFrame([dict(sample.inputs) for sample in samples])
    taken = [column for question in questions for column in question.columns()]
    for column in dict.fromkeys([*taken, *([SAMPLE] if annotators == "separate" else [])]):
        if column in inputs.columns:
            what = "a label column" if column in taken else "the column that ties rows together"
            raise LabelweaveError(f"input '{column}' has the name of {what}, expected another")
    tasks = tuple(question.task() for question in questions)
    if annotators == "majority":
        votes = [_majority(sample.answers, questions, unticked) for sample in samples]
        ties = sum(vote.pop("") for vote in votes)
        if ties:
            notes = [*notes, f"annotators disagree without a majority: {ties:,} labels are missing"]
        labels = pd.DataFrame(votes, columns=taken, dtype=object)
        frame = pd.concat([inputs, labels], axis=1)
        return [Imported("", frame, tasks, licence=licence, notes=tuple(notes))]
    names = sorted({answers.annotator for sample in samples for answers in sample.answers})
    found = []
    for name in names:
        rows, votes = [], []
        for row, sample in enumerate(samples):
            own = [answers for answers in sample.answers if answers.annotator == name]
            if own:
                rows.append(row)
                votes.append(_majority(own, questions, unticked))
        labels = pd.DataFrame(votes, columns=taken, dtype=object)
        frame = pd.concat([inputs.iloc[rows].reset_index(drop=True), labels], axis=1)
        frame.insert(0, SAMPLE, [str(row + 1) for row in rows])
        found.append(Imported(name, frame, tasks, SAMPLE, licence=licence))
    if not found:
        raise LabelweaveError("found no answer of any annotator, expected at least one")
    found[0] = replace(found[0], notes=tuple(notes))
    return found


def _majority(
    given: Sequence[Answers], questions: Sequence[Question], unticked: Unticked
) -> dict[str, Any]:
    """Return the label of every column; under "" how many of them are ties."""
    cells: dict[str, Any] = {"": 0}
    for question in questions:
        votes: dict[str, Counter[str]] = {}
        for answers in given:
            chosen = answers.chosen.get(question.name)
            judged = answers.judged.get(question.name, {})
            if not question.multiple:
                if chosen:
                    votes.setdefault(question.name, Counter())[chosen[0]] += 1
                continue
            closed = chosen is not None and (unticked == "no" or question.closed)
            for option in question.options:
                if option in judged:
                    said = YES if judged[option] else NO
                elif option in (chosen or ()):
                    said = YES
                elif closed:
                    said = NO
                else:
                    continue
                votes.setdefault(question.column(option), Counter())[said] += 1
        for column, counter in votes.items():
            best = counter.most_common(2)
            if len(best) == 2 and best[0][1] == best[1][1]:
                cells[""] += 1
            else:
                cells[column] = best[0][0]
    return cells


def _check_sizes(samples: Sequence[Sample], questions: Sequence[Question]) -> None:
    if not samples:
        raise LabelweaveError("found no sample, expected at least one")
    width = sum(len(question.options) for question in questions)
    for found, most, what in (
        (len(samples), MOST_ROWS, "samples"),
        (len(questions), MOST_QUESTIONS, "questions"),
        (width, MOST_OPTIONS, "options"),
    ):
        if found > most:
            raise LabelweaveError(f"found {found:,} {what}, expected at most {most:,}")
    if not questions:
        raise LabelweaveError("found no answer to any question, expected at least one")
