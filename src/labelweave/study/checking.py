"""What is found before any training: what would stop a run, and what its batches are mixed of."""

import json
from functools import lru_cache

import numpy as np
import torch

from labelweave.balancing import sampler, weighting
from labelweave.data import BatchShares
from labelweave.errors import LabelweaveError
from labelweave.losses import Objective
from labelweave.networks import backbone, family_of
from labelweave.priors import assumed_prior
from labelweave.shapes import Shape
from labelweave.study.config import StudyConfig
from labelweave.study.fitting import PREDICTION
from labelweave.study.fold import Fold
from labelweave.training import Trainer, TrainingConfig, augmentation


def check_fold(fold: Fold, config: StudyConfig) -> None:
    """Find before any training what would stop every run on a fold.

    Raises:
        LabelweaveError: a task without a training label, options that a coupling does not know,
            a weight of a task that is not there, a prior that does not fit the tasks,
            early stopping without validation rows, or a device that is not there.
    """
    labels = fold.train.annotations
    for task in labels.tasks:
        if not labels.labelled(task.name).any():
            raise LabelweaveError(
                f"task '{task.name}': no training row carries its label (seed {fold.seed})"
            )
    if config.training.patience is not None and not len(fold.validation.index):
        raise LabelweaveError(
            "early stopping (patience) needs validation rows, found none; set their number or share"
        )
    assumed_prior(config.label_shift.prediction, labels.tasks, PREDICTION)
    for training in config.trainings():
        found, options = weighting(training.weighting)
        found.make([task.name for task in labels.tasks], options)
        batch_shares(fold, training)
    config.check_couplings(lambda options: Objective(labels.tasks, fold.relations, options))
    Trainer(config.training)
    augmentation(config.training.augment, fold.seed)
    check_backbone(config, fold)


def check_backbone(config: StudyConfig, fold: Fold) -> None:
    """Raise `LabelweaveError` where a backbone that is read from elsewhere cannot be built."""
    if family_of(config.network.backbone) is not None:
        options = json.dumps(config.network.options(), sort_keys=True, default=str)
        _check_built(config.network.backbone, options, fold.encoder.shape_)


@lru_cache(maxsize=4)  # asked for every seed
def _check_built(name: str, options: str, inputs: Shape) -> None:
    with torch.random.fork_rng():
        backbone(name, inputs, **json.loads(options))


def batch_shares(fold: Fold, training: TrainingConfig) -> BatchShares:
    """Return what the batches of a joint network are mixed of.

    Raises:
        LabelweaveError: a task whose classes are to be drawn equally often has none, or is unknown.
    """
    labels, names = fold.train.annotations, fold.source_names
    sources = [np.flatnonzero(fold.source == i) for i in range(len(names))]
    mixture = sampler(training.sampling, sources, training.batch_size, fold.seed, labels)
    return BatchShares(labels, fold.source, names, mixture, mixture.batch_size)
