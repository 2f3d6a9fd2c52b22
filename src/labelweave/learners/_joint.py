"""Joint learners: models that learn all tasks at once, such as a shared network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.relations import AnyRelation

Floats = NDArray[np.float64]


@runtime_checkable
class JointModel(Protocol):
    """A fitted joint learner: it predicts all tasks, and saves itself without pickle."""

    def predict(self, X: Any) -> Mapping[str, Floats]:
        """Return per task (n, K) class or (n, L) label-on probabilities.

        Args:
            X: n inputs of the kind that it was fitted on.
        """

    def save(self, folder: Path) -> None:
        """Write everything into an existing, empty folder, without pickle."""


@runtime_checkable
class JointLearner(Protocol):
    """Learns all tasks at once.

    It takes part in two ways: as one more learner in each task's mixture, and as a candidate of the
    guard. It is fitted once per fold, with the labels of that fold hidden in every task, and once
    with all.

    Attributes:
        name: the name that results use.
    """

    @property
    def name(self) -> str: ...

    def fit(
        self, X: Any, annotations: Annotations, relations: Sequence[AnyRelation], seed: int
    ) -> JointModel:
        """Return a model of all tasks.

        Args:
            X: (n, d) standardised inputs, or the rows that the fit's ``joint_inputs`` gave.
            annotations: labels of n rows, -1 = missing.
            relations: the tables in use, estimated without any label that is hidden here.
            seed: decides everything.
        """

    def reason_against(self, annotations: Annotations) -> str | None:
        """Return why it is left out for such labels; None = it takes part.

        Args:
            annotations: the labels.
        """

    def seconds(self, annotations: Annotations, columns: int) -> float:
        """Return about how long one fit takes, from a fixed model, in seconds of one core.

        Args:
            annotations: the labels.
            columns: inputs.
        """

    def load(self, folder: Path) -> JointModel:
        """Return what `JointModel.save` wrote."""
