"""Training one method on one split."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelweave.experiments._config import StudyConfig


from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations, Codes
from labelweave.class_priors import assumed_prior, labelled_prior, population_prior
from labelweave.evaluation import best_temperature, best_thresholds, scores_of
from labelweave.fitting._methods import BASELINE, METHODS, Method
from labelweave.fitting._networks import Fit, Scores, train_fits
from labelweave.fitting._split import Split, held_out
from labelweave.model import Model, NetworkSpec
from labelweave.tasks import Multiclass, Multilabel
from labelweave.training import Watch

ROWS_PER_CLASS = 50  # below this, boosting's leaves of 20 rows see too little; a forest is better


def fit_trees(
    inputs: NDArray[np.float32], labels: Annotations, test: NDArray[np.float32], seed: int
) -> dict[str, NDArray[np.float32]]:
    """Fit trees for every task (and every label of a multilabel one) and predict the test rows.

    Gradient boosting where a class has on average at least 50 labelled rows, else a random forest
    of 300 trees. Classes without a labelled row get probability 0.

    Args:
        inputs: (n, d) training inputs.
        labels: their labels; missing elements are left out.
        test: (m, d) inputs to predict.
        seed: seed of the trees.

    Returns:
        Per task (m, K) or (m, L) probabilities.
    """
    result: dict[str, NDArray[np.float32]] = {}
    for task in labels.tasks:
        codes = labels.labels[task.name]
        if isinstance(task, Multiclass):
            result[task.name] = _fit_one(inputs, codes, test, task.width, seed)
        else:
            columns = [_fit_one(inputs, codes[:, j], test, 2, seed) for j in range(task.width)]
            result[task.name] = np.stack([column[:, 1] for column in columns], axis=1)
    return result


def _fit_one(
    inputs: NDArray[np.float32],
    codes: Codes,
    test: NDArray[np.float32],
    width: int,
    seed: int,
) -> NDArray[np.float32]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    seen = codes >= 0
    classes, counts = np.unique(codes[seen], return_counts=True)
    given = np.zeros((len(test), width), dtype=np.float32)
    if len(classes) < 2:
        given[:, classes] = 1.0
        return given
    if seen.sum() >= ROWS_PER_CLASS * len(classes):
        # stopping early sets rows aside, for which it needs two of every class
        stopping = "auto" if counts.min() > 1 else False
        trees = HistGradientBoostingClassifier(early_stopping=stopping, random_state=seed)
    else:
        trees = RandomForestClassifier(300, random_state=seed, n_jobs=1)
    given[:, classes] = trees.fit(inputs[seen], codes[seen]).predict_proba(test)
    return given


PREDICTION = "key 'label_shift.prediction'"  # its place in a study file
Probabilities = dict[str, NDArray[np.float32]]


@dataclass
class Fitted:
    """What a method gave on one split.

    Attributes:
        probabilities: per task the probabilities of the test rows, under the assumed prior.
        thresholds: per multilabel task the thresholds from the validation rows, (L,).
        model: the trained networks; None where there is none to keep.
        curve: the loss terms over the steps, of a joint network.
        diagnostics: of a joint network its tasks' ``speeds`` and ``gradients``
            (`labelweave.training`) and ``fits`` (`task_fits`).
        parameters: number of trained weights.
        networks: number of trained networks.
    """

    probabilities: Probabilities
    thresholds: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    model: Model | None = None
    curve: dict[str, Any] | None = None
    diagnostics: dict[str, Any] | None = None
    parameters: int = 0
    networks: int = 0


def fit_method(
    method: Method,
    split: Split,
    config: StudyConfig,
    folder: Path | None,
    *,
    teachers: Scores | None = None,
    progress: bool = False,
    watch: Watch | None = None,
) -> Fitted:
    """Train a method (of any kind but ``derived``) and predict the test rows.

    Args:
        method: what to train.
        split: the data.
        config: the study's settings.
        folder: for checkpoints; an interrupted run on the same folder goes on from there.
        teachers: task name to (n, width) scores of its teacher on the training rows, for a method
            that distils.
        progress: show a bar over the steps.
        watch: told of every evaluation on the validation rows, see `Trainer`.
    """
    config = config.model_copy(update={"training": method.training_of(config.training)})
    labels = split.train.annotations
    if method.all_labels and split.everything is not None:
        labels = split.everything
    prior = assumed_prior(config.label_shift.prediction, labels.tasks, PREDICTION)
    if method.kind == "trees":
        features = np.asarray(split.train.inputs), np.asarray(split.test.inputs)
        given = fit_trees(features[0], labels, features[1], split.seed)
        met = {task.name: labelled_prior(labels, task.name) for task in labels.tasks}
        known = {"training": met, "population": met}
        return Fitted(prior.apply(labels.tasks, given, known))
    relations = split.relations
    if method.relations == "shuffled":
        relations = tuple(r.permuted(split.seed + i) for i, r in enumerate(relations))
    options = method.coupling_options(config.couplings)
    groups = [[task] for task in labels.tasks] if method.kind == "single" else [list(labels.tasks)]
    spec = NetworkSpec(config.network.backbone, config.network.options())
    used = relations if method.coupled else ()
    noise = split.noise if method.noise else ()
    fits = [
        Fit(split, labels, tasks, used, noise, options, config, spec, teachers) for tasks in groups
    ]
    networks = train_fits(fits, folder, progress, watch)
    training: dict[str, NDArray[np.float64]] = {}
    drawn: dict[str, NDArray[np.float64]] = {}
    population: dict[str, NDArray[np.float64]] = {}
    for fit in fits:
        training |= fit.spoken
        drawn |= {n: p for n, p in fit.training.items() if fit.spoken[n] is not p}
        population |= population_prior(fit.own, split.source)
    model = Model(split.encoder, spec, networks, prior=prior)
    model.priors = {"training": training, "population": population, "drawn": drawn}
    model.thresholds = _thresholds(model, split)
    joint = method.kind == "joint"
    return Fitted(
        model.under_prior(model.probabilities(split.test.inputs)),
        model.thresholds,
        model,
        fits[0].history.curve() if joint else None,
        fits[0].diagnostics(networks[0], folder and folder / "network0") if joint else None,
        sum(p.numel() for network in networks for p in network.parameters()),
        len(networks),
    )


def _thresholds(model: Model, split: Split) -> dict[str, NDArray[np.float64]]:
    if not len(split.validation.index):
        return {}
    given = model.under_prior(model.probabilities(split.validation.inputs))
    labels = split.validation.annotations.labels
    return {
        task.name: best_thresholds(task, given[task.name], labels[task.name])
        for task in model.tasks
        if isinstance(task, Multilabel) and task.width > 1
    }


def teacher_scores(
    teacher: Model, split: Split, config: StudyConfig
) -> dict[str, NDArray[np.float32]]:
    """Return what teachers say about a split's training rows, by task: scores (n, width).

    Each task's scores are divided by its temperature (see `best_temperature`) on rows that were
    held out of the training: validation rows, or without any, training rows held out in turn where
    the study says so (``teachers: {folds: ...}``). Without either they are taken as they are.

    Args:
        teacher: the networks of the method ``single_task``, trained on the same split.
        split: the data.
        config: the study's settings.
    """
    given = teacher.probabilities(split.train.inputs)
    held, predicted = _held_out(teacher, split, config)
    return {
        task.name: (
            scores_of(task, given[task.name].astype(np.float64))
            / best_temperature(task, predicted[task.name], held.labels[task.name])
        ).astype(np.float32)
        for task in teacher.tasks
    }


def _held_out(
    teacher: Model, split: Split, config: StudyConfig
) -> tuple[Annotations, Probabilities]:
    """Return labels and predictions of rows that the predicting network was not trained on."""
    if len(split.validation.index) or not config.teachers.folds:
        return split.validation.annotations, teacher.probabilities(split.validation.inputs)
    rows = len(split.train.index)
    predicted = {t.name: np.zeros((rows, t.width), np.float32) for t in teacher.tasks}
    for inner, out in held_out(split, config.teachers.folds):
        networks = fit_method(METHODS[BASELINE], inner, config, None).model
        assert networks is not None  # not trees
        # as the teachers' own: under the training prior, whatever the study's predictions assume
        for name, part in networks.probabilities(inner.test.inputs).items():
            predicted[name][out] = part
    return split.train.annotations, predicted
