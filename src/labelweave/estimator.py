"""The scikit-learn style front: fit on labels with gaps, predict every task."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from labelweave.data import Collection, Scale, Source, prepare_sources
from labelweave.learning import found_relatedness, likely_mislabelled, trained_model
from labelweave.model import Model
from labelweave.parameters import NETWORK, settings_of
from labelweave.predicting import PredictorMixin
from labelweave.study.arms import ARMS
from labelweave.study.checking import check_fold
from labelweave.study.config import StudyConfig
from labelweave.study.fold import make_training_fold
from labelweave.study.relating import with_relations
from labelweave.targets import (
    GivenRelations,
    Table,
    Targets,
    label_patterns,
    relations_of,
    sources_of,
)
from labelweave.tasks import Task


class MultiTaskClassifier(PredictorMixin, BaseEstimator):  # type: ignore[misc]
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
        relations: GivenRelations = (),
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
        found = sources_of(X, y, self.tasks, self.missing)
        media, skip = config.inputs.media(), config.inputs.skip
        sources, ready = prepare_sources(found, media, cache, skip=skip, progress=self.progress)
        collection = Collection(sources)
        source = collection.source if y is None else label_patterns(collection.annotations)
        self._learn_names(collection.tasks)
        self.relations_ = relations_of(self.relations, self.tasks_)
        self.feature_names_in_ = np.array([str(c) for c in collection.inputs], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        seed = int(self.random_state)
        fold = make_training_fold(collection, source, self.relations_, config, seed, ready.stores)
        check_fold(fold, config)
        self.notes_ = (*ready.notes, *fold.notes)
        arm, noise = ARMS[self.method], self.noise is not None
        self.relatedness_ = found_relatedness(
            arm, fold, self.relations_, config, noise=noise, progress=self.progress
        )
        if self.relatedness_ is not None:
            arm = replace(arm, noise=noise)
            fold = with_relations(fold, self.relatedness_, noise=noise)
            self.relations_ = fold.relations
        self.noise_ = fold.noise
        self.mislabelled_ = likely_mislabelled(collection, fold, self.relatedness_)
        self.model_ = trained_model(arm, fold, config, progress=self.progress)
        return self

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
