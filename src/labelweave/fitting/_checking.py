"""What is found before any training: whatever would stop every run on a split.

PyTorch takes seconds to load, so it is loaded only for settings that it alone can check.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from labelweave._shapes import Shape
from labelweave.balancing._sampling import sampler
from labelweave.balancing._weighting import check_weighting
from labelweave.class_priors import PREDICTION, assumed_prior
from labelweave.data._batch_shares import BatchShares
from labelweave.errors import LabelweaveError
from labelweave.fitting._config import FitConfig
from labelweave.fitting._split import Split
from labelweave.losses._registry import check_relations
from labelweave.networks._backbones import backbone, family_of
from labelweave.training._config import TrainingConfig


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
        check_weighting(training.weighting, [task.name for task in labels.tasks])
        batch_shares(split, training)
    config.check_couplings(lambda options: _check_couplings(split, options))
    if not config.training.plain:
        from labelweave.training._device import check_device

        check_device(config.training)
    if config.training.augment is not None:
        from labelweave.training._augmentation import augmentation

        augmentation(config.training.augment, split.seed)
    check_backbone(config, split)


def _check_couplings(split: Split, couplings: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `LabelweaveError` where an objective with these options cannot be made."""
    tasks = split.train.annotations.tasks
    if couplings:
        check_relations(split.relations, tasks)
    if any(couplings.values()):  # the defaults fit all tasks
        from labelweave.losses import Objective

        Objective(tasks, split.relations, couplings)


def check_backbone(config: FitConfig, split: Split) -> None:
    """Raise `LabelweaveError` where a backbone that is read from elsewhere cannot be built."""
    if family_of(config.network.backbone) is not None:
        options = json.dumps(config.network.options(), sort_keys=True, default=str)
        _check_built(config.network.backbone, options, split.encoder.shape_)


@lru_cache(maxsize=4)  # asked for every seed
def _check_built(name: str, options: str, inputs: Shape) -> None:
    import torch

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
