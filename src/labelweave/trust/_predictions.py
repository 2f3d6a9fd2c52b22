"""Predictions with labels: what everything that measures or sets a threshold starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave._targets import Table, Targets, annotations_of
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.evaluation._metrics import checked
from labelweave.evaluation._questions import Floats, Probabilities
from labelweave.evaluation._top_classes import TopClasses
from labelweave.model import EncodedPredictor
from labelweave.tables._frames import input_frame
from labelweave.tasks import Task

if TYPE_CHECKING:
    from labelweave.estimator import MultiTaskClassifier

AnyModel: TypeAlias = "MultiTaskClassifier | EncodedPredictor"


def classifier_of(model: AnyModel) -> "MultiTaskClassifier | None":
    """Return a model as a classifier; None where it is none, and scikit-learn is not loaded."""
    if isinstance(model, EncodedPredictor):
        return None
    from labelweave.estimator import MultiTaskClassifier

    return model if isinstance(model, MultiTaskClassifier) else None


@dataclass(frozen=True, eq=False)
class Predictions:
    """The labels of n rows, and what a model gives for them.

    The rows must be new to the model: validation or test rows.

    Args:
        annotations: the labels, -1 = missing, per element.
        probabilities: per task P(class), (n, K), or P(label on), (n, L); tasks may be left out.
            Runs of a study keep the likeliest of very many classes (`TopClasses`), which the
            comparison of groups reads as well.
        groups: (n,) what ties rows together, such as a person; None = every row by itself.
        thresholds: per multilabel task the probability from which a label counts as on, (L,).

    Raises:
        LabelweaveError: shapes or probabilities that do not fit the tasks, or no task at all.
    """

    annotations: Annotations
    probabilities: Probabilities
    groups: ArrayLike | None = None
    thresholds: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [task.name for task in self.annotations.tasks]
        for name in self.probabilities:
            if name not in names:
                raise LabelweaveError(
                    f"probabilities of '{name}': no such task, expected {listing(names)}"
                    f"{nearest(name, names)}"
                )
        if not self.probabilities:
            raise LabelweaveError("probabilities: found no task, expected at least one")
        found = {}
        for task in self.tasks:
            given: Any = self.probabilities[task.name]
            p, _, _ = checked(
                task,
                given if isinstance(given, TopClasses) else np.asarray(given, np.float64),
                self.annotations.labels[task.name],
                self.thresholds.get(task.name),
            )
            found[task.name] = p
        object.__setattr__(self, "probabilities", found)
        object.__setattr__(self, "groups", group_codes(self.groups, len(self.annotations)))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that have probabilities."""
        return tuple(t for t in self.annotations.tasks if t.name in self.probabilities)

    @property
    def group_codes(self) -> NDArray[np.int64]:
        """The group of every row as a number from 0, (n,)."""
        return np.asarray(self.groups, np.int64)

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, rows: Any) -> "Predictions":
        """Return some rows: indices, a slice or a boolean mask."""
        found = {name: p[rows] for name, p in self.probabilities.items()}
        return Predictions(
            self.annotations[rows], found, self.group_codes[rows], dict(self.thresholds)
        )

    def labels(self, name: str) -> NDArray[np.int64]:
        """Return the codes of a task, (n,) or (n, L); -1 = missing."""
        return np.asarray(self.annotations.labels[name], np.int64)


def predict_rows(
    model: AnyModel, X: Table, y: Targets, groups: ArrayLike | None = None
) -> Predictions:
    """Return what a model gives for labelled rows, with their labels.

    Args:
        model: a fitted `MultiTaskClassifier`, or a model that was saved by it or by a study.
        X: the inputs of n rows, new to the model.
        y: their labels by task, as in `MultiTaskClassifier.fit`; tasks may be left out.
        groups: (n,) what ties rows together; None = every row by itself.

    Raises:
        LabelweaveError: inputs or labels that do not fit the model.
    """
    classifier = classifier_of(model)
    missing = None if classifier is None else classifier.missing
    found, probabilities = predictor_of(model), probabilities_of(model, X)
    annotations = annotations_of(y, found.tasks, missing, X)
    return Predictions(annotations, probabilities, groups, dict(found.thresholds))


def predictor_of(model: AnyModel) -> EncodedPredictor:
    """Return the trained model behind a classifier, or a model as it is."""
    classifier = classifier_of(model)
    return cast(EncodedPredictor, model) if classifier is None else classifier._fitted()


def probabilities_of(model: AnyModel, X: Table) -> dict[str, NDArray[Any]]:
    """Return per task what a model gives for raw rows."""
    classifier = classifier_of(model)
    rows = input_frame(X) if classifier is None else classifier._inputs(X)
    return dict(predictor_of(model).predict_proba(rows))


def group_codes(groups: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Return the group of each of n rows as a number from 0; without groups, every row is its own.

    Raises:
        LabelweaveError: another number of groups than rows.
    """
    if groups is None:
        return np.arange(n)
    given = np.asarray(groups)
    if given.shape != (n,):
        raise LabelweaveError(f"groups: found shape {given.shape}, expected ({n},)")
    if given.dtype == object:
        given = given.astype(str)
    return np.asarray(np.unique(given, return_inverse=True)[1], np.int64)


def learnable_labels(labels: Annotations, groups: ArrayLike | None = None) -> Annotations:
    """Return the labels whose class others have, too: without them no fold could learn it.

    What a model that never saw a class gives for it says nothing about one that did.

    Args:
        labels: of n rows whose predictions are out-of-fold.
        groups: (n,) what ties rows together; None = every row by itself.
    """
    codes = group_codes(groups, len(labels))
    found = {}
    for task in labels.tasks:
        given: NDArray[np.int64] = np.array(labels.labels[task.name], np.int64)
        columns = given[:, None] if given.ndim == 1 else given
        for j in range(columns.shape[1]):
            for value in np.unique(columns[:, j][columns[:, j] >= 0]):
                mine = columns[:, j] == value
                if len(np.unique(codes[mine])) < 2:
                    columns[mine, j] = -1
        found[task.name] = columns[:, 0] if given.ndim == 1 else columns
    return Annotations(labels.tasks, found)
