"""The one trainer: a method, a split and settings in, a model out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelweave._progress import fit_status
from labelweave.annotations import Annotations
from labelweave.class_priors import PREDICTION, AssumedPrior, assumed_prior, population_prior
from labelweave.evaluation import best_temperature, best_thresholds
from labelweave.evaluation._calibration import scores_of
from labelweave.fitting._config import FitConfig
from labelweave.fitting._methods import BASELINE, METHODS, Method, find_method
from labelweave.fitting._networks import Fit, Scores, train_fits
from labelweave.fitting._split import Split, held_out
from labelweave.fitting._stack import StackModel, fit_stack
from labelweave.fitting._student import student_targets, with_mixtures
from labelweave.fitting._trees import fit_trees
from labelweave.fitting._trunks import choose_trunks
from labelweave.model import Model, NetworkSpec, Predictor, TrainingRecord, kept_predictions
from labelweave.networks import MultiTaskNetwork
from labelweave.tasks import Multilabel, Task
from labelweave.training._loop import Watch

Probabilities = dict[str, NDArray[np.float32]]


def fit(
    method: Method,
    split: Split,
    config: FitConfig,
    *,
    teachers: Scores | None = None,
    start: Model | None = None,
    folder: Path | None = None,
    progress: bool = False,
    watch: Watch | None = None,
) -> Predictor:
    """Train a method (of any kind but ``derived``) on the training rows of a split.

    Args:
        method: what to train.
        split: the data; of a coupled method with the relations to couple by.
        config: the settings.
        teachers: of a method that is taught, by task the (n, width) scores of its teacher on the
            training rows; None = its teacher is trained first (`Method.teacher`).
        start: of networks, a model whose weights they start from where columns, classes and
            architecture agree, for half of the steps; the record says whether they did (`warm`).
            None = new weights. The former rows of the model stay in the weights.
        folder: for checkpoints; an interrupted call on the same folder goes on from there.
        progress: show a bar over the steps.
        watch: called at every evaluation on the validation rows, see `Trainer`.

    Raises:
        LabelweaveError: settings that do not fit the data.
        TrainingError: the loss is no longer finite.
    """
    config = config.model_copy(update={"training": method.training_of(config.training)})
    labels = split.train.annotations
    if method.all_labels and split.everything is not None:
        labels = split.everything
    prior = assumed_prior(config.label_shift.prediction, labels.tasks, PREDICTION)
    if method.kind == "trees":
        return fit_trees(np.asarray(split.train.inputs), labels, split.seed, prior)
    if method.kind == "stack":
        with fit_status(progress) as show:
            return fit_stack(split, labels, config, prior, couple=method.joins, progress=show)
    if method.teacher is not None and teachers is None:
        teacher = fit(find_method(method.teacher), split, config, progress=progress)
        teachers = taught_scores(method, teacher, split, config)
    if method.kind == "student":
        return _fit_student(split, config, teachers or {}, prior, start, folder, progress, watch)
    relations = split.relations
    if method.relations == "shuffled":
        relations = tuple(r.permuted(split.seed + i) for i, r in enumerate(relations))
    options = method.coupling_options(config.couplings)
    single = method.kind == "single"
    groups: list[list[Task]] = [[t] for t in labels.tasks] if single else [list(labels.tasks)]
    spec = NetworkSpec(config.network.backbone, config.network.options())
    used = relations if method.coupled else ()
    noise = split.noise if method.noise else ()
    fits = [
        Fit(
            split, labels, tasks, used, noise, options, config, spec, teachers,
            own_trunks=choose_trunks(split, labels, tasks, config), start=start,
        )
        for tasks in groups
    ]  # fmt: skip
    networks = train_fits(fits, folder, progress, watch)
    model = _model(fits, networks, split, spec, prior)
    if method.kind == "joint":
        model.record.curve = fits[0].history.curve()
        model.record.diagnostics = fits[0].diagnostics(networks[0], folder and folder / "network0")
    return model


def _fit_student(
    split: Split,
    config: FitConfig,
    teachers: Scores,
    prior: AssumedPrior,
    start: Model | None,
    folder: Path | None,
    progress: bool,
    watch: Watch | None,
) -> Model:
    """Train one network on soft targets alone: what the stack predicts."""
    split = with_mixtures(split)
    training = config.training.model_copy(update={"weighting": "sum", "ramp": 0.0})
    config = config.model_copy(update={"training": training})
    spec = NetworkSpec(config.network.backbone, config.network.options())
    labels, options = split.train.annotations, {"distillation": {"temperature": 1.0, "weight": 1.0}}
    student = Fit(
        split, labels, list(labels.tasks), (), (), options, config, spec, teachers, soft=True,
        own_trunks=choose_trunks(split, labels, labels.tasks, config), start=start,
    )  # fmt: skip
    networks = train_fits([student], folder, progress, watch)
    model = _model([student], networks, split, spec, prior)
    model.record.curve = student.history.curve()
    model.record.diagnostics = student.diagnostics(networks[0], folder and folder / "network0")
    return model


def _model(
    fits: Sequence[Fit],
    networks: list[MultiTaskNetwork],
    split: Split,
    spec: NetworkSpec,
    prior: AssumedPrior,
) -> Model:
    training: dict[str, NDArray[np.float64]] = {}
    drawn: dict[str, NDArray[np.float64]] = {}
    population: dict[str, NDArray[np.float64]] = {}
    for each in fits:
        training |= each.score_priors
        drawn |= {n: p for n, p in each.training.items() if each.score_priors[n] is not p}
        population |= population_prior(each.own, split.source)
    model = Model(split.encoder, spec, networks, prior=prior)
    model.priors = {"training": training, "population": population, "drawn": drawn}
    model.thresholds = _thresholds(model, split)
    parameters = sum(p.numel() for network in networks for p in network.parameters())
    warm = all(each.warm for each in fits)
    model.record = TrainingRecord(parameters=parameters, networks=len(networks), warm=warm)
    return model


def _thresholds(model: Model, split: Split) -> dict[str, NDArray[np.float64]]:
    if not len(split.validation.index):
        return {}
    tasks = [task for task in model.tasks if isinstance(task, Multilabel) and task.width > 1]
    if not tasks:
        return {}
    labels = split.validation.annotations.only([task.name for task in tasks])
    given = kept_predictions(model, split.validation.inputs, labels)
    return {
        task.name: best_thresholds(task, np.asarray(given[task.name]), labels.labels[task.name])
        for task in tasks
    }


def taught_scores(
    method: Method, teacher: Predictor, split: Split, config: FitConfig
) -> dict[str, NDArray[np.float32]]:
    """Return what a method is taught on a split's training rows, by task: scores (n, width)."""
    if isinstance(teacher, StackModel):
        return student_targets(teacher, split)
    return teacher_scores(teacher, split, config)


def teacher_scores(
    teacher: Predictor, split: Split, config: FitConfig
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
    teacher: Predictor, split: Split, config: FitConfig
) -> tuple[Annotations, Probabilities]:
    """Return labels and predictions of rows that the predicting network was not trained on."""
    if len(split.validation.index) or not config.teachers.folds:
        return split.validation.annotations, teacher.probabilities(split.validation.inputs)
    rows = len(split.train.index)
    predicted = {t.name: np.zeros((rows, t.width), np.float32) for t in teacher.tasks}
    for inner, out in held_out(split, config.teachers.folds):
        networks = fit(METHODS[BASELINE], inner, config)
        # as the teachers' own: under the training prior, whatever the study's predictions assume
        for name, part in networks.probabilities(inner.test.inputs).items():
            predicted[name][out] = part
    return split.train.annotations, predicted
