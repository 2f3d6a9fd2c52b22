"""The half of a classifier that predicts: what its trained model says of rows, and how well."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from labelweave.errors import LabelweaveError
from labelweave.evaluation import evaluate
from labelweave.model import Model
from labelweave.priors import PriorChoice
from labelweave.targets import Table, Targets, annotations_of, input_frame
from labelweave.tasks import Binary, Multilabel, Task


class PredictorMixin:
    """Predictions of every task, by a trained model; see `MultiTaskClassifier`."""

    missing: Sequence[object] | None
    model_: Model

    def predict_proba(
        self, X: Table, prior: PriorChoice | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return per task P(class), (n, K), or P(label on), (n, L).

        `prior` is the rows' class prior (see `Model.predict_proba`); None = as `label_shift` says.
        """
        return self._fitted().predict_proba(self._inputs(X), prior)

    def predict(self, X: Table, prior: PriorChoice | None = None) -> dict[str, NDArray[Any]]:
        """Return per task the likeliest class, (n,), or its labels as 0 and 1, (n, L)."""
        return self._fitted().predict(self._inputs(X), prior)

    def score(self, X: Table, y: Targets) -> float:
        """Return the mean over tasks of the accuracy on labelled elements; unlabelled rows do not
        count, a task without any label is left out.

        Raises:
            LabelweaveError: no label at all, or one that training did not know.
        """  # noqa: D205
        model = self._fitted()
        given = self.predict_proba(X)
        labels = annotations_of(y, self.tasks_, self.missing).labels
        scores = []
        for task in self.tasks_:
            cuts = model.thresholds.get(task.name)
            accuracy = evaluate(task, given[task.name], labels[task.name], cuts)["accuracy"]
            if accuracy is not None:
                scores.append(accuracy)
        if not scores:
            raise LabelweaveError("score: found no label of any task, expected at least one")
        return float(np.mean(scores))

    def save(self, folder: str | Path) -> None:
        """Write the trained model to a folder (safetensors and JSON), for `load`."""
        self._fitted().save(folder)

    def _learn_names(self, tasks: Sequence[Task]) -> None:
        self.tasks_ = tuple(tasks)
        self.classes_ = {
            task.name: np.array(task.names, dtype=object)
            if isinstance(task, Multilabel) and not isinstance(task, Binary)
            else task.decode(np.arange(max(task.width, 2)))
            for task in tasks
        }

    def _fitted(self) -> Model:
        if not hasattr(self, "model_"):
            raise NotFittedError("this MultiTaskClassifier is not fitted yet; call fit first")
        return self.model_

    def _inputs(self, X: Table) -> pd.DataFrame:
        frame = input_frame(X)
        # by position a column too many would go unnoticed; data frames are matched by name
        expected = getattr(self, "n_features_in_", frame.shape[1])
        if not isinstance(X, pd.DataFrame) and frame.shape[1] != expected:
            raise LabelweaveError(
                f"X: found {frame.shape[1]} columns, expected {expected} as in training"
            )
        return frame
