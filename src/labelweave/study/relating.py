"""The relatedness of a fold's tasks, from its uncoupled multi-task run."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from labelweave.model import Model
from labelweave.relations import AnyRelation, KeptOut, NoisyOr, Origin, Relatedness, relate
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
    rows = _kept_out(fold, model, config)
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
            kept_out=rows,
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
        return replace(
            fold, relations=tuple(relations), noise=related.noise.found, needs=related.needs
        )
    return replace(fold, relations=related.relations, needs=related.needs)


def _kept_out(fold: Fold, model: Model, config: StudyConfig) -> KeptOut | None:
    """Return rows that the uncoupled network was not trained on, if there are any."""
    if len(fold.validation.index):
        annotations = fold.validation.annotations
        return KeptOut(annotations, model.probabilities(fold.validation.inputs))
    parts = config.relatedness.folds
    if not parts:
        return None
    annotations, n = fold.train.annotations, len(fold.train.index)
    predictions = {task.name: np.zeros((n, task.width), np.float32) for task in annotations.tasks}
    # as many passes over the rows as over all of them
    steps = max(1, round(config.training.total_steps(n) * (parts - 1) / parts))
    training = config.training.model_copy(update={"steps": steps, "epochs": None})
    shorter = config.model_copy(update={"training": training})
    for inner, out in kept_out(fold, parts):
        inner_model = fit_arm(find_arm(UNCOUPLED), inner, shorter, None).model
        assert inner_model is not None  # a joint network
        for name, given in inner_model.probabilities(inner.test.inputs).items():
            predictions[name][out] = given
    return KeptOut(annotations, predictions)
