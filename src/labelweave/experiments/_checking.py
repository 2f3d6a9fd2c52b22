"""What is found before any training: what would stop a run, and what its batches are mixed of."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from labelweave._messages import Message
from labelweave._shapes import Shape
from labelweave.balancing import sampler, sampling, weighting
from labelweave.class_priors import assumed_prior
from labelweave.data import BatchShares
from labelweave.errors import LabelweaveError, listing
from labelweave.experiments._config import StudyConfig
from labelweave.fitting._fit import PREDICTION
from labelweave.fitting._split import Split
from labelweave.losses import Objective
from labelweave.networks import backbone, described, family_of
from labelweave.tasks import Binary, Task
from labelweave.training import Trainer, TrainingConfig, augmentation


def check_split(split: Split, config: StudyConfig) -> None:
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
    Trainer(config.training)
    augmentation(config.training.augment, split.seed)
    check_backbone(config, split)


def check_backbone(config: StudyConfig, split: Split) -> None:
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


FEW_GROUPS = 10


def notes(splits: Sequence[Split]) -> list[str]:
    """Return every split's notes once, with the seeds where not all splits have it.

    Besides, whether there are too few seeds or groups of test rows for intervals to say much.
    """
    seeds: dict[str, list[int]] = {}
    for split in splits:
        for note in split.notes:
            seeds.setdefault(note, []).append(split.seed)
    found: list[str] = []
    if len(splits) == 1:
        found.append(Message("note.one_seed"))
    groups = len(np.unique(np.concatenate([split.test.groups for split in splits])))
    if 0 < groups < FEW_GROUPS:
        found.append(Message("note.few_groups", groups=groups))
    return found + [
        note
        if len(where) == len(splits)
        else Message("note.of_seeds", note=note, seeds=", ".join(map(str, where)))
        for note, where in seeds.items()
    ]


def description(
    config: StudyConfig, tasks: Sequence[Task], methods: Sequence[str], splits: Sequence[Split]
) -> list[Any]:
    """Return lines and tables to print: tasks, coverage, rows, relations, methods, seeds, notes."""
    split = splits[0]
    coverage = split.coverage()
    lines: list[Any] = [f"study {config.name}", ""]
    for task in tasks:
        kind = "binary" if isinstance(task, Binary) else task.kind
        names = "" if kind == "binary" else f", {listing(task.names, 12)}"
        lines.append(f"task {task.name}: {kind}{names}")
    lines += ["", "Training rows and their labels (first seed):", coverage]
    lines += [
        f"rows: {len(split.train.index)} training, {len(split.validation.index)} validation, "
        f"{len(split.test.index)} test; inputs: {_inputs(split)}"
    ]
    lines += [*coverage.partial_lines(), *coverage.shared_lines()]
    (how, _), shares = sampling(config.training.sampling), batch_shares(split, config.training)
    lines += ["", f"A batch of {shares.batch_size} rows, sampling {how}:", shares]
    for relation in split.relations:
        known = int(relation.mask.sum())
        lines.append(
            f"relation {relation.name}: {relation.origin}, {known} of {relation.mask.size} "
            "entries known"
        )
    assumed = assumed_prior(config.label_shift.prediction, tasks)
    lines += [f"prior that predictions assume: {assumed}"]
    lines += ["methods: " + ", ".join(methods)]
    lines += [f"seeds: {', '.join(str(f.seed) for f in splits)}"]
    lines += [f"note: {note}" for note in notes(splits)]
    return lines


def _inputs(split: Split) -> str:
    shape = split.encoder.shape_
    return str(shape) if isinstance(shape, int) else described(shape)
