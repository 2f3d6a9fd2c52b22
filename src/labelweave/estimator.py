"""The scikit-learn style front: fit on labels with gaps, predict every task."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from labelweave.data import Collection, Prepared, Scale, Source, prepare_sources
from labelweave.errors import LabelweaveError
from labelweave.evaluation import evaluate
from labelweave.model import Model
from labelweave.parameters import NETWORK, settings_of
from labelweave.priors import PriorChoice
from labelweave.relations import AnyRelation, Relatedness, read_relations
from labelweave.study.arms import ARMS, BASELINE, UNCOUPLED, Arm
from labelweave.study.checking import check_fold
from labelweave.study.config import StudyConfig
from labelweave.study.fit import Scores
from labelweave.study.fitting import fit_arm
from labelweave.study.fold import Fold, make_training_fold
from labelweave.study.mislabelled import mislabelled_table
from labelweave.study.relating import relate_by, with_relations
from labelweave.study.teachers import teacher_scores
from labelweave.targets import Table, Targets, annotations_of, input_frame, label_patterns
from labelweave.tasks import Binary, Multilabel, Task


class MultiTaskClassifier(BaseEstimator):  # type: ignore[misc]
    """One network for several classification tasks, trained on labels with gaps.

    Works with scikit-learn's ``clone``, ``get_params``/``set_params``, pipelines (as the last
    step) and searches such as ``GridSearchCV``, when `y` is a data frame: scikit-learn cannot cut
    a dictionary into folds. Shuffle the folds, since scattered labels often stand in blocks, and
    give `tasks` with their classes when a fold may lack one. `predict` and `predict_proba` return
    a dictionary by task, so ``cross_val_predict`` and scikit-learn's own metrics, which expect one
    array, do not apply; `score` does. For the same reason scikit-learn's ``check_estimator`` does
    not apply: it fits on one array of complete labels.

    Args:
        tasks: the tasks; None = one for every column of `y`: multilabel for two-dimensional
            values, binary for booleans, else multiclass with the classes found.
        relations: `Relation` and `NoisyOr` objects, or a mapping from a task to its knowledge table
            (a CSV file or a data frame, see `read_knowledge`, and `read_noisy_or` for the labels of
            a multilabel task).
        method: ``full`` (distribution matching and co-annotation), ``distribution_matching``,
            ``co_annotation``, ``distillation`` (a network a task, which then teach one for all),
            ``multi_task`` (no coupling) or ``single_task`` (a network a task). Without relations
            the first three couple nothing.
        relatedness: where the relations come from, as the key of a study file: ``{"from": "all"}``
            trains an uncoupled network first, estimates tables from what it predicts (given ones
            are a prior), couples by those that hold on held-out rows, and measures how much each
            task has to learn. None = the relations are taken as they are, unchecked.
        noise: ``estimate`` finds out how often labels are wrong and takes it into account, with
            relations that hold (`relatedness`, here ``{"from": "all"}`` if not given); None = not.
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
            ``temperature``, ``labels``, ``round_robin``, or one with options (docs/imbalance.md).
            Without sources, the rows with the same tasks labelled are one.
        weighting: how the tasks are weighed: a name such as ``uncertainty`` or ``upgrad``, or one
            with its options, ``{"cagrad": {"c": 0.4}}`` (`labelweave.balancing.WEIGHTINGS`).
        validation: share or number of rows to set aside for early stopping.
        patience: evaluations without improvement before training stops; needs `validation`.
        categorical: numeric columns that are categories.
        scale: ``each`` numeric column by itself, or all ``together``, which pixels want.
        image: the column with the paths of images and what they become, as the key
            ``inputs.image`` of a study file: ``{"column": "file", "size": 96}``. Needs a
            `backbone` for images, or an ``encoder``.
        text: likewise the column with texts, as the key ``inputs.text``.
        cache: folder to keep what is read from images and texts, for the next fit; None = it is
            not kept.
        missing: values of `y` besides None, NaN and ``""`` that mean "no label", such as ``[-1]``.
            With None, a -1 in a task without listed classes is an error: it may be a class or
            mean "no label", for an array of integers cannot hold NaN.
        random_state: seed of everything random, 0 or more.
        progress: show a bar over the steps when on a terminal.

    Attributes:
        tasks_: the tasks, classes known.
        classes_: per task its classes as `predict` gives them, in the order of `predict_proba`'s
            columns (binary: off and on); the names of the labels of a multilabel task.
        relations_: the relations used.
        relatedness_: what was found about them, a `Relatedness`; None where they were not checked.
        noise_: how labels err, a `Noise` for every task where some are wrong.
        mislabelled_: the labels that are likely wrong, the surest first: source, row (from 0),
            task, label, found, likely, probability.
        model_: the trained `Model`.
        n_features_in_: number of input columns.
        feature_names_in_: their names.
        notes_: remarks on inputs and split, one line each.
    """

    def __init__(
        self,
        tasks: Sequence[Task] | None = None,
        relations: Sequence[AnyRelation] | Mapping[str, str | Path | pd.DataFrame] = (),
        method: str = "full",
        *,
        relatedness: Mapping[str, Any] | None = None,
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
        scale: Scale = "each",
        image: Mapping[str, Any] | None = None,
        text: Mapping[str, Any] | None = None,
        cache: str | Path | None = None,
        missing: Sequence[object] | None = None,
        random_state: int = 0,
        progress: bool = False,
    ) -> None:
        self.tasks = tasks
        self.relations = relations
        self.method = method
        self.relatedness = relatedness
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
        self.scale = scale
        self.image = image
        self.text = text
        self.cache = cache
        self.missing = missing
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: Table | Source | Sequence[Source], y: Targets | None = None) -> Self:
        """Train on rows of which each carries only some of the labels.

        Args:
            X: inputs (n, d) as a data frame or array; or a `Source` or several, which bring their
                own labels.
            y: labels by task: a mapping or data frame of n values each, missing = None, NaN or
                ``""``; or `Annotations`. None with sources.

        Raises:
            LabelweaveError: a wrong parameter, unknown label, or a task without any label.
            TrainingError: the loss is no longer finite.
        """
        config = settings_of(self.get_params(deep=False))
        with tempfile.TemporaryDirectory() as temporary:
            return self._train(X, y, config, Path(self.cache or temporary))

    def _train(
        self,
        X: Table | Source | Sequence[Source],
        y: Targets | None,
        config: StudyConfig,
        cache: Path,
    ) -> Self:
        collection, source, ready = self._collect(X, y, config, cache)
        self._learn_names(collection.tasks)
        self.relations_ = self._relations(self.tasks_)
        self.feature_names_in_ = np.array([str(c) for c in collection.inputs], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        seed = int(self.random_state)
        fold = make_training_fold(collection, source, self.relations_, config, seed, ready.stores)
        check_fold(fold, config)
        self.notes_ = (*ready.notes, *fold.notes)
        arm, teachers = ARMS[self.method], None
        self.relatedness_ = self._related(arm, fold, config)
        if self.relatedness_ is not None:
            arm = replace(arm, noise=self.noise is not None)
            fold = with_relations(fold, self.relatedness_, noise=arm.noise)
            self.relations_ = fold.relations
        self.noise_ = fold.noise
        self.mislabelled_ = self._mislabelled(collection, fold)
        if arm.distils:
            teachers = teacher_scores(self._fit(ARMS[BASELINE], fold, config), fold, config)
        self.model_ = self._fit(arm, fold, config, teachers)
        return self

    def _related(self, arm: Arm, fold: Fold, config: StudyConfig) -> Relatedness | None:
        """Return how the tasks relate, by an uncoupled network; None = relations as they are."""
        origin = config.relatedness.origin
        if origin == "given" or not arm.coupled:
            return None
        known = self.relations_
        pairs = [(relation.source.name, relation.target.name) for relation in known] or None
        uncoupled = self._fit(ARMS[UNCOUPLED], fold, config)
        noise = self.noise is not None
        return relate_by(fold, uncoupled, pairs, known, config, [origin], noise=noise)[origin]

    def _mislabelled(self, collection: Collection, fold: Fold) -> pd.DataFrame:
        found = [] if self.relatedness_ is None else [[self.relatedness_]]
        table = mislabelled_table(collection, [fold], found).drop(columns="seeds")
        return table.assign(row=table["row"] - 1)

    def _fit(
        self, arm: Arm, fold: Fold, config: StudyConfig, teachers: Scores | None = None
    ) -> Model:
        fitted = fit_arm(arm, fold, config, None, teachers=teachers, progress=self.progress)
        if fitted.model is None:
            raise AssertionError(f"arm {arm.name} keeps no model")
        return fitted.model

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

    @classmethod
    def load(cls, folder: str | Path) -> "MultiTaskClassifier":
        """Return a classifier that predicts with a saved model.

        The settings of its training are not kept: to train on, make a new one.
        """
        model = Model.load(folder)
        network = model.spec
        own = {k: v for k, v in network.options.items() if k in NETWORK}
        classifier = cls(list(model.tasks), backbone=network.backbone, **own)
        classifier.model_ = model
        classifier._learn_names(model.tasks)
        return classifier

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

    def _collect(
        self,
        X: Table | Source | Sequence[Source],
        y: Targets | None,
        config: StudyConfig,
        cache: Path,
    ) -> tuple[Collection, NDArray[np.int64], Prepared]:
        found = self._sources(X, y)
        media, skip = config.inputs.media(), config.inputs.skip
        sources, ready = prepare_sources(found, media, cache, skip=skip, progress=self.progress)
        collection = Collection(sources)
        if y is None:
            return collection, collection.source, ready
        return collection, label_patterns(collection.annotations), ready

    def _sources(self, X: Table | Source | Sequence[Source], y: Targets | None) -> list[Source]:
        sources = [X] if isinstance(X, Source) else X
        if isinstance(sources, Sequence) and all(isinstance(each, Source) for each in sources):
            if y is not None:
                raise LabelweaveError("fit: sources bring their own labels, found y as well")
            return [each for each in sources if isinstance(each, Source)]
        if y is None:
            raise LabelweaveError("fit: found no y, expected labels by task")
        annotations = annotations_of(y, self.tasks, self.missing)
        return [Source("X", input_frame(sources), annotations)]  # type: ignore[arg-type]

    def _relations(self, tasks: Sequence[Task]) -> tuple[AnyRelation, ...]:
        if not isinstance(self.relations, Mapping):
            return tuple(self.relations)
        return tuple(
            relation
            for source, table in self.relations.items()
            for relation in read_relations(table, source, tasks)
        )
