"""Trees for each task: what one would use instead of a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations, Codes
from labelweave.class_priors import AssumedPrior, labelled_prior
from labelweave.data import Inputs
from labelweave.model import TrainingRecord
from labelweave.tasks import Multiclass, Task

ROWS_PER_CLASS = 50  # below this, boosting's leaves of 20 rows see too little; a forest is better


@dataclass
class TreeModel:
    """Trees of every task, in the form of a `Predictor`; they are not saved.

    Attributes:
        tasks: the tasks.
        trees: per task one classifier, or one for each label.
        priors: per task the shares of its classes in the training rows.
        prior: the class prior that predictions assume.
    """

    tasks: tuple[Task, ...]
    trees: dict[str, list["OneTask"]]
    priors: dict[str, dict[str, NDArray[np.float64]]]
    prior: AssumedPrior
    thresholds: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    record: TrainingRecord = field(default_factory=TrainingRecord)

    def probabilities(self, encoded: Inputs) -> dict[str, NDArray[np.float32]]:
        """Return P(class) or P(label on) under the training prior, of encoded inputs."""
        rows = np.asarray(encoded)
        found: dict[str, NDArray[np.float32]] = {}
        for task in self.tasks:
            columns = [each.probabilities(rows) for each in self.trees[task.name]]
            multiclass = isinstance(task, Multiclass)
            on = np.stack([column[:, -1] for column in columns], axis=1)
            found[task.name] = columns[0] if multiclass else on
        return found

    def under_prior(
        self, probabilities: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        """Return what `probabilities` gives as it is under the assumed prior."""
        return self.prior.apply(self.tasks, probabilities, self.priors)

    def save(self, folder: Path) -> None:
        """Keep nothing: trees are a baseline to compare with."""


@dataclass(frozen=True)
class OneTask:
    """The classifier of one task or label; None = its only class is certain."""

    width: int
    classes: NDArray[np.generic]
    classifier: Any | None

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, width) probabilities."""
        given = np.zeros((len(rows), self.width), dtype=np.float32)
        given[:, self.classes] = (
            1.0 if self.classifier is None else self.classifier.predict_proba(rows)
        )
        return given


def fit_trees(
    inputs: NDArray[np.float32], labels: Annotations, seed: int, prior: AssumedPrior
) -> TreeModel:
    """Fit trees for every task, and for every label of a multilabel one.

    Gradient boosting where a class has on average at least 50 labelled rows, else a random forest
    of 300 trees. Classes without a labelled row get probability 0.

    Args:
        inputs: (n, d) training inputs.
        labels: their labels; missing elements are left out.
        seed: seed of the trees.
        prior: the class prior that predictions assume.
    """
    trees: dict[str, list[OneTask]] = {}
    for task in labels.tasks:
        codes = labels.labels[task.name]
        if isinstance(task, Multiclass):
            trees[task.name] = [_fit_one(inputs, codes, task.width, seed)]
        else:
            columns = range(task.width)
            trees[task.name] = [_fit_one(inputs, codes[:, j], 2, seed) for j in columns]
    met = {task.name: labelled_prior(labels, task.name) for task in labels.tasks}
    return TreeModel(labels.tasks, trees, {"training": met, "population": met}, prior)


def _fit_one(inputs: NDArray[np.float32], codes: Codes, width: int, seed: int) -> OneTask:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    seen = codes >= 0
    classes, counts = np.unique(codes[seen], return_counts=True)
    if len(classes) < 2:
        return OneTask(width, classes, None)
    if seen.sum() >= ROWS_PER_CLASS * len(classes):
        # stopping early sets rows aside, for which it needs two of every class
        stopping = "auto" if counts.min() > 1 else False
        trees = HistGradientBoostingClassifier(early_stopping=stopping, random_state=seed)
    else:
        trees = RandomForestClassifier(300, random_state=seed, n_jobs=1)
    return OneTask(width, classes, trees.fit(inputs[seen], codes[seen]))
