"""The scikit-learn style front: fit on labels with gaps, predict every task."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from labelweave._targets import (
    GivenRelations,
    Table,
    Targets,
    annotations_of,
    input_frame,
    label_patterns,
    relations_of,
    sources_of,
)
from labelweave._validation import one_line
from labelweave.class_priors import PriorChoice
from labelweave.data import Collection, Scale, Source, prepare_sources
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.evaluation import evaluate
from labelweave.fitting import (
    METHODS,
    FitConfig,
    Split,
    check_split,
    find_relatedness,
    fit,
    load_model,
    make_training_split,
    mislabelled_table,
    with_relations,
)
from labelweave.fitting._inputs import InputsSection
from labelweave.fitting._sections import LARGEST_SEED, NetworkSection, SplitSection
from labelweave.fitting._stack import StackModel
from labelweave.model import EncodedPredictor, Model
from labelweave.relations import NoisyOr, Relatedness, Relation
from labelweave.tasks import Binary, Multiclass, Multilabel, Task
from labelweave.training import TrainingConfig

FITTABLE = (
    "coupled", "student", "best_single_task", "full", "distribution_matching", "co_annotation",
    "distillation", "multi_task", "single_task",
)  # fmt: skip
STACKED = FITTABLE[:3]
COUPLED = FITTABLE[3:6]
NETWORK = ("backbone", "hidden", "dropout", "shape", "channels")
INPUTS = ("categorical", "scale", "image", "text")
TRAINING = (
    "steps", "batch_size", "learning_rate", "backbone_rate", "layer_decay", "weight_decay",
    "sampling", "weighting", "patience", "augment",
)  # fmt: skip
S = TypeVar("S", bound=BaseModel)


def settings_of(parameters: Mapping[str, Any]) -> FitConfig:
    """Return parameters, by name, as settings of `fit`.

    Raises:
        LabelweaveError: a value that makes no sense; names the parameter.
    """
    given = {name: _plain(value) for name, value in parameters.items()}
    method, seed = given["method"], given["random_state"]
    if method not in FITTABLE:
        raise _wrong(
            "method",
            f"found {method!r}, expected {listing(FITTABLE, len(FITTABLE))}"
            f"{nearest(method, FITTABLE)}",
        )
    if not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise _wrong("random_state", f"found {seed!r}, expected a whole number from 0 up")
    for task in given["tasks"] or ():
        if not isinstance(task, Multiclass | Multilabel):
            raise _wrong("tasks", f"found {task!r}, expected Multiclass, Multilabel or Binary")
    if not isinstance(given["relations"], Mapping):
        for relation in given["relations"]:
            if not isinstance(relation, Relation | NoisyOr):
                raise _wrong(
                    "relations",
                    f"found {relation!r}, expected Relation or NoisyOr objects, or a mapping from "
                    "a task to its knowledge table",
                )
    network = dict(given["network"] or {})
    for name in NETWORK:
        if name in network:
            raise _wrong("network", f"found '{name}', expected it as a parameter of its own")
    if given["noise"] not in (None, "estimate"):
        raise _wrong("noise", f"found {given['noise']!r}, expected 'estimate' or None")
    if given["noise"] and method not in COUPLED:
        raise _wrong("noise", f"found the method '{method}', expected {listing(COUPLED)}")
    # without a word tables are taken as they are; noise is found through those that hold
    related = given["relatedness"] or ({} if given["noise"] else {"from": "given"})
    if given["noise"] and related.get("from") == "given":
        raise _wrong("noise", "found relatedness from 'given', expected evidence from the data")
    _section(SplitSection, validation=given["validation"])
    if method in STACKED:
        for name in ("couplings", "relatedness"):
            if given[name]:
                raise _wrong(
                    name, f"found it with the method '{method}', expected {listing(COUPLED)}"
                )
    couplings = {name: dict(options) for name, options in (given["couplings"] or {}).items()}
    config = _section(
        FitConfig,
        network=_section(NetworkSection, **{name: given[name] for name in NETWORK}, **network),
        training=_section(TrainingConfig, **{name: given[name] for name in TRAINING}),
        inputs=_section(InputsSection, **{name: given[name] for name in INPUTS}),
        couplings=couplings,
        relatedness=dict(related),
        label_shift=dict(given["label_shift"] or {}),
    )
    if method in STACKED and (config.inputs.pixels or config.inputs.tokens):
        raise _wrong(
            "method",
            f"found '{method}', which takes columns, or images and texts with an 'encoder'; "
            "expected a method that trains a network alone, such as 'full'",
        )
    return config.located(Path())


def _plain(value: Any) -> Any:
    # scikit-learn's searches hand in numpy's numbers
    return value.item() if isinstance(value, np.generic) else value


def _section(section: type[S], **values: Any) -> S:
    try:
        return section(**values)
    except ValidationError as error:
        reason = one_line(error, section, "parameter")
        raise LabelweaveError(f"MultiTaskClassifier: {reason}") from None


def _wrong(parameter: str, reason: str) -> LabelweaveError:
    return LabelweaveError(f"MultiTaskClassifier: parameter '{parameter}': {reason}")


class PredictorMixin:
    """Predictions of every task, by a trained model; see `MultiTaskClassifier`."""

    missing: Sequence[object] | None
    model_: EncodedPredictor

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

    def _fitted(self) -> EncodedPredictor:
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
    """One network for several classification tasks, trained on labels with gaps.

    Works with scikit-learn's ``clone``, ``get_params``/``set_params``, pipelines (as the last
    step) and searches such as ``GridSearchCV``, when `y` is a data frame: scikit-learn cannot cut
    a dictionary into splits. Shuffle the splits, since scattered labels often stand in blocks, and
    give `tasks` with their classes when a split may lack one. `predict` and `predict_proba` return
    a dictionary by task, so ``cross_val_predict`` and scikit-learn's own metrics, which expect one
    array, do not apply; `score` does. For the same reason scikit-learn's ``check_estimator`` does
    not apply: it fits on one array of complete labels.

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
            ``temperature``, ``labels``, ``round_robin``, or one with options
            (docs/howto/imbalance.md). Without sources, the rows with the same tasks
            labelled are one.
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
        model_: the trained model.
        weights_: of ``coupled`` and ``best_single_task``, per task the weight of each learner.
        strengths_: likewise, how strongly each relation couples, in either direction.
        guard_: likewise, per task the candidates and their weights.
        history_: likewise, what was left out, and why.
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
        config: FitConfig,
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
        split = make_training_split(
            collection, source, self.relations_, config.inputs, seed,
            validation=self.validation, stores=ready.stores,
        )  # fmt: skip
        check_split(split, config)
        self.notes_ = (*ready.notes, *split.notes)
        method, noise = METHODS[self.method], self.noise is not None
        self.relatedness_ = None
        if method.coupled:
            self.relatedness_ = find_relatedness(
                split, self.relations_, config, noise=noise, progress=self.progress
            )
        if self.relatedness_ is not None:
            method = replace(method, noise=noise)
            split = with_relations(split, self.relatedness_, noise=noise)
            self.relations_ = split.relations
        self.noise_ = split.noise
        self.mislabelled_ = likely_mislabelled(collection, split, self.relatedness_)
        model = fit(method, split, config, progress=self.progress)
        assert isinstance(model, EncodedPredictor)  # trees are no method of the estimator
        self.model_ = model
        self._learn_stack(model)
        return self

    def _learn_stack(self, model: EncodedPredictor) -> None:
        if isinstance(model, StackModel):
            stack = model.stack
            self.weights_, self.guard_ = stack.weights, stack.guard
            self.strengths_, self.history_ = list(stack.strengths), list(stack.history)

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
