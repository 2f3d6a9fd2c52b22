"""The scikit-learn style front: fit on labels with gaps, predict every task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from labelweave.annotations import Annotations
from labelweave.data import Collection, Source, TableEncoder, split
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.evaluation import evaluate
from labelweave.model import Model
from labelweave.relations import Relation, read_knowledge
from labelweave.study.arms import ARMS
from labelweave.study.config import NetworkSection, StudyConfig
from labelweave.study.fitting import fit_arm
from labelweave.study.fold import Fold, Rows
from labelweave.tasks import Binary, Multiclass, Multilabel, Task
from labelweave.training import TrainingConfig

Table = pd.DataFrame | NDArray[Any]
Targets = Mapping[str, Any] | pd.DataFrame | Annotations
METHODS = tuple(name for name, arm in ARMS.items() if arm.kind in {"joint", "single"})[:5]


class MultiTaskClassifier(BaseEstimator):  # type: ignore[misc]
    """One network for several classification tasks, trained on labels with gaps.

    Works with scikit-learn's ``clone``, ``get_params``/``set_params``, pipelines (as the last
    step) and searches such as ``GridSearchCV``, when `y` is a data frame: scikit-learn cannot cut
    a dictionary into folds. `predict` and `predict_proba` return a dictionary by task, so
    ``cross_val_predict`` and scikit-learn's own metrics, which expect one array, do not apply;
    `score` does.

    Args:
        tasks: the tasks; None = one for every column of `y`: multilabel for two-dimensional
            values, binary for booleans, else multiclass with the classes found.
        relations: `Relation` objects, or a mapping from a multiclass task to its knowledge table
            (a CSV file or a data frame, see `read_knowledge`).
        method: ``full`` (distribution matching and co-annotation), ``distribution_matching``,
            ``co_annotation``, ``multi_task`` (no coupling) or ``single_task`` (a network a task).
            Without relations nothing is coupled.
        couplings: options of the couplings, as in a study file.
        backbone: a name in ``labelweave.networks.BACKBONES``.
        hidden: sizes of the hidden layers of an mlp.
        dropout: its share of units dropped in training.
        steps: optimiser steps.
        batch_size: rows a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: decoupled weight decay.
        sampling: how batches are mixed from the sources: ``equal``, ``proportional``,
            ``temperature``. Without sources, the rows with the same tasks labelled are one.
        validation: share or number of rows to set aside for early stopping.
        patience: evaluations without improvement before training stops; needs `validation`.
        categorical: numeric columns that are categories.
        random_state: seed of everything random.
        progress: show a bar over the steps when on a terminal.

    Attributes:
        tasks_: the tasks, classes known.
        classes_: per task its classes, or the names of its labels.
        relations_: the relations used.
        model_: the trained `Model`.
        n_features_in_: number of input columns.
        feature_names_in_: their names.
        notes_: remarks on inputs and split, one line each.
    """

    def __init__(
        self,
        tasks: Sequence[Task] | None = None,
        relations: Sequence[Relation] | Mapping[str, str | Path | pd.DataFrame] = (),
        method: str = "full",
        *,
        couplings: Mapping[str, Mapping[str, Any]] | None = None,
        backbone: str = "mlp",
        hidden: Sequence[int] = (256, 256),
        dropout: float = 0.2,
        steps: int = 1000,
        batch_size: int = 128,
        learning_rate: float = 5e-3,
        weight_decay: float = 0.01,
        sampling: str = "equal",
        validation: float | int = 0,
        patience: int | None = None,
        categorical: Sequence[str] = (),
        random_state: int = 0,
        progress: bool = False,
    ) -> None:
        self.tasks = tasks
        self.relations = relations
        self.method = method
        self.couplings = couplings
        self.backbone = backbone
        self.hidden = hidden
        self.dropout = dropout
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.sampling = sampling
        self.validation = validation
        self.patience = patience
        self.categorical = categorical
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: Table | Sequence[Source], y: Targets | None = None) -> Self:
        """Train on rows of which each carries only some of the labels.

        Args:
            X: inputs (n, d) as a data frame or array; or a list of `Source`, which bring their
                own labels.
            y: labels by task: a mapping or data frame of n values each, missing = None, NaN or
                ``""``; or `Annotations`. None with sources.

        Raises:
            LabelweaveError: a wrong parameter, unknown label, or a task without any label.
        """
        if self.method not in METHODS:
            raise LabelweaveError(
                f"method '{self.method}', expected one of {listing(METHODS)}"
                f"{nearest(self.method, METHODS)}"
            )
        collection, source = self._collect(X, y)
        self.tasks_ = collection.tasks
        self.classes_ = {task.name: np.array(task.names, dtype=object) for task in self.tasks_}
        self.relations_ = self._relations(self.tasks_)
        self.feature_names_in_ = np.array([str(c) for c in collection.inputs], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        fold = self._fold(collection, source)
        self.notes_ = fold.notes
        arm = ARMS[self.method]
        fitted = fit_arm(arm, fold, self._config(), None, progress=self.progress)
        if fitted.model is None:
            raise AssertionError(f"arm {arm.name} keeps no model")
        self.model_ = fitted.model
        return self

    def predict_proba(self, X: Table) -> dict[str, NDArray[np.float32]]:
        """Return per task P(class), (n, K), or P(label on), (n, L)."""
        return self._fitted().predict_proba(_frame(X))

    def predict(self, X: Table) -> dict[str, NDArray[Any]]:
        """Return per task the likeliest class, (n,), or its labels as 0 and 1, (n, L)."""
        return self._fitted().predict(_frame(X))

    def score(self, X: Table, y: Targets) -> float:
        """Return the mean over tasks of the accuracy on labelled elements; unlabelled rows do not
        count, a task without any label is left out.

        Raises:
            LabelweaveError: no label at all.
        """  # noqa: D205
        given = self.predict_proba(X)
        labels = _annotations(self.tasks_, y)
        scores = [
            value
            for task in self.tasks_
            if (value := evaluate(task, given[task.name], labels.labels[task.name])["accuracy"])
            is not None
        ]
        if not scores:
            raise LabelweaveError("score: found no label of any task, expected at least one")
        return float(np.mean(scores))

    def save(self, folder: str | Path) -> None:
        """Write the trained model to a folder (safetensors and JSON), for `load`."""
        self._fitted().save(folder)

    @classmethod
    def load(cls, folder: str | Path) -> "MultiTaskClassifier":
        """Return a classifier that predicts with a saved model.

        The settings of its training are not kept: to train on, make a new one.
        """
        model = Model.load(folder)
        network = model.spec
        classifier = cls(list(model.tasks), backbone=network.backbone, **network.options)
        classifier.model_, classifier.tasks_ = model, model.tasks
        classifier.classes_ = {t.name: np.array(t.names, dtype=object) for t in model.tasks}
        return classifier

    def _fitted(self) -> Model:
        if not hasattr(self, "model_"):
            raise NotFittedError("this MultiTaskClassifier is not fitted yet; call fit first")
        return self.model_

    def _collect(
        self, X: Table | Sequence[Source], y: Targets | None
    ) -> tuple[Collection, NDArray[np.int64]]:
        if isinstance(X, pd.DataFrame | np.ndarray):
            if y is None:
                raise LabelweaveError("fit: found no y, expected labels by task")
            tasks = self.tasks if self.tasks is not None else _infer(y)
            source = Source("rows", _frame(X), _annotations(tasks, y))
            return Collection([source]), _patterns(source.annotations)
        if y is not None:
            raise LabelweaveError("fit: sources bring their own labels, found y as well")
        collection = Collection(list(X))
        return collection, collection.source

    def _relations(self, tasks: Sequence[Task]) -> tuple[Relation, ...]:
        if not isinstance(self.relations, Mapping):
            return tuple(self.relations)
        return tuple(
            relation
            for source, table in self.relations.items()
            for relation in read_knowledge(table, source, tasks)
        )

    def _fold(self, collection: Collection, source: NDArray[np.int64]) -> Fold:
        parts = split(collection, test=0, validation=self.validation, seed=self.random_state)
        encoder = TableEncoder(categorical=list(self.categorical))
        encoder.fit(collection.inputs.iloc[parts.train])

        def rows(index: NDArray[np.int64]) -> Rows:
            inputs = encoder.transform(collection.inputs.iloc[index])
            return Rows(inputs, collection.annotations[index], index)

        return Fold(
            seed=self.random_state,
            encoder=encoder,
            train=rows(parts.train),
            source=source[parts.train],
            source_names=tuple(f"rows {i}" for i in range(int(source.max(initial=0)) + 1)),
            everything=None,
            validation=rows(parts.validation),
            test=rows(parts.test),
            relations=self.relations_,
            notes=(*encoder.notes_, *parts.notes),
        )

    def _config(self) -> StudyConfig:
        network = NetworkSection(
            backbone=self.backbone, hidden=list(self.hidden), dropout=self.dropout
        )
        training = TrainingConfig(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            sampling=self.sampling,
            patience=self.patience,
        )
        couplings = {name: dict(options) for name, options in (self.couplings or {}).items()}
        # the checks of a study file concern its tables, which there are none of here
        return StudyConfig.model_construct(network=network, training=training, couplings=couplings)


def _frame(X: Table) -> pd.DataFrame:
    if isinstance(X, pd.DataFrame):
        return X
    return pd.DataFrame(np.asarray(X), columns=[f"x{i}" for i in range(np.shape(X)[1])])


def _infer(y: Targets) -> list[Task]:
    if isinstance(y, Annotations):
        return list(y.tasks)
    tasks: list[Task] = []
    for name in y.keys():  # noqa: SIM118 - a data frame iterates over any hashable
        values = y[name]
        if np.ndim(values) == 2:
            width = np.shape(values)[1]
            columns = getattr(values, "columns", [f"{name}{j}" for j in range(width)])
            tasks.append(Multilabel(str(name), tuple(map(str, columns))))
        elif pd.api.types.is_bool_dtype(pd.Series(values).dropna().infer_objects()):
            tasks.append(Binary(str(name)))
        else:
            tasks.append(Multiclass(str(name)))
    return tasks


def _annotations(tasks: Sequence[Task], y: Targets) -> Annotations:
    return y if isinstance(y, Annotations) else Annotations.from_columns(tasks, y)


def _patterns(annotations: Annotations) -> NDArray[np.int64]:
    """Return a source for every row: rows with the same tasks labelled are one source.

    Labels missing here and there make more patterns than tasks; then all rows are one source.
    """
    seen = np.stack([annotations.labelled(task.name) for task in annotations.tasks], axis=1)
    patterns, source = np.unique(seen, axis=0, return_inverse=True)
    if len(patterns) > len(annotations.tasks):
        return np.zeros(len(annotations), dtype=np.int64)
    return source.reshape(-1).astype(np.int64)
