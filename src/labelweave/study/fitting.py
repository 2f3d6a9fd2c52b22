"""Training one arm on one fold."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.evaluation import best_thresholds
from labelweave.model import Model, NetworkSpec
from labelweave.priors import assumed_prior, labelled_prior, population_prior
from labelweave.study.arms import Arm
from labelweave.study.config import StudyConfig
from labelweave.study.fit import Fit, Scores
from labelweave.study.fits import train_fits
from labelweave.study.fold import Fold
from labelweave.study.trees import fit_trees
from labelweave.tasks import Multilabel
from labelweave.training import Watch

PREDICTION = "key 'label_shift.prediction'"  # its place in a study file
Probabilities = dict[str, NDArray[np.float32]]


@dataclass
class Fitted:
    """What an arm gave on one fold.

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


def fit_arm(
    arm: Arm,
    fold: Fold,
    config: StudyConfig,
    folder: Path | None,
    *,
    teachers: Scores | None = None,
    progress: bool = False,
    watch: Watch | None = None,
) -> Fitted:
    """Train an arm (of any kind but ``derived``) and predict the test rows.

    Args:
        arm: what to train.
        fold: the data.
        config: the study's settings.
        folder: for checkpoints; an interrupted run on the same folder goes on from there.
        teachers: task name to (n, width) scores of its teacher on the training rows, for an arm
            that distils.
        progress: show a bar over the steps.
        watch: told of every evaluation on the validation rows, see `Trainer`.
    """
    config = config.model_copy(update={"training": arm.training_of(config.training)})
    labels = fold.train.annotations
    if arm.all_labels and fold.everything is not None:
        labels = fold.everything
    prior = assumed_prior(config.label_shift.prediction, labels.tasks, PREDICTION)
    if arm.kind == "trees":
        features = np.asarray(fold.train.inputs), np.asarray(fold.test.inputs)
        given = fit_trees(features[0], labels, features[1], fold.seed)
        met = {task.name: labelled_prior(labels, task.name) for task in labels.tasks}
        known = {"training": met, "population": met}
        return Fitted(prior.apply(labels.tasks, given, known))
    relations = fold.relations
    if arm.relations == "shuffled":
        relations = tuple(r.permuted(fold.seed + i) for i, r in enumerate(relations))
    options = arm.coupling_options(config.couplings)
    groups = [[task] for task in labels.tasks] if arm.kind == "single" else [list(labels.tasks)]
    spec = NetworkSpec(config.network.backbone, config.network.options())
    used = relations if arm.coupled else ()
    noise = fold.noise if arm.noise else ()
    fits = [
        Fit(fold, labels, tasks, used, noise, options, config, spec, teachers) for tasks in groups
    ]
    networks = train_fits(fits, folder, progress, watch)
    training: dict[str, NDArray[np.float64]] = {}
    drawn: dict[str, NDArray[np.float64]] = {}
    population: dict[str, NDArray[np.float64]] = {}
    for fit in fits:
        training |= fit.spoken
        drawn |= {n: p for n, p in fit.training.items() if fit.spoken[n] is not p}
        population |= population_prior(fit.own, fold.source)
    model = Model(fold.encoder, spec, networks, prior=prior)
    model.priors = {"training": training, "population": population, "drawn": drawn}
    model.thresholds = _thresholds(model, fold)
    joint = arm.kind == "joint"
    return Fitted(
        model.under_prior(model.probabilities(fold.test.inputs)),
        model.thresholds,
        model,
        fits[0].history.curve() if joint else None,
        fits[0].diagnostics(networks[0], folder and folder / "network0") if joint else None,
        sum(p.numel() for network in networks for p in network.parameters()),
        len(networks),
    )


def _thresholds(model: Model, fold: Fold) -> dict[str, NDArray[np.float64]]:
    if not len(fold.validation.index):
        return {}
    given = model.under_prior(model.probabilities(fold.validation.inputs))
    labels = fold.validation.annotations.labels
    return {
        task.name: best_thresholds(task, given[task.name], labels[task.name])
        for task in model.tasks
        if isinstance(task, Multilabel) and task.width > 1
    }
