"""The scikit-learn style front: fit on labels with gaps, predict every task."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from labelweave._estimator_settings import NETWORK, STACKED, settings_of
from labelweave._messages import Message, some
from labelweave._targets import (
    GivenRelations,
    Table,
    Targets,
    annotations_of,
    are_sources,
    is_named,
    label_patterns,
    relations_of,
    row_weights_of,
    sources_of,
)
from labelweave._task_classifier import TaskClassifier
from labelweave.class_priors import PriorChoice
from labelweave.data import Collection, Source
from labelweave.data._collection import typed_sources
from labelweave.data._input_encoder import prepare_sources
from labelweave.data._table_encoder import Scale
from labelweave.errors import LabelweaveError, listing
from labelweave.evaluation import evaluate
from labelweave.fitting import (
    METHODS,
    FitConfig,
    Split,
    find_relatedness,
    fit,
    load_model,
    make_training_split,
    with_relations,
)
from labelweave.fitting._checking import check_split
from labelweave.fitting._fit import taught_scores
from labelweave.fitting._relating import mislabelled_table, without_mislabelled
from labelweave.fitting._stack import StackModel, describe
from labelweave.model import EncodedPredictor, Model, Predictor, probability_columns
from labelweave.relations import Relatedness
from labelweave.tables._frames import input_frame
from labelweave.tables._table import column_names
from labelweave.tasks import Binary, Multilabel, Task

__all__ = ["MultiTaskClassifier", "likely_mislabelled"]

NO_INFORMATION: dict[str, Any] = {"weights": {}, "strengths": [], "guard": {}, "history": []}


class PredictorMixin:
    """Predictions of every task, by a trained model; see `MultiTaskClassifier`."""

    missing: Sequence[object] | None
    output: Literal["dict", "frame"]
    model_: EncodedPredictor

    def predict_proba(self, X: Table, prior: PriorChoice | None = None) -> Any:
        """Return per task P(class), (n, K), or P(label on), (n, L).

        `prior` is the rows' class prior (see `Model.predict_proba`); None = as `label_shift` says.
        With ``output="frame"`` a data frame with the index of `X` and the columns ``task=class``
        (a binary task: its name, P(on)).
        """
        frame = self._inputs(X)
        found = self._fitted().predict_proba(frame, prior)
        if self.output == "dict":
            return found
        columns: dict[str, NDArray[Any]] = {}
        for task in self.tasks_:
            columns |= zip(probability_columns(task), found[task.name].T, strict=True)
        return pd.DataFrame(columns, index=frame.index)

    def predict(self, X: Table, prior: PriorChoice | None = None) -> Any:
        """Return per task the likeliest class, (n,), or its labels as 0 and 1, (n, L).

        With ``output="frame"`` a data frame with the index of `X`, one column a task, and
        ``task=label`` for each label of a multilabel task.
        """
        frame = self._inputs(X)
        found = self._fitted().predict(frame, prior)
        if self.output == "dict":
            return found
        columns: dict[str, NDArray[Any]] = {}
        for task in self.tasks_:
            values = found[task.name]
            names = [task.name] if values.ndim == 1 else probability_columns(task)
            columns |= zip(names, values.reshape(len(frame), -1).T, strict=True)
        return pd.DataFrame(columns, index=frame.index)

    def score(self, X: Table, y: Targets) -> float:
        """Return the mean over tasks of the accuracy on labelled elements; unlabelled rows do not
        count, a task without any label is left out.

        Raises:
            LabelweaveError: no label at all, or one that training did not know.
        """  # noqa: D205
        model = self._fitted()
        given = model.predict_proba(self._inputs(X))
        labels = annotations_of(y, self.tasks_, self.missing, X).labels
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

    def _fitted(self) -> EncodedPredictor:
        if not hasattr(self, "model_"):
            raise NotFittedError("this MultiTaskClassifier is not fitted yet; call fit first")
        return self.model_

    def _inputs(self, X: Table) -> pd.DataFrame:
        frame = input_frame(X)
        frame = frame.set_axis(column_names("X", frame), axis=1)
        if is_named(X):
            return frame
        # by position a column too many would go unnoticed; data frames are matched by name
        expected = getattr(self, "n_features_in_", frame.shape[1])
        if frame.shape[1] != expected:
            raise LabelweaveError(
                f"X: found {frame.shape[1]} columns, expected {expected} as in training"
            )
        return frame.set_axis(getattr(self, "feature_names_in_", frame.columns), axis=1)


def likely_mislabelled(
    collection: Collection, split: Split, relatedness: Relatedness | None
) -> pd.DataFrame:
    """Return the labels that are likely wrong, the surest first; rows count from 0.

    Args:
        collection: all rows.
        split: those trained on.
        relatedness: what was found about them; None = nothing.
    """
    found = [] if relatedness is None else [[relatedness]]
    table = mislabelled_table(collection, [split], found).drop(columns="seeds")
    return table.assign(row=table["row"] - 1)


class MultiTaskClassifier(PredictorMixin, BaseEstimator):  # type: ignore[misc]
    """Several classification tasks learnt together from labels with gaps.

    Works with scikit-learn's ``clone``, ``get_params``/``set_params``, pipelines (as the last
    step) and searches such as ``GridSearchCV``, when `y` is a data frame: scikit-learn cannot cut
    a dictionary into splits. Shuffle the splits, since scattered labels often stand in blocks, and
    give `tasks` with their classes when a split may lack one. `predict` and `predict_proba` return
    a dictionary by task, so ``cross_val_predict`` and scikit-learn's own metrics, which expect one
    array, do not apply; `score` does. For the same reason scikit-learn's ``check_estimator`` does
    not apply: it fits on one array of complete labels. `task` gives a plain classifier of one task,
    to which all of these apply.

    >>> X = pd.DataFrame({"a": range(60), "b": [0, 1, 2] * 20})
    >>> y = pd.DataFrame({"high": X["a"] > 29, "kind": X["b"].map(str)}).astype(object)
    >>> y.loc[::2, "high"] = None  # each row carries some of the labels
    >>> y.loc[1::2, "kind"] = None
    >>> model = MultiTaskClassifier(method="best_single_task", learners=["logistic"]).fit(X, y)
    >>> {task: labels[:3].tolist() for task, labels in model.predict(X).items()}
    {'high': [0, 0, 0], 'kind': ['0', '1', '2']}

    Args:
        tasks: the tasks; None = one for every column of `y`: multilabel for two-dimensional
            values, binary for booleans, else multiclass with the classes found.
        relations: `Relation` and `NoisyOr` objects, or a mapping from a task to its knowledge table
            (a CSV file or a data frame, see `read_knowledge`, and `read_noisy_or` for the labels of
            a multilabel task).
        method: ``coupled`` fits learners of every kind, couples them by the relations (without
            any, by relations that it estimates), and keeps what held-out labels confirm;
            ``student`` is one network taught by it, ``best_single_task`` the same learners for each
            task alone. The others train networks alone: ``full`` (distribution matching and
            co-annotation), ``distribution_matching``, ``co_annotation``, ``distillation`` (a
            network a task, which then teach one for all), ``multi_task`` (no coupling) or
            ``single_task`` (a network a task). Without relations the first three of these couple
            nothing.
        relatedness: where the relations come from, a word or the key of a study file. Of
            ``coupled`` and ``student``: None or ``all`` = without relations, tables between all
            tasks are estimated; ``given`` = they are not. Of the methods that train networks
            alone: ``all`` trains an uncoupled network first, estimates tables from what it predicts
            (given ones are a prior), couples by those that hold on held-out rows, and measures how
            much each task has to learn; None = the relations are taken as they are, unchecked.
        learners: of ``coupled``, ``student`` and ``best_single_task``: names
            (`labelweave.learners.LEARNERS`), each with options if wanted,
            ``{"svm": {"inverse_penalty": 3}}``, scikit-learn classifiers, and classes of trusted
            packages, ``module:package.Class``. None = the whole library.
        budget: seconds of one core for these learners, by a fixed model of their time; what would
            exceed it is left out (`history_`). None = 60, and 1 for every 1,000 labels.
        noise: ``estimate`` finds out how often labels are wrong, with relations that hold
            (`relatedness`, here ``{"from": "all"}`` if not given), and takes it into account:
            networks by the confusion of the labels, ``coupled`` and ``student`` by hiding the
            labels that are likely wrong (`mislabelled_`). None = not.
        couplings: options of the couplings, as in a study file.
        label_shift: ``{"training": "adjust"}`` trains with a class prior for every source, and
            ``{"prediction": ...}`` sets the prior that predictions assume, as in a study file.
        backbone: ``mlp``, ``linear``, ``cnn``, ``hf:...``, ``timm:...`` or ``module:...``, as in a
            study file.
        hidden: sizes of the hidden layers of an mlp; without meaning for ``linear``.
        dropout: its share of units dropped in training; likewise.
        shape: channels, height and width of a ``cnn``'s images, whose columns are their pixels.
        channels: channels of its convolutions.
        network: further keys of the section ``network`` of a study file, such as
            ``{"frozen": True}`` or ``{"norm": "group"}``.
        steps: optimiser steps.
        batch_size: rows a step; all of them where there are fewer.
        learning_rate: peak of the one-cycle schedule.
        backbone_rate: factor on it for the backbone.
        layer_decay: a further factor for every layer of the backbone below its top one.
        augment: how images of training batches are changed at random, as the key
            ``training.augment``: ``{"flip": 0.5, "crop": 0.1}``.
        weight_decay: decoupled weight decay.
        sampling: how batches are mixed from the sources: ``equal``, ``proportional``,
            ``temperature``, ``labels``, ``round_robin``, or one with options
            (docs/howto/imbalance.md). Without sources, the rows with the same tasks
            labelled are one.
        weighting: how the tasks are weighed: a name such as ``uncertainty`` or ``upgrad``, or one
            with its options, ``{"cagrad": {"c": 0.4}}`` (`labelweave.balancing.WEIGHTINGS`).
        validation: share or number of rows to set aside for early stopping.
        patience: evaluations without improvement before training stops; needs `validation`.
        categorical: numeric columns that are categories.
        dates: by column with dates the numbers to make of them: ``elapsed`` (days since the first
            training date), ``month``, ``weekday``, ``hour``. Other dates are no inputs.
        hashed: columns whose categories a model keeps as hashes, see `inputs.hashed` of a study
            file.
        scale: ``each`` numeric column by itself, or all ``together``, which pixels want.
        image: the column with the paths of images and what they become, as the key
            ``inputs.image`` of a study file: ``{"column": "file", "size": 96}``. Needs a
            `backbone` for images, or an ``encoder``.
        text: likewise the column with texts, as the key ``inputs.text``.
        cache: folder to keep what is read from images and texts, for the next fit; None = it is
            not kept.
        output: ``dict`` = predictions by task, ``frame`` = one data frame with the index of `X`.
        missing: values of `y` besides None, NaN and ``""`` that mean "no label", such as ``[-1]``.
            With None, a -1 in a task without listed classes is an error: it may be a class or
            mean "no label", for an array of integers cannot hold NaN.
        random_state: seed of everything random, 0 or more.
        progress: show what is fitted, or a bar over the steps, when on a terminal.

    Attributes:
        tasks_: the tasks, classes known.
        classes_: per task its classes as `predict` gives them, in the order of `predict_proba`'s
            columns (binary: off and on); the names of the labels of a multilabel task.
        relations_: the relations used.
        relatedness_: what was found about them, a `Relatedness`; None where they were not checked.
        noise_: how labels err, a `Noise` for every task where some are wrong.
        mislabelled_: the labels that are likely wrong, the surest first: source, row (from 0),
            task, label, found, likely, probability.
        model_: the trained model.
        weights_: of ``coupled``, ``best_single_task`` and the teacher of ``student``, per task the
            weight of each learner; empty for other methods.
        strengths_: likewise, how strongly each relation couples, in either direction.
        guard_: likewise, per task the candidates and their weights.
        history_: likewise, what was looked for, what was left out, and why.
        n_features_in_: number of input columns.
        feature_names_in_: their names.
        notes_: messages on inputs and split, one line each.
    """

    def __init__(
        self,
        tasks: Sequence[Task] | None = None,
        relations: GivenRelations = (),
        method: str = "coupled",
        *,
        relatedness: str | Mapping[str, Any] | None = None,
        learners: Sequence[Any] | None = None,
        budget: float | None = None,
        noise: str | None = None,
        couplings: Mapping[str, Mapping[str, Any]] | None = None,
        label_shift: Mapping[str, Any] | None = None,
        backbone: str = "mlp",
        hidden: Sequence[int] = (256, 256),
        dropout: float = 0.2,
        shape: Sequence[int] | None = None,
        channels: Sequence[int] = (16, 32),
        network: Mapping[str, Any] | None = None,
        steps: int = 1000,
        batch_size: int = 128,
        learning_rate: float = 5e-3,
        backbone_rate: float = 1.0,
        layer_decay: float = 1.0,
        augment: Mapping[str, float] | None = None,
        weight_decay: float = 0.01,
        sampling: str | Mapping[str, Any] = "equal",
        weighting: str | Mapping[str, Any] = "sum",
        validation: float | int = 0,
        patience: int | None = None,
        categorical: Sequence[str] = (),
        dates: Mapping[str, Sequence[str]] | None = None,
        hashed: Sequence[str] = (),
        scale: Scale = "each",
        image: Mapping[str, Any] | None = None,
        text: Mapping[str, Any] | None = None,
        cache: str | Path | None = None,
        output: Literal["dict", "frame"] = "dict",
        missing: Sequence[object] | None = None,
        random_state: int = 0,
        progress: bool = False,
    ) -> None:
        self.tasks = tasks
        self.relations = relations
        self.method = method
        self.relatedness = relatedness
        self.learners = learners
        self.budget = budget
        self.noise = noise
        self.couplings = couplings
        self.label_shift = label_shift
        self.backbone = backbone
        self.hidden = hidden
        self.dropout = dropout
        self.shape = shape
        self.channels = channels
        self.network = network
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.backbone_rate = backbone_rate
        self.layer_decay = layer_decay
        self.augment = augment
        self.weight_decay = weight_decay
        self.sampling = sampling
        self.weighting = weighting
        self.validation = validation
        self.patience = patience
        self.categorical = categorical
        self.dates = dates
        self.hashed = hashed
        self.scale = scale
        self.image = image
        self.text = text
        self.cache = cache
        self.output = output
        self.missing = missing
        self.random_state = random_state
        self.progress = progress

    def fit(
        self,
        X: Table | Source | Sequence[Source],
        y: Targets | None = None,
        sample_weight: Any = None,
        groups: Any = None,
    ) -> Self:
        """Train on rows of which each carries only some of the labels.

        Args:
            X: inputs (n, d) as an array or a table of any data frame library; or a `Source` or
                several, which bring their own labels.
            y: labels by task: a mapping or data frame of n values each, missing = None, NaN, ``""``
                or masked; or `Annotations`. None with sources. Where `X` and `y` are of pandas,
                rows go by their index, else by position.
            sample_weight: (n,) how much each row of `X` counts, 0 or more, for the learners of
                ``coupled``, ``best_single_task`` and the teacher of ``student``; None = all alike.
            groups: (n,) what ties rows together, such as a person: rows of one group are never on
                both sides of a split or fold. None = none.

        Raises:
            LabelweaveError: a wrong parameter, unknown label, or a task without any label.
            TrainingError: the loss is no longer finite.
        """
        config = settings_of(self.get_params(deep=False))
        if sample_weight is not None and self.method not in STACKED:
            raise LabelweaveError(
                f"fit: found sample_weight with the method '{self.method}', expected "
                f"{listing(STACKED)}"
            )
        weight = row_weights_of(sample_weight, X)
        sources = sources_of(X, y, self.tasks, self.missing, groups)
        by_pattern = not are_sources(X)
        with tempfile.TemporaryDirectory() as temporary:
            cache = Path(self.cache or temporary)  # its kind is checked with the settings
            return self._train(sources, config, cache, weight, by_pattern=by_pattern)

    def _train(
        self,
        found: list[Source],
        config: FitConfig,
        cache: Path,
        weight: NDArray[np.float64] | None,
        *,
        by_pattern: bool,
    ) -> Self:
        media, skip = config.inputs.media(), config.inputs.skip
        schema, typed = typed_sources(found, config.inputs.roles())
        sources, ready = prepare_sources(typed, media, cache, skip=skip, progress=self.progress)
        collection = Collection(sources, schema)
        source = label_patterns(collection.annotations) if by_pattern else collection.source
        self._learn_names(collection.tasks)
        self.relations_ = relations_of(self.relations or (), self.tasks_)
        self.feature_names_in_ = np.array(list(schema.columns), dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        seed = int(self.random_state)
        split = make_training_split(
            collection, source, self.relations_, config.inputs, seed,
            validation=self.validation, stores=ready.stores,
        )  # fmt: skip
        if weight is not None:
            kept = collection.numbers[split.train.index] - 1
            split = replace(split, sample_weight=weight[kept])
        check_split(split, config)
        self.notes_ = tuple(map(str, (*ready.notes, *split.notes)))
        method, noise = METHODS[self.method], self.noise is not None
        self.relatedness_ = None
        stacked = self.method in STACKED
        if method.coupled or (noise and stacked):
            self.relatedness_ = find_relatedness(
                split, self.relations_, config, noise=noise, progress=self.progress
            )
        if self.relatedness_ is not None and stacked:
            split = without_mislabelled(split, self.relatedness_)
        elif self.relatedness_ is not None:
            method = replace(method, noise=noise)
            split = with_relations(split, self.relatedness_, noise=noise)
            self.relations_ = split.relations
        found_noise = self.relatedness_.noise if self.relatedness_ and stacked else None
        self.noise_ = found_noise.found if found_noise else split.noise
        self.mislabelled_ = likely_mislabelled(collection, split, self.relatedness_)
        teachers, teacher = None, None
        if method.kind == "student":
            teacher = fit(METHODS[str(method.teacher)], split, config, progress=self.progress)
            teachers = taught_scores(method, teacher, split, config)
        model = fit(method, split, config, teachers=teachers, progress=self.progress)
        assert isinstance(model, EncodedPredictor)  # trees are no method of the estimator
        self.model_ = model
        self._learn_stack(teacher or model)
        return self

    def _learn_stack(self, model: Predictor) -> None:
        found = describe(model) if isinstance(model, StackModel) else NO_INFORMATION
        self.weights_, self.guard_ = found["weights"], found["guard"]
        self.strengths_, self.history_ = found["strengths"], found["history"]
        if any("looked_for" in entry for entry in self.history_):
            names = [strength["relation"] for strength in self.strengths_]
            self.notes_ = (*self.notes_, str(Message("note.looked_for", {"found": some(names)})))

    def task(self, name: str, X: Table | None = None, y: Targets | None = None) -> TaskClassifier:
        """Return a plain scikit-learn classifier of one task.

        Where this classifier is fitted, it predicts at once; `fit`, on rows with its labels,
        trains anew. scikit-learn's calibration, scorers, cross-validation and inspection take it.

        Args:
            name: the task.
            X: rows that every later `fit` learns from besides its own, such as those that carry
                only other tasks' labels.
            y: their labels of the other tasks; those of this task are not looked at.

        Raises:
            LabelweaveError: no such task, or only one of `X` and `y`.
        """
        return TaskClassifier(self, name, X, y)

    @classmethod
    def load(cls, folder: str | Path) -> "MultiTaskClassifier":
        """Return a classifier that predicts with a saved model.

        The settings of its training are not kept: to train on, make a new one.
        """
        model = load_model(folder)
        own: dict[str, Any] = {"method": "coupled"}
        if isinstance(model, Model):
            own = {k: v for k, v in model.spec.options.items() if k in NETWORK}
            own |= {"backbone": model.spec.backbone, "method": "full"}
        classifier = cls(list(model.tasks), **own)
        classifier.model_ = model
        classifier._learn_names(model.tasks)
        return classifier
