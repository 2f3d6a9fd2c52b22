"""The relatedness of a split's tasks, from its uncoupled multi-task run; found once, and kept."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from labelweave._files import make_folder, replacing
from labelweave.data import Collection
from labelweave.errors import TrainingError
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._executor import side_by_side
from labelweave.experiments._runs import Run
from labelweave.fitting._fit import fit_method
from labelweave.fitting._methods import UNCOUPLED, find_method
from labelweave.fitting._split import Split, content_hash, held_out, relations_hash
from labelweave.model import Model
from labelweave.relations import (
    AnyRelation,
    HeldOut,
    NoisyOr,
    Origin,
    Relatedness,
    load_relatedness,
    relate,
    save_relatedness,
)

TASK = "task/"
Predictions = dict[str, NDArray[np.float32]]


def held_out_predictions(
    split: Split, base: Run | None, model: Model, config: StudyConfig
) -> HeldOut | None:
    """Return rows that the uncoupled network was not trained on, if there are any.

    Validation rows, or training rows that networks of their own have not seen.

    Args:
        split: the data of one seed.
        base: its finished run of the method ``multi_task``, which keeps them; None = not kept.
        model: that run's model.
        config: the study's settings.
    """
    if len(split.validation.index):
        annotations = split.validation.annotations
        return HeldOut(annotations, model.drawn_probabilities(split.validation.inputs))
    parts = config.relatedness.folds
    if not parts:
        return None
    # all that they depend on is in the run's key
    path = None
    if base is not None:
        path = base.folder.parent.parent / "held_out" / f"{base.key}-{parts}.safetensors"
    return HeldOut(split.train.annotations, _read(path) or _trained(split, config, parts, path))


def _read(path: Path | None) -> Predictions | None:
    if path is None or not path.exists():
        return None
    try:
        return {name.removeprefix(TASK): p for name, p in load_file(path).items()}
    except SafetensorError:  # damaged from outside: made anew
        return None


def _trained(split: Split, config: StudyConfig, parts: int, path: Path | None) -> Predictions:
    """Return what networks say of the training rows that they have not seen; kept in a file."""
    annotations, n = split.train.annotations, len(split.train.index)
    predictions = {task.name: np.zeros((n, task.width), np.float32) for task in annotations.tasks}
    # as many passes over the rows as over all of them
    steps = max(1, round(config.training.total_steps(n) * (parts - 1) / parts))
    training = config.training.model_copy(update={"steps": steps, "epochs": None})
    shorter = config.model_copy(update={"training": training})
    for inner, out in held_out(split, parts):
        inner_model = fit_method(find_method(UNCOUPLED), inner, shorter, None).model
        assert inner_model is not None  # a joint network
        for name, given in inner_model.drawn_probabilities(inner.test.inputs).items():
            predictions[name][out] = given
    if path is None:
        return predictions
    make_folder(path.parent)
    with replacing(path) as temporary:
        # safetensors' own writing has errors of its own for a full disk
        temporary.write_bytes(save({f"{TASK}{name}": p for name, p in predictions.items()}))
    return predictions


FORMAT = 1  # part of every kept relatedness' name: raised when what is found changes
Pairs = Sequence[tuple[str, str]] | None
Found = dict[Origin, Relatedness]


def relate_splits(
    splits: Sequence[Split],
    bases: Sequence[Run],
    origins: Sequence[Sequence[Origin]],
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    *,
    noise: bool = False,
    jobs: int | None = None,
) -> Iterator[tuple[int, Found]]:
    """Give the number of every split and its relatedness, each made in a process of its own.

    What was kept comes first; only what is not there is looked for.

    Args:
        splits: the data of every seed.
        bases: their finished runs of the method ``multi_task``.
        origins: of every split, which evidence enters the tables.
        pairs: see `relate_split`, as the rest.
        known: an expert's relations.
        config: the study's settings.
        noise: estimate how labels err, too.
        jobs: processes side by side; None = one a core.

    Raises:
        TrainingError: the system killed processes again and again.
    """
    waiting: list[int] = []
    for number, (split, base, wanted) in enumerate(zip(splits, bases, origins, strict=True)):
        paths = _paths(split, base, pairs, known, config, wanted, noise)
        kept = {origin: load_relatedness(path) for origin, path in paths.items()}
        found = {origin: each for origin, each in kept.items() if each is not None}
        if len(found) == len(paths):
            yield number, found
        else:
            waiting.append(number)
    given = [(splits[i], bases[i], pairs, known, config, origins[i], noise) for i in waiting]
    told = f"study '{config.name}': {{}}; the relations of {{}} seeds"
    try:
        for number, found in side_by_side(relate_split, given, jobs, told):
            yield waiting[number], found
    except TrainingError as error:
        raise TrainingError(f"relations: {error}") from None


def relate_split(
    split: Split,
    base: Run,
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    origins: Sequence[Origin],
    noise: bool = False,
) -> Found:
    """Return by origin the relatedness of the tasks, estimated on a split's training rows.

    Args:
        split: the data of one seed.
        base: its finished run of the method ``multi_task``.
        pairs: the (source, target) pairs to look at; None = every pair.
        known: an expert's relations.
        config: the study's settings.
        origins: which evidence enters the tables.
        noise: estimate how labels err, too.
    """
    paths = _paths(split, base, pairs, known, config, origins, noise)
    kept = {origin: load_relatedness(path) for origin, path in paths.items()}
    found: Found = {origin: each for origin, each in kept.items() if each is not None}
    if len(found) == len(paths):
        return found
    model = Model.load(base.folder / "model")
    missing = [origin for origin in origins if origin not in found]
    for origin, each in relate_by(
        split, model, pairs, known, config, missing, noise=noise, base=base
    ).items():
        found[origin] = each
        save_relatedness(each, paths[origin])
    return {origin: found[origin] for origin in origins}


def relate_by(
    split: Split,
    model: Model,
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    origins: Sequence[Origin],
    *,
    noise: bool = False,
    base: Run | None = None,
) -> Found:
    """Return by origin the relatedness of the tasks by an uncoupled model of the split.

    Args:
        split: the data of one seed.
        model: the network for all tasks, trained on them.
        pairs: see `relate_split`, as the rest.
        known: an expert's relations.
        config: the study's settings.
        origins: which evidence enters the tables.
        noise: estimate how labels err, too.
        base: the model's run; None = it has none, and nothing is kept.
    """
    predictions = model.drawn_probabilities(split.train.inputs)
    rows = held_out_predictions(split, base, model, config)
    return {
        origin: relate(
            split.train.annotations,
            predictions,
            pairs,
            knowledge=known,
            origin=origin,
            strength=config.relatedness.strength,
            sources=split.source,
            groups=split.train.groups,
            held_out=rows,
            noise=noise,
            seed=split.seed,
        )
        for origin in origins
    }


def with_relations(split: Split, related: Relatedness, *, noise: bool = False) -> Split:
    """Return the split with the relations that have evidence, in place of those given.

    With `noise` they are those of clean labels, and the noise is part of the split.
    """
    if noise and related.noise is not None:
        relations: list[AnyRelation] = list(related.noise.relations)
        relations += [r for r in related.relations if isinstance(r, NoisyOr)]
        return replace(
            split, relations=tuple(relations), noise=related.noise.found, needs=related.needs
        )
    return replace(split, relations=related.relations, needs=related.needs)


def _paths(
    split: Split,
    base: Run,
    pairs: Pairs,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    origins: Sequence[Origin],
    noise: bool,
) -> dict[Origin, Path]:
    """Return by origin where the relatedness is kept, named by all that it depends on."""
    settings = repr((FORMAT, base.key, pairs, config.relatedness.strength, noise))
    splits = config.relatedness.folds
    groups = content_hash([split.train.groups])
    content = f"{settings} {splits} {groups} {relations_hash(known)}"
    folder = base.folder.parent.parent / "relatedness"
    return {
        origin: folder
        / f"{origin}-seed{split.seed}-{content_hash([content.encode()])[:12]}.safetensors"
        for origin in origins
    }


COLUMNS = ["source", "row", "task", "label", "found", "likely", "probability", "seeds"]


def mislabelled_table(
    collection: Collection, splits: Sequence[Split], related: Iterable[Sequence[Relatedness]]
) -> pd.DataFrame:
    """Return every label that is likely wrong, the likeliest first.

    Columns: source and row of the user's file (1 = the first below the header); task, label (of a
    multilabel task) and what was found; the likeliest other label; the probability that the label
    found is wrong, a mean over the seeds that name it, and their number. No input is in it.

    Args:
        collection: all rows.
        splits: one a seed.
        related: per evidence what was found on each split.
    """
    named = [
        (int(split.train.index[each.row]), split.seed, *list(vars(each).values())[1:])
        for by_seed in related
        for split, found in zip(splits, by_seed, strict=True)
        for each in (found.noise.mislabelled if found.noise else ())
    ]
    key = ["place", "task", "label", "found"]
    frame = pd.DataFrame(
        named, columns=["place", "seed", "task", "label", "found", "likely", "probability"]
    )
    frame = frame.sort_values("probability", ascending=False, kind="stable")
    merged = frame.groupby(key, sort=False, as_index=False).agg(
        likely=("likely", "first"), probability=("probability", "mean"), seeds=("seed", "nunique")
    )
    places = merged["place"].to_numpy(np.int64)
    source = collection.source[places]
    merged["source"] = np.array(collection.names, dtype=object)[source]
    merged["row"] = collection.numbers[places]
    order = ["probability", "seeds"]
    return merged.sort_values(order, ascending=False, kind="stable")[COLUMNS].reset_index(drop=True)


def write_mislabelled(table: pd.DataFrame, folder: Path) -> Path:
    """Write ``mislabelled.csv`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mislabelled.csv"
    with replacing(path) as temporary:
        table.round({"probability": 4}).to_csv(temporary, index=False)
    return path
