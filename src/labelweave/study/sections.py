"""The sections of a study file."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from labelweave.losses import task_loss
from labelweave.relations import Origin
from labelweave.study.section import Section
from labelweave.tasks import Binary, Multiclass

MISSING = ("", "NA", "NaN", "nan", "null")
Label = str | int | bool


class TaskSection(Section):
    """A task: its name, kind and classes or labels.

    Attributes:
        name: the task's name, also its label column (multiclass, binary).
        kind: multiclass, multilabel or binary.
        classes: classes of a multiclass task; left out = taken from the data, sorted.
        labels: label columns of a multilabel task.
        positive: value of a binary task that means on; default 1, true or yes.
        negative: value of a binary task that means off; default 0, false or no.
        loss: where its classes are very unequal, see below: a name such as ``focal``, or one with
            its options: ``{focal: {gamma: 1}}``.
    """

    name: str = Field(min_length=1)
    kind: Literal["multiclass", "multilabel", "binary"] = "multiclass"
    classes: list[Label] | None = None
    labels: list[str] | None = None
    positive: Label | None = None
    negative: Label | None = None
    loss: str | dict[str, Any] = "cross_entropy"

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        allowed = {
            "multiclass": {"classes"},
            "multilabel": {"labels"},
            "binary": {"positive", "negative"},
        }[self.kind]
        for name in ("classes", "labels", "positive", "negative"):
            if getattr(self, name) is not None and name not in allowed:
                raise ValueError(f"a {self.kind} task has no '{name}'")
        if self.kind == "multilabel" and not self.labels:
            raise ValueError("a multilabel task needs 'labels', the names of its columns")
        kind = Multiclass(self.name) if self.kind == "multiclass" else Binary(self.name)
        task_loss(self.loss, kind)
        return self

    def description(self) -> dict[str, Any]:
        """Return the section in the form of `labelweave.tasks.task_from_dict`."""
        return self.model_dump(exclude_none=True, exclude={"loss"})


class RelationSection(Section):
    """Where relations come from: an expert's table, or rows that carry both labels.

    Without a table the pair is counted on co-labelled rows, or estimated in arms that say so. From
    a multiclass task the relation is a table, from a multilabel one a noisy-OR: each of its labels
    may switch on labels of the targets.

    Attributes:
        source: the task that speaks: its classes, or its labels, are the rows.
        table: CSV file, relative to the study file; of a noisy-OR, ``leak`` may be one more row.
        known: instead, a published table that ships, for example ``du-tao-martinez-2014``.
        vocabulary: the data set whose labels a known table is restricted to, for example ``disfa``;
            default: all labels of the study.
        targets: the tasks spoken about; default: all in the table. Needed without a table.
        strength: factor on the coupling terms of these relations.
        smoothing: pseudo-counts per row when counting, of a noisy-OR per cause.
    """

    source: str
    table: str | None = None
    known: str | None = None
    vocabulary: str | None = None
    targets: list[str] | None = None
    strength: float = Field(default=1.0, ge=0)
    smoothing: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _targets_to_count(self) -> Self:
        if self.table is not None and self.known is not None:
            raise ValueError("found both 'table' and 'known', expected one of them")
        if self.known is None and self.vocabulary is not None:
            raise ValueError("found 'vocabulary' without 'known', which it belongs to")
        if not self.written and not self.targets:
            raise ValueError("counting from annotations needs 'targets' (or give a 'table')")
        return self

    @property
    def written(self) -> bool:
        """Whether the relations are written down in a table, and not to be counted."""
        return self.table is not None or self.known is not None


def _more_than_one(folds: int) -> int:
    if folds == 1:
        raise ValueError("found 1, expected 0 or at least 2 folds")
    return folds


Folds = Annotated[int, Field(ge=0), AfterValidator(_more_than_one)]


class RelatednessSection(Section):
    """How relations are checked and estimated.

    Attributes:
        from: which evidence the coupled arms' relations come from, where an arm does not say: all
            (the expert's tables, corrected by the data), knowledge, annotations, predictions, or
            given: the tables as they are, unchecked. But for given, only what holds on held-out
            rows couples tasks.
        strength: pseudo-rows that a row of an expert's table counts.
        folds: without validation rows, train the uncoupled network this many times more, each time
            without a part of the rows (and as many passes over the others), to see how far its
            predictions can be trusted and how much each task has to learn from the others; 0 =
            do not, couplings then fade by the number of labels.
    """

    origin: Origin | Literal["given"] = Field(default="all", alias="from")
    strength: float = Field(default=5.0, gt=0)
    folds: Folds = 2


class TeachersSection(Section):
    """How single-task networks are calibrated before they teach an arm that distils.

    Attributes:
        folds: without validation rows, train them this many times more, each time without a part
            of the rows, to find the temperature that makes their probabilities right; 0 = take
            the probabilities as they are.
    """

    folds: Folds = 0


def _share_or_rows(value: float | int) -> float | int:
    if value < 0 or (isinstance(value, float) and value >= 1):
        raise ValueError(f"found {value}, expected a share below 1 or a whole number of rows")
    return value


Size = Annotated[float | int, AfterValidator(_share_or_rows)]


class SplitSection(Section):
    """How rows are divided: shares below 1, or numbers of rows.

    Attributes:
        test: rows to prove the result on; used once. Default: .2, or 0 where a source is the test.
        validation: rows for early stopping, thresholds and temperatures; 0 = train a fixed number
            of steps.
        on_leak: what to do when identical inputs stand on both sides.
    """

    test: Size | None = None
    validation: Size = 0
    on_leak: Literal["warn", "error"] = "warn"


class PartSection(Section):
    """A part of the training rows that keeps only some tasks' labels (see `scatter`).

    Attributes:
        name: the part's name; it takes the place of the source.
        tasks: the tasks whose labels stay.
        per_class: this many rows of every class of the first task.
        rows: this many rows, or a share below 1; neither = all that are left.
    """

    name: str
    tasks: list[str] = Field(min_length=1)
    per_class: int | None = Field(default=None, ge=1)
    rows: Annotated[float | int | None, Field(gt=0)] = None


class StatisticsSection(Section):
    """The statistics of the comparison.

    Attributes:
        replicates: bootstrap replicates.
        level: coverage of the intervals; 1 - level is also the level of the verdicts.
    """

    replicates: int = Field(default=1000, ge=100)
    level: float = Field(default=0.95, gt=0.5, lt=1)
