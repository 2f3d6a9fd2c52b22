"""One task of a `MultiTaskClassifier` as a plain scikit-learn classifier."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError

from labelweave._targets import Table, Targets, annotations_of
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables._frames import input_frame
from labelweave.tasks import Binary, Multiclass, Multilabel, Task

if TYPE_CHECKING:
    from labelweave.estimator import MultiTaskClassifier


class TaskClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier of one task, by a classifier of several.

    It predicts with `estimator` where that is fitted. `fit` trains a copy of it on the rows given,
    and on those of `X` that have no label of this task; without these the task is learnt alone.

    Args:
        estimator: the classifier of several tasks.
        name: the task.
        X: further rows for `fit`; None = none.
        y: their labels of the other tasks; labels of this task are not looked at, and rows that
            have one are left out: they are those that `fit` gets, or is to be tested on.

    Attributes:
        classes_: the classes, in the order of `predict_proba`'s columns.
        n_features_in_: number of input columns.
        estimator_: what predicts, after `fit`.
        seen_: the codes of the classes that `fit` saw; None = of a multilabel task.
    """

    def __init__(
        self,
        estimator: "MultiTaskClassifier",
        name: str,
        X: Table | None = None,
        y: Targets | None = None,
    ) -> None:
        self.estimator = estimator
        self.name = name
        self.X = X
        self.y = y

    estimator_: "MultiTaskClassifier"

    def fit(self, X: Table, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train on rows with labels of this task.

        Args:
            X: inputs (n, d).
            y: (n,) labels, or (n, L) of a multilabel task.
            sample_weight: (n,) how much each row counts.
            groups: (n,) what ties rows together.

        Raises:
            LabelweaveError: only one of the further `X` and `y`, weights or groups with them, or
                what `MultiTaskClassifier.fit` raises.
        """
        if (self.X is None) != (self.y is None):
            raise LabelweaveError("task: found only one of X and y, expected both or neither")
        if self.X is not None and (sample_weight is not None or groups is not None):
            raise LabelweaveError(
                "fit: found sample_weight or groups together with further rows, expected neither"
            )
        estimator = clone(self.estimator)
        known = self._known()
        own = annotations_of(
            {self.name: y}, None if known is None else [known], estimator.missing, X
        )
        rows = own.labels[self.name]
        if self.X is None:
            # other tasks have no label here
            estimator.set_params(tasks=None, relations=())
            estimator.fit(X, own, sample_weight=sample_weight, groups=groups)
        else:
            estimator.fit(*self._with_more(X, own))
        self.estimator_ = estimator
        # a plain classifier knows the classes that it was trained on
        self.seen_ = np.unique(rows[rows >= 0]) if rows.ndim == 1 else None
        return self

    def predict(self, X: Table) -> NDArray[Any]:
        """Return the likeliest class, (n,), or the labels as 0 and 1, (n, L)."""
        if isinstance(self._task(), Multiclass):
            return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
        fitted = self._fitted()
        return np.asarray(fitted.model_.predict(fitted._inputs(X))[self.name])

    def predict_proba(self, X: Table) -> NDArray[np.float64]:
        """Return P(class), (n, K), rows summing to 1, or P(label on), (n, L)."""
        fitted, task = self._fitted(), self._task()
        p = np.asarray(fitted.model_.predict_proba(fitted._inputs(X))[self.name], np.float64)
        if isinstance(task, Binary):
            return np.stack([1 - p[:, 0], p[:, 0]], axis=1)
        if isinstance(task, Multilabel):
            return p
        p = p[:, self._seen()]
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes as `predict` gives them, or the names of the labels."""
        classes = self._fitted().classes_[self.name]
        if isinstance(self._task(), Multiclass):
            classes = classes[self._seen()]
        # text as numpy's own: scikit-learn's encoders sort it
        texts = all(isinstance(value, str) for value in classes.tolist())
        return np.asarray(classes.astype(str) if texts else classes)

    @property
    def n_features_in_(self) -> int:
        """Number of input columns."""
        return int(self._fitted().n_features_in_)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether it can predict."""
        return hasattr(self, "estimator_") or hasattr(self.estimator, "model_")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks: missing inputs and text are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags

    def _fitted(self) -> "MultiTaskClassifier":
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(f"the classifier of '{self.name}' is not fitted yet; call fit")
        return self.estimator_ if hasattr(self, "estimator_") else self.estimator

    def _task(self) -> Task:
        return next(task for task in self._fitted().tasks_ if task.name == self.name)

    def _seen(self) -> NDArray[np.int64] | slice:
        seen = getattr(self, "seen_", None)
        return slice(None) if seen is None else seen

    def _known(self) -> Task | None:
        """Return the task as it was declared, or with the classes of the further labels."""
        tasks = self.estimator.tasks
        if tasks is None and self.y is not None:
            more = self._more()
            tasks = [task for task in more.tasks if task.name == self.name]
            return next(iter(tasks), None)
        if tasks is None:
            return None
        for task in tasks:
            if task.name == self.name:
                return task
        names = [task.name for task in tasks]
        raise LabelweaveError(
            f"task: found '{self.name}', expected {listing(names)}{nearest(self.name, names)}"
        )

    def _more(self) -> Annotations:
        estimator = self.estimator
        return annotations_of(self.y, estimator.tasks, estimator.missing, self.X)  # type: ignore[arg-type]

    def _with_more(self, X: Table, own: Annotations) -> tuple[pd.DataFrame, Annotations]:
        """Return the rows given and the further ones as one table, with the labels of all tasks."""
        more, frames = self._more(), [input_frame(X), input_frame(self.X)]
        if set(frames[0].columns) != set(frames[1].columns):
            raise LabelweaveError("task: the further X has other columns than X, expected the same")
        tasks = [own.tasks[0] if task.name == self.name else task for task in more.tasks]
        if self.name in [task.name for task in tasks]:
            kept = ~more.labelled(self.name)
            more, frames[1] = more[kept], frames[1][kept]
        else:
            tasks.insert(0, own.tasks[0])
        labels: dict[str, NDArray[Any]] = {}
        for task in tasks:
            mine = task.name == self.name
            codes = own.labels[self.name] if mine else more.labels[task.name]
            gap = np.full((len(more) if mine else len(own), *codes.shape[1:]), -1, codes.dtype)
            labels[task.name] = np.concatenate([codes, gap] if mine else [gap, codes])
        return pd.concat(frames, ignore_index=True), Annotations(tuple(tasks), labels)
