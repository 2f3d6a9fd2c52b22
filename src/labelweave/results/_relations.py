"""What a study found about how its tasks relate: tables, evidence, label noise, which to join."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labelweave._messages import Text
from labelweave.errors import LabelweaveError, listing

Numbers = tuple[tuple[float | None, ...], ...]  # a table by rows; None = unknown


@dataclass(frozen=True)
class MeanInterval:
    """A mean with the ends of its interval; None = beyond what the data can show."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class RelationTable:
    """A relation: classes of the source task x classes or labels of the target task.

    Attributes:
        source: the source task.
        target: the target task.
        rows: names of the source's classes; of a noisy-OR its labels, and last "leak".
        columns: names of the target's classes or labels.
        table: the entries, by rows.
        known: which entries are known; empty = all that have a value.
        kind: ``table``, or ``noisy-OR`` with its weights and leak.
        origin: where it comes from.
        strength: how far it is trusted; None = not given.

    Raises:
        LabelweaveError: a table of another shape than its rows and columns.
    """

    source: str
    target: str
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    table: Numbers
    known: tuple[tuple[bool, ...], ...] = ()
    kind: Literal["table", "noisy-OR"] = "table"
    origin: Text = ""
    strength: float | None = None

    def __post_init__(self) -> None:
        """Check the shape.

        Raises:
            LabelweaveError: rows, columns and table do not fit each other.
        """
        n, m = len(self.rows), len(self.columns)
        for name, values in (("table", self.table), ("known", self.known)):
            lengths = [len(row) for row in values]
            if (name == "table" or values) and (lengths != [m] * n or not n * m):
                raise LabelweaveError(
                    f"{name} of {len(lengths)} rows of {listing(sorted(set(lengths)))} columns, "
                    f"expected {n} rows and {m} columns as named"
                )

    @property
    def name(self) -> str:
        """Its name, ``source->target``."""
        return f"{self.source}->{self.target}"


@dataclass(frozen=True)
class Disagreement:
    """An entry on which expert and data disagree beyond their intervals.

    Attributes:
        class_name: the source's class.
        label: the target's class or label.
        expert: the expert's probability.
        data: the estimate from data alone.
        low: lower end of its interval.
        high: upper end.
        surprise: gap between the expert's interval and the data's, in (0, 1].
    """

    class_name: Any
    label: Any
    expert: float
    data: float
    low: float
    high: float
    surprise: float


@dataclass(frozen=True, kw_only=True)
class EstimatedTable(RelationTable):
    """An estimated relation.

    Attributes:
        low: lower ends of the entries' intervals.
        high: upper ends.
        support: weight of the evidence behind each entry, in rows.
        evidence_shares: by row the shares of knowledge, annotations and predictions.
        surprising: entries on which expert and data disagree, the largest gap first.
        wrong_rows: classes whose expert row the data contradict.
    """

    low: Numbers = ()
    high: Numbers = ()
    support: Numbers = ()
    evidence_shares: Numbers = ()
    surprising: tuple[Disagreement, ...] = ()
    wrong_rows: tuple[Any, ...] = ()


@dataclass(frozen=True)
class LabelLift:
    """What a relation adds on one label: see `labelweave.relations.LabelEvidence`."""

    name: Any
    lift: float | None
    low: float | None
    high: float | None
    n: int
    keep: bool
    reason: Text


@dataclass(frozen=True)
class RelationEvidence:
    """Whether a relation helps on held-out rows: see `labelweave.relations.Evidence`."""

    name: str
    benchmark: str
    n: int
    lift: float | None
    low: float | None
    high: float | None
    raw_lift: float | None
    p_value: float | None
    p_value_classes: float | None
    per_label: tuple[LabelLift, ...]
    against_estimated: MeanInterval | None
    raw_against_estimated: MeanInterval | None
    verdict: str
    reason: Text
    trust: float
    promise: float = 0.0


@dataclass(frozen=True)
class TaskNoise:
    """How the labels of a task err.

    Attributes:
        task: the task.
        elements: what has a rate: the task itself, or its labels.
        names: its classes or labels.
        confusion: P(label found | clean label), by data source and, of a multilabel task, label.
        rate: by data source and element the share of wrong labels; None = not estimated.
        low: lower ends of the rates' intervals.
        high: upper ends.
        support: labels behind each rate.
    """

    task: str
    elements: tuple[Any, ...]
    names: tuple[Any, ...]
    confusion: tuple[Any, ...]
    rate: Numbers | None
    low: Numbers | None
    high: Numbers | None
    support: Numbers | None


MUCH_NOISE = 0.1  # share of wrong labels


@dataclass(frozen=True)
class LabelNoiseSummary:
    """The label noise of the tasks that relations cover.

    Attributes:
        examined: every such task.
        found: by task with noise, the task itself or its noisy labels.
        mislabelled: number of labels that are likely wrong.
    """

    examined: tuple[TaskNoise, ...] = ()
    found: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    mislabelled: int = 0

    def verdict(
        self, task: str, label: Any, high: float | None
    ) -> Literal["found", "none", "open"]:
        """Return whether labels are wrong: noise was found, none was, or that is open.

        That none was found takes an interval that ends at 10 % wrong labels or below.

        Args:
            task: the task.
            label: the task itself, or one of its labels.
            high: upper end of the interval of the share of wrong labels.
        """
        if label in self.found.get(task, ()):
            return "found"
        return "none" if high is not None and high <= MUCH_NOISE else "open"


@dataclass(frozen=True)
class PairGain:
    """What one task may gain from another: see `labelweave.relations.TaskPair`."""

    receiver: str
    giver: str
    gain: float
    share: float
    labelled: int
    given: int
    relation: str
    reason: Text


@dataclass(frozen=True)
class ApartPair:
    """Two tasks that should not be joined, and why."""

    tasks: tuple[str, ...]
    reason: Text


@dataclass(frozen=True)
class StartProposal:
    """With which tasks to start, why, and which pairs to keep apart."""

    tasks: tuple[str, ...]
    reason: Text
    apart: tuple[ApartPair, ...] = ()


@dataclass(frozen=True)
class RelatednessSummary:
    """How the tasks relate, by one origin of evidence.

    Attributes:
        estimates: the estimated tables.
        noisy_ors: relations between multilabel tasks.
        evidence: whether each relation helps on held-out rows.
        used: names of the relations that couple tasks.
        left_out: by name of a relation, why it couples nothing.
        noise: the label noise; None = not estimated.
        transfer_weights: by task, how much each label learns from the other tasks.
        ranking: pairs of tasks, the largest gain first.
        proposal: with which tasks to start.
    """

    estimates: tuple[EstimatedTable, ...]
    noisy_ors: tuple[RelationTable, ...]
    evidence: tuple[RelationEvidence, ...]
    used: tuple[str, ...]
    left_out: Mapping[str, Text]
    noise: LabelNoiseSummary | None
    transfer_weights: Mapping[str, tuple[float, ...]]
    ranking: tuple[PairGain, ...]
    proposal: StartProposal


@dataclass(frozen=True)
class AddedTask:
    """A task to add to those at the start, and the reason in words."""

    task: str
    reason: Text


@dataclass(frozen=True)
class TaskOrder:
    """With which tasks to start, why, and which to add then, the most related first."""

    start: tuple[str, ...]
    reason: Text
    then: tuple[AddedTask, ...] = ()
