"""The relatedness of a fold's tasks, from its uncoupled multi-task run."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from labelweave.errors import TrainingError
from labelweave.files import make_folder, replacing
from labelweave.model import Model
from labelweave.relations import AnyRelation, KeptOut, NoisyOr, Origin, Relatedness, relate
from labelweave.study.arms import UNCOUPLED, find_arm
from labelweave.study.config import StudyConfig
from labelweave.study.fitting import fit_arm
from labelweave.study.fold import Fold
from labelweave.study.kept_out import kept_out
from labelweave.study.orphan import end_with
from labelweave.study.pool import KILLED
from labelweave.study.runs import Run

TASK = "task/"
Pairs = Sequence[tuple[str, str]] | None
Predictions = dict[str, NDArray[np.float32]]


def relate_folds(
    folds: Sequence[Fold],
    bases: Sequence[Run],
    origins: Sequence[Sequence[Origin]],
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    *,
    noise: bool = False,
    jobs: int | None = None,
) -> Iterator[dict[Origin, Relatedness]]:
    """Give the relatedness of every fold, in order, each made in a process of its own.

    Args:
        folds: the data of every seed.
        bases: their finished runs of the arm ``multi_task``.
        origins: of every fold, which evidence enters the tables.
        pairs: see `relate_fold`, as the rest.
        known: an expert's relations.
        config: the study's settings.
        noise: estimate how labels err, too.
        jobs: processes side by side; None = one a core.

    Raises:
        TrainingError: the system killed a process.
    """
    workers = max(1, min(jobs or cpu_count(), len(folds)))
    parallel = Parallel(
        n_jobs=workers,
        return_as="generator",
        inner_max_num_threads=1 if workers > 1 else None,
        backend="loky",
    )
    parent = os.getpid()

    def relate_here(*given: Any) -> dict[Origin, Relatedness]:
        end_with(parent)
        return relate_fold(*given, noise=noise)

    try:
        yield from parallel(
            delayed(relate_here)(fold, base, pairs, known, config, wanted)
            for fold, base, wanted in zip(folds, bases, origins, strict=True)
        )
    except BrokenProcessPool:
        raise TrainingError(f"relations: {KILLED}") from None


def relate_fold(
    fold: Fold,
    base: Run,
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    origins: Sequence[Origin],
    *,
    noise: bool = False,
) -> dict[Origin, Relatedness]:
    """Return by origin the relatedness of the tasks, estimated on a fold's training rows.

    Args:
        fold: the data of one seed.
        base: its finished run of the arm ``multi_task``.
        pairs: the (source, target) pairs to look at; None = every pair.
        known: an expert's relations.
        config: the study's settings.
        origins: which evidence enters the tables.
        noise: estimate how labels err, too.
    """
    if not origins:
        return {}
    model = Model.load(base.folder / "model")
    predictions = model.drawn_probabilities(fold.train.inputs)
    rows = _kept_out(fold, base, model, config)
    return {
        origin: relate(
            fold.train.annotations,
            predictions,
            pairs,
            knowledge=known,
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


def _kept_out(fold: Fold, base: Run, model: Model, config: StudyConfig) -> KeptOut | None:
    """Return rows that the uncoupled network was not trained on, if there are any."""
    if len(fold.validation.index):
        annotations = fold.validation.annotations
        return KeptOut(annotations, model.drawn_probabilities(fold.validation.inputs))
    parts = config.relatedness.folds
    if not parts:
        return None
    # all that they depend on is in the run's key
    path = base.folder.parent.parent / "kept_out" / f"{base.key}-{parts}.safetensors"
    return KeptOut(fold.train.annotations, _read(path) or _trained(fold, config, parts, path))


def _read(path: Path) -> Predictions | None:
    if not path.exists():
        return None
    try:
        return {name.removeprefix(TASK): p for name, p in load_file(path).items()}
    except SafetensorError:  # damaged from outside: made anew
        return None


def _trained(fold: Fold, config: StudyConfig, parts: int, path: Path) -> Predictions:
    """Return what networks say of the training rows that they have not seen, and keep it."""
    annotations, n = fold.train.annotations, len(fold.train.index)
    predictions = {task.name: np.zeros((n, task.width), np.float32) for task in annotations.tasks}
    # as many passes over the rows as over all of them
    steps = max(1, round(config.training.total_steps(n) * (parts - 1) / parts))
    training = config.training.model_copy(update={"steps": steps, "epochs": None})
    shorter = config.model_copy(update={"training": training})
    for inner, out in kept_out(fold, parts):
        inner_model = fit_arm(find_arm(UNCOUPLED), inner, shorter, None).model
        assert inner_model is not None  # a joint network
        for name, given in inner_model.drawn_probabilities(inner.test.inputs).items():
            predictions[name][out] = given
    make_folder(path.parent)
    with replacing(path) as temporary:
        # safetensors' own writing has errors of its own for a full disk
        temporary.write_bytes(save({f"{TASK}{name}": p for name, p in predictions.items()}))
    return predictions
