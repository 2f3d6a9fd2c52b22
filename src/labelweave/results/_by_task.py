"""What results hold about one method task by task: its classes, its inputs, and other checks."""

from dataclasses import dataclass

from labelweave._messages import Text
from labelweave.results._relations import MeanInterval


@dataclass(frozen=True)
class ClassFigures:
    """How well a class, or a label of several, is found; counts are of all seeds.

    Attributes:
        name: the class or label.
        n: test elements of the class (of a label: that are on).
        predicted: test elements predicted as it.
        right: those that are both.
    """

    name: str
    n: int
    predicted: int
    right: int

    @property
    def recall(self) -> float | None:
        """Share of the class's elements that are found; None without one."""
        return self.right / self.n if self.n else None

    @property
    def precision(self) -> float | None:
        """Share of the elements predicted as it that are; None without one."""
        return self.right / self.predicted if self.predicted else None


@dataclass(frozen=True)
class Confusion:
    """Which classes a method takes for which.

    Attributes:
        names: the classes, those with the most test elements.
        counts: by true class (rows) and predicted class the test elements of all seeds; where there
            are `others`, the last row and column hold them together.
        others: the number of classes that are not among `names`.
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    others: int = 0


@dataclass(frozen=True)
class TaskDetails:
    """A method on a task, class by class.

    Attributes:
        method: the method.
        classes: of the task, in its order.
        confusion: None = a task of several labels.
    """

    method: str
    classes: tuple[ClassFigures, ...]
    confusion: Confusion | None = None


@dataclass(frozen=True)
class InputImportance:
    """What exchanging the values of an input column between rows costs a task.

    Attributes:
        column: the column.
        loss: the rise of the log loss, in nats.
        accuracy: the fall of the accuracy.
    """

    column: str
    loss: MeanInterval
    accuracy: float


@dataclass(frozen=True)
class InputsMeasured:
    """Which inputs matter to each task.

    Attributes:
        method: the method whose model was measured, on the first seed.
        rows: test rows.
        tasks: by task its columns, the most important first.
    """

    method: str
    rows: int
    tasks: dict[str, tuple[InputImportance, ...]]


@dataclass(frozen=True)
class Check:
    """A figure of a check: privacy, private training, exchange, fairness, audit or monitoring.

    Attributes:
        name: what was measured, such as a task.
        value: the figure; None = too little data.
        rows: rows behind it.
        note: what it means, or what it depends on.
    """

    name: Text
    value: MeanInterval | None = None
    rows: int | None = None
    note: Text = ""
