"""The relatedness of a fold's tasks, from its uncoupled multi-task run; found once, and kept."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from labelweave.errors import TrainingError
from labelweave.model import Model
from labelweave.relations import (
    AnyRelation,
    NoisyOr,
    Origin,
    Relatedness,
    load_relatedness,
    relate,
    save_relatedness,
)
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold, content_hash, relations_hash
from labelweave.study.kept_out_predictions import kept_out_predictions
from labelweave.study.runs import Run
from labelweave.study.workers import side_by_side

FORMAT = 1  # part of every kept relatedness' name: raised when what is found changes
Pairs = Sequence[tuple[str, str]] | None
Found = dict[Origin, Relatedness]


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
) -> Iterator[tuple[int, Found]]:
    """Give the number of every fold and its relatedness, each made in a process of its own.

    What was kept comes first; only what is not there is looked for.

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
        TrainingError: the system killed processes again and again.
    """
    waiting: list[int] = []
    for number, (fold, base, wanted) in enumerate(zip(folds, bases, origins, strict=True)):
        paths = _paths(fold, base, pairs, known, config, wanted, noise)
        kept = {origin: load_relatedness(path) for origin, path in paths.items()}
        found = {origin: each for origin, each in kept.items() if each is not None}
        if len(found) == len(paths):
            yield number, found
        else:
            waiting.append(number)
    given = [(folds[i], bases[i], pairs, known, config, origins[i], noise) for i in waiting]
    told = f"study '{config.name}': {{}}; the relations of {{}} seeds"
    try:
        for number, found in side_by_side(relate_fold, given, jobs, told):
            yield waiting[number], found
    except TrainingError as error:
        raise TrainingError(f"relations: {error}") from None


def relate_fold(
    fold: Fold,
    base: Run,
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    origins: Sequence[Origin],
    noise: bool = False,
) -> Found:
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
    paths = _paths(fold, base, pairs, known, config, origins, noise)
    kept = {origin: load_relatedness(path) for origin, path in paths.items()}
    found: Found = {origin: each for origin, each in kept.items() if each is not None}
    if len(found) == len(paths):
        return found
    model = Model.load(base.folder / "model")
    missing = [origin for origin in origins if origin not in found]
    for origin, each in relate_by(
        fold, model, pairs, known, config, missing, noise=noise, base=base
    ).items():
        found[origin] = each
        save_relatedness(each, paths[origin])
    return {origin: found[origin] for origin in origins}


def relate_by(
    fold: Fold,
    model: Model,
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    origins: Sequence[Origin],
    *,
    noise: bool = False,
    base: Run | None = None,
) -> Found:
    """Return by origin the relatedness of the tasks by an uncoupled model of the fold.

    Args:
        fold: the data of one seed.
        model: the network for all tasks, trained on them.
        pairs: see `relate_fold`, as the rest.
        known: an expert's relations.
        config: the study's settings.
        origins: which evidence enters the tables.
        noise: estimate how labels err, too.
        base: the model's run; None = it has none, and nothing is kept.
    """
    predictions = model.drawn_probabilities(fold.train.inputs)
    rows = kept_out_predictions(fold, base, model, config)
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


def _paths(
    fold: Fold,
    base: Run,
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    origins: Sequence[Origin],
    noise: bool,
) -> dict[Origin, Path]:
    """Return by origin where the relatedness is kept, named by all that it depends on."""
    settings = repr((FORMAT, base.key, pairs, config.relatedness.strength, noise))
    folds = config.relatedness.folds
    groups = content_hash([fold.train.groups])
    content = f"{settings} {folds} {groups} {relations_hash(known)}"
    folder = base.folder.parent.parent / "relatedness"
    return {
        origin: folder
        / f"{origin}-seed{fold.seed}-{content_hash([content.encode()])[:12]}.safetensors"
        for origin in origins
    }
