"""One network of an arm on one fold: its batches, its objective, its training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data import row_weights
from labelweave.data.batches import Batches
from labelweave.evaluation import evaluate, main_metric
from labelweave.inference import joint_probabilities
from labelweave.losses import Objective, freed, own_labels
from labelweave.model import NetworkSpec
from labelweave.networks import MultiTaskNetwork
from labelweave.priors import labelled_prior, log_odds, source_priors, spoken_prior
from labelweave.relations import AnyRelation, Noise
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.task_fit import task_fits
from labelweave.tasks import Task
from labelweave.training import LOG, History, Trainer, Watch, mean_gradients, speeds

Scores = Mapping[str, NDArray[np.float32]]


class Fit:
    """One network on one fold.

    Args:
        fold: the data.
        labels: of its training rows.
        tasks: the network's.
        relations: for the couplings.
        noise: how the labels err.
        couplings: their options.
        config: the study's settings.
        spec: how the network is built.
        teachers: task name to (n, width) scores of its teacher on the training rows.

    Attributes:
        training: per task the shares of its classes among the labelled rows that training meets.
        spoken: per task the shares that the scores speak of.
        own: per task those of every source, (D, width).
        history: of the training.
    """

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
        self.labels, self.losses, self.shift = labels, config.losses(), None
        names = [task.name for task in tasks]
        self.teachers = {n: scores for n, scores in (teachers or {}).items() if n in names}
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
        self.sampler = sampler(
            training.sampling, self.sources, training.batch_size, fold.seed, labels, names
        )
        self.training = self._training_prior()
        self.own = source_priors(labels, fold.source, relations, self.training)
        self.spoken = {task.name: self._spoken(task) for task in tasks}
        self.shift = self._shift(adjust=config.label_shift.training == "adjust")
        ramp = config.training.ramp
        counts = own_labels(labels)
        self.objective = Objective(
            tasks, relations, couplings, ramp=ramp, shift=self.shift, noise=noise, counts=counts,
            needs=fold.needs, losses=self.losses, shares=self.training,
        )  # fmt: skip
        self.validate = self._validate if len(fold.validation.index) else None
        self.history = History()

    def _training_prior(self) -> dict[str, NDArray[np.float64]]:
        """Return per task the shares of its classes among the labelled rows that training meets."""
        weights = row_weights(self.sampler, len(self.labels))
        return {task.name: labelled_prior(self.labels, task.name, weights) for task in self.tasks}

    def _spoken(self, task: Task) -> NDArray[np.float64]:
        met, loss = self.training[task.name], self.losses.get(task.name)
        return met if loss is None else spoken_prior(task, met, freed(loss, task))

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

    def network(self) -> MultiTaskNetwork:
        """Return the network with its first weights."""
        with torch.random.fork_rng():
            torch.manual_seed(self.fold.seed)
            return self.spec.build(self.fold.encoder.shape_, self.tasks)

    def steps(self) -> int:
        """Return the number of optimiser steps."""
        return self.config.training.total_steps(sum(len(rows) for rows in self.sources))

    def trainer(
        self, title: str, folder: Path | None, progress: bool, watch: Watch | None = None
    ) -> Trainer:
        """Return what trains the network; `title` stands before its bar."""
        return Trainer(
            self.config.training, seed=self.fold.seed, folder=folder, progress=progress,
            title=title, watch=watch,
        )  # fmt: skip

    def train(self, folder: Path | None, progress: bool, watch: Watch | None) -> MultiTaskNetwork:
        """Train the network; see `fit_arm`."""
        title = self.tasks[0].name if len(self.tasks) == 1 else "training"
        trainer, network = self.trainer(title, folder, progress, watch), self.network()
        batches = Batches(
            self.fold.train.inputs,
            self.labels.only([task.name for task in self.tasks]),
            self.sampler,
            trainer.fabric.device,
            source=self.fold.source,
            teachers=self.teachers,
        )
        self.history = trainer.fit(network, self.objective, batches, self.steps(), self.validate)
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
