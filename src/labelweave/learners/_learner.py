"""What a learner is: a classifier by name, with typed options, a search space and a rule.

A learner is a frozen dataclass. It builds one fresh scikit-learn classifier for every fit, says for
which data it is suited for, and about how long a fit takes. The time is a fixed model of the
data's size, not a measurement: a budget must leave out the same learners on every machine.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from labelweave._search_space import Space
from labelweave.errors import LabelweaveError, listing, nearest

Floats = NDArray[np.float64]

LARGEST = 1_000_000  # value of an option


@dataclass(frozen=True)
class Size:
    """The size of one task's problem.

    Attributes:
        rows: labelled rows.
        columns: inputs.
        classes: classes of a multiclass task, 2 for a multilabel task.
        elements: 1 for a multiclass task, else the number of labels: each is one fit.
    """

    rows: int
    columns: int
    classes: int
    elements: int = 1

    def cut(self, rows: int) -> "Size":
        """Return the size with at most so many rows."""
        return replace(self, rows=min(self.rows, rows))


@dataclass(frozen=True)
class Learner(ABC):
    """A classifier of one task at a time; subclasses add options as fields.

    Attributes:
        name: its name in the registry.
        space: the search space of its options, for tuning.
        most_rows: a fit takes at most so many rows, drawn by class; more do not pay their time.
    """

    name: ClassVar[str] = ""
    space: ClassVar[Space] = {}
    most_rows: ClassVar[int] = 1_000_000

    @abstractmethod
    def build(self, size: Size, seed: int) -> Any:
        """Return a fresh classifier: ``fit``, and ``predict_proba`` or ``decision_function``."""

    @abstractmethod
    def seconds(self, size: Size) -> float:
        """Return about how long one fit takes, from a fixed model, in seconds of one core."""

    def reason_against(self, size: Size) -> str | None:
        """Return why this learner is left out for data of that size; None = it takes part."""
        return None

    def with_options(self, **options: Any) -> Self:
        """Return the learner with other options.

        Raises:
            LabelweaveError: an unknown option, or a value that is no number above 0.
        """
        known = [name for name in self.__dataclass_fields__ if name != "label"]
        for name, value in options.items():
            if name not in known:
                raise LabelweaveError(
                    f"learner '{self.key}': no option '{name}', expected {listing(known)}"
                    f"{nearest(name, known)}"
                )
            whole = isinstance(getattr(self, name), int)
            number = isinstance(value, int if whole else int | float) and value is not True
            if not number or not 0 < value <= LARGEST:
                kind = "a whole number" if whole else "a number"
                raise LabelweaveError(
                    f"learner '{self.key}': option '{name}': found {value!r}, expected {kind} "
                    f"above 0, at most {LARGEST:,}"
                )
        return replace(self, **options)

    @property
    def key(self) -> str:
        """The name that results use; two learners of one stack must differ in it."""
        return self.name
