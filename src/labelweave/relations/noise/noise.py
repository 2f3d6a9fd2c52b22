"""How the labels of one task err."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.estimation.columns import Matrix

from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass, Task

TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Noise:
    """The confusion of a task's labels: P(label found | clean label), by data source.

    Given the clean label, the label found depends neither on the inputs nor on other labels
    (class-conditional noise; Natarajan et al., "Learning with noisy labels", NIPS 2013).

    Args:
        task: the task, of C classes or L labels.
        confusion: (D, C, C) for a multiclass task, (D, L, 2, 2) for a multilabel one (0 = off, 1 =
            on); rows are clean labels, columns labels found, and every row sums to one. D is the
            number of data sources, or 1 for a confusion that all of them share.
        rate: (D, B) share of the labels that are wrong, B = 1 for a multiclass task, else L; None =
            not estimated, as in the rest.
        low, high: (D, B) its interval (.95), given the classes that the estimation settled on.
        support: (D, B) effective number of labels behind it.

    Raises:
        LabelweaveError: a wrong shape, an entry outside [0, 1], or a row that does not sum to one.
    """

    task: Task
    confusion: Matrix
    rate: Matrix | None = None
    low: Matrix | None = None
    high: Matrix | None = None
    support: Matrix | None = None

    def __post_init__(self) -> None:
        values = np.array(self.confusion, dtype=np.float64)
        width = self.task.width
        shape = (width, width) if isinstance(self.task, Multiclass) else (width, 2, 2)
        if values.ndim != len(shape) + 1 or values.shape[1:] != shape or not len(values):
            expected = ", ".join(map(str, ("sources", *shape)))
            raise LabelweaveError(
                f"noise of '{self.task.name}': found shape {values.shape}, expected ({expected})"
            )
        if not ((values >= 0) & (values <= 1)).all():
            raise LabelweaveError(
                f"noise of '{self.task.name}': expected probabilities from 0 to 1"
            )
        sums = values.sum(axis=-1)
        wrong = sums[np.abs(sums - 1) > TOLERANCE]
        if wrong.size:
            raise LabelweaveError(
                f"noise of '{self.task.name}': a row sums to {wrong[0]:.4g}, expected 1"
            )
        values.setflags(write=False)
        object.__setattr__(self, "confusion", values)

    @property
    def elements(self) -> tuple[str, ...]:
        """What has a rate: the task itself, or its labels."""
        return (self.task.name,) if isinstance(self.task, Multiclass) else self.task.names

    @property
    def noisy(self) -> list[str]:
        """The task or those of its labels that are wrong at times in some data source."""
        if isinstance(self.task, Multiclass):
            return [self.task.name]
        wrong = (self.confusion != np.eye(2)).any(axis=(0, 2, 3))
        return [name for name, is_wrong in zip(self.elements, wrong, strict=True) if is_wrong]

    def observed(self, table: Matrix, source: int) -> Matrix:
        """Return the table (K, C) or (K, L) of the labels found, from that of the clean ones."""
        confusion = self.confusion[source if len(self.confusion) > 1 else 0]
        if isinstance(self.task, Multiclass):
            return np.asarray(table @ confusion)
        return np.asarray((1 - table) * confusion[:, 0, 1] + table * confusion[:, 1, 1])

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able values."""
        figures = {"rate": self.rate, "low": self.low, "high": self.high, "support": self.support}
        return {
            "task": self.task.name,
            "elements": list(self.elements),
            "names": list(self.task.names),
            "confusion": self.confusion.round(6).tolist(),
            **{k: None if v is None else np.round(v, 6).tolist() for k, v in figures.items()},
        }
