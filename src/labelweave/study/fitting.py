"""Training one arm on one fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data import row_weights
from labelweave.data.batches import Batches
from labelweave.evaluation import best_thresholds, evaluate, main_metric
from labelweave.losses import Objective, freed, own_labels
from labelweave.model import Model, NetworkSpec, joint_probabilities
from labelweave.networks import MultiTaskNetwork
from labelweave.priors import (
    assumed_prior,
    labelled_prior,
    log_odds,
    population_prior,
    source_priors,
    spoken_prior,
)
from labelweave.relations import AnyRelation, Noise
from labelweave.study.arms import Arm
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.task_fit import task_fits
from labelweave.study.trees import fit_trees
from labelweave.tasks import Multilabel, Task
from labelweave.training import (
    LOG,
    History,
    Trainer,
    Watch,
    mean_gradients,
    speeds,
)

PREDICTION = "key 'label_shift.prediction'"  # its place in a study file
Probabilities = dict[str, NDArray[np.float32]]
Scores = Mapping[str, NDArray[np.float32]]


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
    networks: list[MultiTaskNetwork] = []
    training: dict[str, NDArray[np.float64]] = {}
    drawn: dict[str, NDArray[np.float64]] = {}
    population: dict[str, NDArray[np.float64]] = {}
    for tasks in groups:
        sub = folder / f"network{len(networks)}" if folder else None
        noise = fold.noise if arm.noise else ()
        used = relations if arm.coupled else ()
        run = _Fit(fold, labels, tasks, used, noise, options, config, spec, teachers)
        networks.append(run.train(sub, progress, watch))
        training |= run.spoken
        drawn |= {n: p for n, p in run.training.items() if run.spoken[n] is not p}
        population |= population_prior(run.own, fold.source)
    model = Model(fold.encoder, spec, networks, prior=prior)
    model.priors = {"training": training, "population": population, "drawn": drawn}
    model.thresholds = _thresholds(model, fold)
    joint = arm.kind == "joint"
    return Fitted(
        model.under_prior(model.probabilities(fold.test.inputs)),
        model.thresholds,
        model,
        run.history.curve() if joint else None,
        run.diagnostics(networks[0], folder and folder / "network0") if joint else None,
        sum(p.numel() for network in networks for p in network.parameters()),
        len(networks),
    )


class _Fit:
    """One network on one fold."""

    def __init__(
        self,
        fold: Fold,
        labels: Annotations,
        tasks: Sequence[Task],
        relations: Sequence[AnyRelation],
        noise: Sequence[Noise],
        couplings: dict[str, dict[str, Any]],
        config: StudyConfig,
        spec: NetworkSpec,
        teachers: Scores | None,
    ) -> None:
        self.fold, self.tasks, self.config, self.spec = fold, tasks, config, spec
        self.labels, self.teachers = labels, teachers
        # a single-task network sees the rows with its labels; a joint one every row
        useful = np.zeros(len(labels), np.bool_)
        for task in tasks:
            useful |= labels.labelled(task.name)
        if len(tasks) == len(labels.tasks):
            useful[:] = True
        self.sources = [
            np.flatnonzero(useful & (fold.source == i)) for i in range(len(fold.source_names))
        ]
        training = config.training
        names = [task.name for task in tasks]
        self.sampler = sampler(
            training.sampling, self.sources, training.batch_size, fold.seed, labels, names
        )
        self.training = self._training_prior()
        self.own = source_priors(labels, fold.source, relations, self.training)
        losses = config.losses()
        self.spoken = {
            task.name: spoken_prior(task, self.training[task.name], freed(losses[task.name], task))
            if task.name in losses
            else self.training[task.name]
            for task in tasks
        }
        shift = self._shift(adjust=config.label_shift.training == "adjust")
        ramp = config.training.ramp
        counts = own_labels(labels)
        self.objective = Objective(
            tasks, relations, couplings, ramp=ramp, shift=shift, noise=noise, counts=counts,
            needs=fold.needs, losses=losses, shares=self.training,
        )  # fmt: skip
        self.history = History()

    def _training_prior(self) -> dict[str, NDArray[np.float64]]:
        """Return per task the shares of its classes among the labelled rows that training meets."""
        weights = row_weights(self.sampler, len(self.labels))
        return {task.name: labelled_prior(self.labels, task.name, weights) for task in self.tasks}

    def _shift(self, *, adjust: bool) -> dict[str, NDArray[np.float64]] | None:
        """Return how far each source's prior lies from that of the scores, (D, width) a task.

        Without `adjust` all sources have the training prior; None = it is that of the scores.
        """
        if not adjust and all(self.spoken[name] is prior for name, prior in self.training.items()):
            return None
        met = self.own
        if not adjust:
            met = {name: np.tile(self.training[name], (len(own), 1)) for name, own in met.items()}
        return {
            task.name: log_odds(task, met[task.name]) - log_odds(task, self.spoken[task.name])
            for task in self.tasks
        }

    def train(self, folder: Path | None, progress: bool, watch: Watch | None) -> MultiTaskNetwork:
        training, seed = self.config.training, self.fold.seed
        title = self.tasks[0].name if len(self.tasks) == 1 else "training"
        trainer = Trainer(
            training, seed=seed, folder=folder, progress=progress, title=title, watch=watch
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = self.spec.build(self.fold.encoder.shape_, self.tasks)
        names = [task.name for task in self.tasks]
        teachers = {n: scores for n, scores in (self.teachers or {}).items() if n in names}
        batches = Batches(
            self.fold.train.inputs,
            self.labels.only(names),
            self.sampler,
            trainer.fabric.device,
            source=self.fold.source,
            teachers=teachers,
        )
        steps = training.total_steps(sum(len(rows) for rows in self.sources))
        validate = self._validate if len(self.fold.validation.index) else None
        self.history = trainer.fit(network, self.objective, batches, steps, validate)
        return network

    def diagnostics(self, network: MultiTaskNetwork, folder: Path | None) -> dict[str, Any]:
        """Return how the training went for each of the tasks, and add it to the log."""
        fits = task_fits(network, self.fold.train, self.labels, self.fold.validation)
        records = self.history.records
        records[-1]["fit"] = fits
        if folder is not None:
            self.history.write(folder / LOG)
        return {"speeds": speeds(records), "gradients": mean_gradients(records), "fits": fits}

    def _validate(self, network: MultiTaskNetwork) -> dict[str, float | None]:
        rows = self.fold.validation
        given = joint_probabilities([network], rows.inputs)
        return {
            task.name: evaluate(task, given[task.name], rows.annotations.labels[task.name])[
                main_metric(task)
            ]
            for task in self.tasks
        }


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
