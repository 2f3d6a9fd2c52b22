"""The relatedness of a fold's tasks, from its uncoupled multi-task run."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelweave.model import Model
from labelweave.relations import AnyRelation, NoisyOr, Origin, Relatedness, confusion_counts, relate
from labelweave.study.arms import UNCOUPLED, find_arm
from labelweave.study.config import StudyConfig
from labelweave.study.fitting import fit_arm
from labelweave.study.fold import Fold
from labelweave.study.kept_out import kept_out
from labelweave.study.loading import StudyData
from labelweave.study.runs import Run


def relate_fold(
    fold: Fold,
    base: Run,
    data: StudyData,
    config: StudyConfig,
    origins: Sequence[Origin],
    *,
    noise: bool = False,
) -> dict[Origin, Relatedness]:
    """Return by origin the relatedness of the tasks, estimated on a fold's training rows.

    Args:
        fold: the data of one seed.
        base: its finished run of the arm ``multi_task``.
        data: the study's data.
        config: the study's settings.
        origins: which evidence enters the tables.
        noise: estimate how labels err, too.
    """
    if not origins:
        return {}
    model = Model.load(base.folder / "model")
    predictions = model.probabilities(fold.train.inputs)
    confusion = _confusion(fold, model, config)
    return {
        origin: relate(
            fold.train.annotations,
            predictions,
            data.pairs,
            knowledge=data.known,
            origin=origin,
            strength=config.relatedness.strength,
            sources=fold.source,
            groups=fold.train.groups,
            confusion=confusion,
            noise=noise,
            seed=fold.seed,
        )
        for origin in origins
    }


def with_relations(fold: Fold, related: Relatedness, *, noise: bool = False) -> Fold:
    """Return the fold with the relations that have evidence, in place of those given.

    With `noise` they are those of clean labels, and the noise is part of the fold.
    """
    if noise and related.noise is not None:
        relations: list[AnyRelation] = list(related.noise.relations)
        relations += [r for r in related.relations if isinstance(r, NoisyOr)]
        return replace(fold, relations=tuple(relations), noise=related.noise.found)
    return replace(fold, relations=related.relations)


def _confusion(
    fold: Fold, model: Model, config: StudyConfig
) -> dict[str, NDArray[np.float64]] | None:
    """Return how the uncoupled network errs on rows kept out of its training, if there are any."""
    if len(fold.validation.index):
        given = model.probabilities(fold.validation.inputs)
        return confusion_counts(fold.validation.annotations, given)
    if not config.relatedness.folds:
        return None
    counts: dict[str, NDArray[np.float64]] = {}
    for inner, _ in kept_out(fold, config.relatedness.folds):
        inner_model = fit_arm(find_arm(UNCOUPLED), inner, config, None).model
        assert inner_model is not None  # a joint network
        given = inner_model.probabilities(inner.test.inputs)
        for name, found in confusion_counts(inner.test.annotations, given).items():
            counts[name] = counts.get(name, 0.0) + found
    return counts
