"""One network of a method on one split: its batches, its objective, its training."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.class_priors import labelled_prior, log_odds, score_prior, source_priors
from labelweave.data import Inputs
from labelweave.data._batch_shares import row_weights
from labelweave.data._batches import Batches, SeparateBatches
from labelweave.evaluation import evaluate, main_metric
from labelweave.evaluation._metrics import Given
from labelweave.evaluation._top_classes import Kept, TopClasses, keep
from labelweave.fitting._config import FitConfig
from labelweave.fitting._split import Rows, Split
from labelweave.fitting._start import SHARE, former_weights
from labelweave.losses import Objective
from labelweave.losses._task_losses import freed
from labelweave.model import Model, NetworkSpec, joint_probabilities
from labelweave.networks import MultiTaskNetwork
from labelweave.networks._multi_task import SideBySide
from labelweave.relations import AnyRelation, Noise
from labelweave.relations._transfer_weights import label_counts
from labelweave.tasks import Task
from labelweave.training import History, Trainer
from labelweave.training._device import adds_nothing, is_first
from labelweave.training._diagnostics import mean_gradients, speeds
from labelweave.training._history import LOG
from labelweave.training._loop import Watch
from labelweave.training._trainer import SMALL_STEP

ROWS = 2000  # training rows of a task that are looked at


def task_fits(
    network: MultiTaskNetwork, train: Rows, labels: Annotations, validation: Rows
) -> dict[str, dict[str, Any]]:
    """Return per task of a network how well it was learnt.

    - ``labels``: labelled elements of the training rows; ``rarest`` and ``rarest_labels``: the
      class, or the label's state, with the fewest, and how many it has.
    - ``train``: of (at most 2,000) labelled training rows the ``loss`` (cross-entropy an element),
      its value for a ``constant`` predictor, which says the classes' shares whatever the inputs,
      and the ``score``, the main metric; ``validation``: the same of the validation rows, None
      where none carries the label.

    Args:
        network: the trained network.
        train: the training rows.
        labels: their labels, as the network saw them.
        validation: the validation rows; may be empty.
    """
    picked = np.unique(np.concatenate([_some(labels, task.name) for task in network.tasks]))
    seen = labels[picked].only([task.name for task in network.tasks])
    given = _kept(network, train.inputs[picked], seen)
    held_out = None
    if len(validation.index):
        judged = validation.annotations.only([task.name for task in network.tasks])
        held_out = _kept(network, validation.inputs, judged)
    found: dict[str, dict[str, Any]] = {}
    counts = label_counts(labels)
    for task in network.tasks:
        prior, own = labelled_prior(labels, task.name), counts[task.name]
        rarest = int(own.argmin())
        found[task.name] = {
            "labels": int(labels.observed(task.name).sum()),
            "rarest": str(task.names[rarest]),
            "rarest_labels": int(own[rarest]),
            "train": _side(task, given[task.name], seen, prior),
            "validation": None
            if held_out is None
            else _side(task, held_out[task.name], validation.annotations, prior),
        }
    return found


def _some(labels: Annotations, name: str) -> NDArray[np.int64]:
    """Return labelled rows of a task, at most `ROWS` of them, evenly spread."""
    rows = np.flatnonzero(labels.labelled(name))
    if len(rows) <= ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, ROWS).round().astype(np.int64)]


def _kept(network: MultiTaskNetwork, inputs: Inputs, labels: Annotations) -> dict[str, Kept]:
    return keep(lambda rows: joint_probabilities([network], rows), inputs, labels)


def _side(
    task: Task, given: Kept, labels: Annotations, prior: NDArray[np.float64]
) -> dict[str, float] | None:
    codes = labels.labels[task.name]
    found = evaluate(task, given, codes)
    shares: Given = np.broadcast_to(prior, given.shape)
    if isinstance(given, TopClasses):
        shares = TopClasses.constant(prior, codes)
    constant = evaluate(task, shares, codes)
    if found["log_loss"] is None:
        return None
    return {
        "loss": found["log_loss"],
        "constant": constant["log_loss"] or 0.0,
        "score": found[main_metric(task)] or 0.0,
    }


Scores = Mapping[str, NDArray[np.float32]]


class Fit:
    """One network on one split.

    Args:
        split: the data.
        labels: of its training rows.
        tasks: the network's.
        relations: for the couplings.
        noise: how the labels err.
        couplings: their options.
        config: the study's settings.
        spec: how the network is built.
        teachers: task name to (n, width) scores of its teacher on the training rows.
        soft: learn from the teachers alone, on all rows.
        own_trunks: names of tasks that share no trunk with another.
        start: a model whose weights the training starts from where they fit (`former_weights`), for
            half of the steps; None = new weights.

    Attributes:
        warm: the weights of `start` fit.
        training: per task the shares of its classes among the labelled rows that training meets.
        score_priors: per task the class prior that the scores assume.
        own: per task those of every source, (D, width).
        history: of the training.
    """

    def __init__(
        self,
        split: Split,
        labels: Annotations,
        tasks: Sequence[Task],
        relations: Sequence[AnyRelation],
        noise: Sequence[Noise],
        couplings: dict[str, dict[str, Any]],
        config: FitConfig,
        spec: NetworkSpec,
        teachers: Scores | None,
        *,
        soft: bool = False,
        own_trunks: Sequence[str] = (),
        start: Model | None = None,
    ) -> None:
        self.soft, self.own_trunks = soft, own_trunks
        self.split, self.tasks, self.config, self.spec = split, tasks, config, spec
        self._weights = None
        if start is not None:
            self._weights = former_weights(start, split.encoder, self.network())
        self.warm = self._weights is not None
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
            np.flatnonzero(useful & (split.source == i)) for i in range(len(split.source_names))
        ]
        training = config.training
        self.sampler = sampler(
            training.sampling, self.sources, training.batch_size, split.seed, labels, names
        )
        self.training = self._training_prior()
        self.own = source_priors(labels, split.source, relations, self.training)
        self.score_priors = {task.name: self._score_prior(task) for task in tasks}
        self.shift = self._shift(adjust=config.label_shift.training == "adjust")
        ramp = config.training.ramp
        counts = label_counts(labels)
        self.objective = Objective(
            tasks, relations, couplings, ramp=ramp, shift=self.shift, noise=noise, counts=counts,
            transfer_weights=split.transfer_weights, losses=self.losses, shares=self.training,
        )  # fmt: skip
        self.validate = self._validate if len(split.validation.index) else None
        self.history = History()

    def _training_prior(self) -> dict[str, NDArray[np.float64]]:
        """Return per task the shares of its classes among the labelled rows that training meets."""
        weights = row_weights(self.sampler, len(self.labels))
        return {task.name: labelled_prior(self.labels, task.name, weights) for task in self.tasks}

    def _score_prior(self, task: Task) -> NDArray[np.float64]:
        met, loss = self.training[task.name], self.losses.get(task.name)
        return met if loss is None else score_prior(task, met, freed(loss, task))

    def _shift(self, *, adjust: bool) -> dict[str, NDArray[np.float64]] | None:
        """Return how far each source's prior lies from that of the scores, (D, width) a task.

        Without `adjust` all sources have the training prior; None = it is that of the scores.
        """
        if not adjust and all(
            self.score_priors[name] is prior for name, prior in self.training.items()
        ):
            return None
        met = self.own
        if not adjust:
            met = {name: np.tile(self.training[name], (len(own), 1)) for name, own in met.items()}
        return {
            task.name: log_odds(task, met[task.name]) - log_odds(task, self.score_priors[task.name])
            for task in self.tasks
        }

    def network(self) -> MultiTaskNetwork:
        """Return the network with its first weights."""
        with torch.random.fork_rng():
            torch.manual_seed(self.split.seed)
            made = self.spec.build(self.split.encoder.shape_, self.tasks, self.own_trunks)
        if self._weights is not None:
            made.load_state_dict(self._weights)
        return made

    def steps(self) -> int:
        """Return the number of optimiser steps."""
        steps = self.config.training.total_steps(sum(len(rows) for rows in self.sources))
        return max(1, round(SHARE * steps)) if self.warm else steps

    def trainer(
        self, title: str, folder: Path | None, progress: bool, watch: Watch | None = None
    ) -> Trainer:
        """Return what trains the network; `title` stands before its bar."""
        return Trainer(
            self.config.training, seed=self.split.seed, folder=folder, progress=progress,
            title=title, watch=watch,
        )  # fmt: skip

    def train(self, folder: Path | None, progress: bool, watch: Watch | None) -> MultiTaskNetwork:
        """Train the network; see `fit_method`."""
        title = self.tasks[0].name if len(self.tasks) == 1 else "training"
        trainer, network = self.trainer(title, folder, progress, watch), self.network()
        batches = Batches(
            self.split.train.inputs,
            self._learnt_from(),
            self.sampler,
            trainer.fabric.device,
            shard=(trainer.fabric.global_rank, trainer.fabric.world_size),
            source=self.split.source,
            teachers=self.teachers,
        )
        self.history = trainer.fit(network, self.objective, batches, self.steps(), self.validate)
        return network

    def _learnt_from(self) -> Annotations:
        own = self.labels.only([task.name for task in self.tasks])
        if not self.soft:
            return own
        return Annotations(own.tasks, {n: np.full_like(c, -1) for n, c in own.labels.items()})

    def diagnostics(self, network: MultiTaskNetwork, folder: Path | None) -> dict[str, Any]:
        """Return how the training went for each of the tasks, and add it to the log."""
        fits = task_fits(network, self.split.train, self.labels, self.split.validation)
        records = self.history.records
        records[-1]["fit"] = fits
        if folder is not None and is_first():
            self.history.write(folder / LOG)
        return {"speeds": speeds(records), "gradients": mean_gradients(records), "fits": fits}

    def _validate(self, network: MultiTaskNetwork) -> dict[str, float | None]:
        rows = self.split.validation
        labels = rows.annotations.only([task.name for task in self.tasks])
        given = _kept(network, rows.inputs, labels)
        return {
            task.name: evaluate(task, given[task.name], labels.labels[task.name])[main_metric(task)]
            for task in self.tasks
        }


def train_fits(
    fits: Sequence[Fit], folder: Path | None, progress: bool, watch: Watch | None
) -> list[MultiTaskNetwork]:
    """Train the networks of a method and return them.

    Small networks of one shape, batch size and number of steps are trained together, each on its
    own batches: up to rounding the same as one after the other, in about two thirds of the time.

    Args:
        fits: the networks to train, of one split.
        folder: for checkpoints and logs; None = nowhere.
        progress: show a bar over the steps.
        watch: called at every evaluation on the validation rows.
    """
    trained: dict[int, MultiTaskNetwork] = {}
    for places in _groups(fits):
        group = [fits[i] for i in places]
        networks = _together(group, folder and folder / f"networks{places[0]}", progress)
        if networks is None:
            networks = [
                fit.train(folder and folder / f"network{i}", progress, watch)
                for i, fit in zip(places, group, strict=True)
            ]
        trained |= dict(zip(places, networks, strict=True))
    return [trained[i] for i in range(len(fits))]


def _groups(fits: Sequence[Fit]) -> Iterator[list[int]]:
    """Give the places of those that could be trained together."""
    groups: dict[object, list[int]] = {}
    for i, fit in enumerate(fits):
        alike = (fit.sampler.batch_size, fit.steps())
        groups.setdefault(alike if _separable(fit) else i, []).append(i)
    yield from groups.values()


def _separable(fit: Fit) -> bool:
    """Return whether a network needs nothing but its own batches and losses."""
    training = fit.config.training
    one_rate = training.backbone_rate == training.layer_decay == 1
    alone = len(fit.tasks) == 1 and not fit.teachers and fit.shift is None
    return alone and one_rate and fit.validate is None


def _together(
    fits: Sequence[Fit], folder: Path | None, progress: bool
) -> list[MultiTaskNetwork] | None:
    if len(fits) == 1:
        return None
    trainer = fits[0].trainer("training", folder, progress)
    if not adds_nothing(trainer.fabric):
        return None
    made = [fit.network() for fit in fits]
    # a larger step is all arithmetic, and as many such networks would take much memory
    work = sum(weight.numel() for weight in made[0].parameters()) * fits[0].sampler.batch_size
    networks = SideBySide.of(made) if work < SMALL_STEP else None
    if networks is None:
        return None
    objective = Objective(
        networks.tasks,
        losses=fits[0].losses,
        shares={name: share for fit in fits for name, share in fit.training.items()},
    )
    batches = SeparateBatches(
        fits[0].split.train.inputs,
        fits[0].labels,
        [fit.sampler for fit in fits],
        [[task.name for task in fit.tasks] for fit in fits],
        trainer.fabric.device,
    )
    trainer.fit(networks, objective, batches, fits[0].steps())
    return networks.separate()
