"""What is found before any training: whatever would stop every run on a split."""

import json
from functools import lru_cache

import numpy as np
import torch

from labelweave._shapes import Shape
from labelweave.balancing import sampler, weighting
from labelweave.class_priors import assumed_prior
from labelweave.data._batches import BatchShares
from labelweave.errors import LabelweaveError
from labelweave.fitting._config import FitConfig
from labelweave.fitting._fit import PREDICTION
from labelweave.fitting._split import Split
from labelweave.losses import Objective
from labelweave.networks import backbone
from labelweave.networks._backbones import family_of
from labelweave.training import TrainingConfig
from labelweave.training._augmentation import augmentation
from labelweave.training._device import check_device


def check_split(split: Split, config: FitConfig) -> None:
    """Find before any training what would stop every run on a split.

    Raises:
        LabelweaveError: a task without a training label, options that a coupling does not know,
            a weight of a task that is not there, a prior that does not fit the tasks,
            early stopping without validation rows, or a device that is not there.
    """
    labels = split.train.annotations
    for task in labels.tasks:
        if not labels.labelled(task.name).any():
            raise LabelweaveError(
                f"task '{task.name}': no training row carries its label (seed {split.seed})"
            )
    if config.training.patience is not None and not len(split.validation.index):
        raise LabelweaveError(
            "early stopping (patience) needs validation rows, found none; set their number or share"
        )
    assumed_prior(config.label_shift.prediction, labels.tasks, PREDICTION)
    for training in config.trainings():
        found, options = weighting(training.weighting)
        found.make([task.name for task in labels.tasks], options)
        batch_shares(split, training)
    config.check_couplings(lambda options: Objective(labels.tasks, split.relations, options))
    check_device(config.training)
    augmentation(config.training.augment, split.seed)
    check_backbone(config, split)


def check_backbone(config: FitConfig, split: Split) -> None:
    """Raise `LabelweaveError` where a backbone that is read from elsewhere cannot be built."""
    if family_of(config.network.backbone) is not None:
        options = json.dumps(config.network.options(), sort_keys=True, default=str)
        _check_built(config.network.backbone, options, split.encoder.shape_)


@lru_cache(maxsize=4)  # asked for every seed
def _check_built(name: str, options: str, inputs: Shape) -> None:
    with torch.random.fork_rng():
        backbone(name, inputs, **json.loads(options))


def batch_shares(split: Split, training: TrainingConfig) -> BatchShares:
    """Return what the batches of a joint network are mixed of.

    Raises:
        LabelweaveError: a task whose classes are to be drawn equally often has none, or is unknown.
    """
    labels, names = split.train.annotations, split.source_names
    sources = [np.flatnonzero(split.source == i) for i in range(len(names))]
    mixture = sampler(training.sampling, sources, training.batch_size, split.seed, labels)
    return BatchShares(labels, split.source, names, mixture, mixture.batch_size)
