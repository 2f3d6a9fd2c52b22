"""How the tasks of a split relate, estimated by an uncoupled model."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data import Collection
from labelweave.fitting._config import FitConfig
from labelweave.fitting._fit import fit
from labelweave.fitting._methods import METHODS, UNCOUPLED, Method
from labelweave.fitting._split import Rows, Split, held_out, some_rows
from labelweave.model import Model
from labelweave.relations import AnyRelation, HeldOut, NoisyOr, Relatedness, relate
from labelweave.relations._relate import Estimates, Origin
from labelweave.tasks import Multiclass

Predictions = dict[str, NDArray[np.float32]]
Pairs = Sequence[tuple[str, str]] | None
ByOrigin = dict[Origin, Relatedness]
STREAM = 13  # separate random numbers, not those of the split


@dataclass(frozen=True)
class RelationQuery:
    """What is asked about the relations of tasks.

    Attributes:
        pairs: the (source, target) pairs to look at; None = every pair.
        known: an expert's relations.
        noise: estimate how labels err, too.
    """

    pairs: Pairs = None
    known: Sequence[AnyRelation] = ()
    noise: bool = False


def relate_split(
    split: Split,
    model: Model,
    config: FitConfig,
    origins: Sequence[Origin],
    query: RelationQuery,
    *,
    out_of_fold: Callable[[], Predictions] | None = None,
) -> ByOrigin:
    """Return by origin the relatedness of the tasks by an uncoupled model of the split.

    Args:
        split: the data of one seed.
        model: the network for all tasks, trained on them without coupling.
        config: the settings.
        origins: which evidence enters the tables.
        query: what is asked.
        out_of_fold: gives predictions of the training rows by networks that have not seen them;
            None = `out_of_fold_predictions`.
    """
    train, source = split.train, split.source
    if (chosen := rows_to_relate(train, split.seed)) is not None:
        train, source = some_rows(train, chosen), source[chosen]
    predictions = model.drawn_probabilities(train.inputs)
    rows = None
    if len(split.validation.index):
        held = split.validation
        if (some := rows_to_relate(held, split.seed)) is not None:
            held = some_rows(held, some)
        rows = HeldOut(held.annotations, model.drawn_probabilities(held.inputs))
    elif config.relatedness.folds:
        found = out_of_fold() if out_of_fold else out_of_fold_predictions(split, config)
        rows = HeldOut(train.annotations, found)
    shared: Estimates = {}
    related = {
        origin: relate(
            train.annotations,
            predictions,
            query.pairs,
            knowledge=query.known,
            origin=origin,
            strength=config.relatedness.strength,
            sources=source,
            groups=train.groups,
            held_out=rows,
            noise=query.noise,
            seed=split.seed,
            shared=shared,
        )
        for origin in origins
    }
    return related if chosen is None else {o: _of_all(r, chosen) for o, r in related.items()}


# predicted probabilities held at a time, rows x classes of all tasks: 0.8 GB in double precision
CELLS, LEAST_ROWS = 100_000_000, 1_000


def rows_to_relate(rows: Rows, seed: int) -> NDArray[np.int64] | None:
    """Return the rows that relations are estimated on and judged by; None = all.

    With very many classes, as many rows as 10^8 probabilities allow, drawn at random: 9,800 rows
    of 10,000 classes and 200 other columns.
    """
    width = sum(task.width for task in rows.annotations.tasks)
    most = max(LEAST_ROWS, CELLS // width)
    if len(rows.index) <= most:
        return None
    rng = np.random.default_rng([seed, STREAM])
    return np.sort(rng.choice(len(rows.index), most, replace=False))


def _of_all(related: Relatedness, chosen: NDArray[np.int64]) -> Relatedness:
    """Return the relatedness with rows numbered as before some were chosen."""
    if related.noise is None:
        return related
    found = [replace(each, row=int(chosen[each.row])) for each in related.noise.mislabelled]
    return replace(related, noise=replace(related.noise, mislabelled=tuple(found)))


def out_of_fold_predictions(split: Split, config: FitConfig) -> Predictions:
    """Return what uncoupled networks predict of the training rows that they have not seen.

    Of the rows that relations are judged by (`rows_to_relate`).
    """
    annotations, n = split.train.annotations, len(split.train.index)
    parts = config.relatedness.folds
    chosen = rows_to_relate(split.train, split.seed)
    place = np.arange(n)
    if chosen is not None:
        place = np.full(n, -1)
        place[chosen] = np.arange(len(chosen))
    shape = int(place.max()) + 1
    predictions = {t.name: np.zeros((shape, t.width), np.float32) for t in annotations.tasks}
    # as many passes over the rows as over all of them
    steps = max(1, round(config.training.total_steps(n) * (parts - 1) / parts))
    training = config.training.model_copy(update={"steps": steps, "epochs": None})
    shorter = config.model_copy(update={"training": training})
    for inner, out in held_out(split, parts):
        model = fit(METHODS[UNCOUPLED], inner, shorter)
        assert isinstance(model, Model)  # a joint network
        wanted = np.flatnonzero(place[out] >= 0)
        for name, given in model.drawn_probabilities(inner.test.inputs[wanted]).items():
            predictions[name][place[out[wanted]]] = given
    return predictions


def with_relations(split: Split, related: Relatedness, *, noise: bool = False) -> Split:
    """Return the split with the relations that have evidence, in place of those given.

    Args:
        split: the data of one seed.
        related: what `find_relatedness` found on that split.
        noise: take the tables of clean labels, and put the label noise into the split as well.
    """
    if noise and related.noise is not None:
        relations: list[AnyRelation] = list(related.noise.relations)
        relations += [r for r in related.relations if isinstance(r, NoisyOr)]
        return replace(
            split,
            relations=tuple(relations),
            noise=related.noise.found,
            transfer_weights=related.transfer_weights,
        )
    return replace(split, relations=related.relations, transfer_weights=related.transfer_weights)


def with_findings(split: Split, related: Relatedness, method: Method) -> Split:
    """Return the split as a method uses what was found on it.

    A stack weighs relations itself: it keeps those given, without labels that are likely wrong.
    """
    if method.kind == "stack":
        return without_mislabelled(split, related)
    return with_relations(split, related, noise=method.noise)


def without_mislabelled(split: Split, related: Relatedness) -> Split:
    """Return the split without the training labels that are likely wrong.

    A task keeps its labels where all of them would go.

    Args:
        split: the data.
        related: what was found about its label noise.
    """
    if related.noise is None:
        return split
    given = split.train.annotations
    labels = {name: codes.copy() for name, codes in given.labels.items()}
    for each in related.noise.mislabelled:
        task = given.task(each.task)
        if isinstance(task, Multiclass):
            labels[each.task][each.row] = -1
        else:
            labels[each.task][each.row, task.names.index(each.label)] = -1
    labels = {n: codes if (codes >= 0).any() else given.labels[n] for n, codes in labels.items()}
    annotations = Annotations(given.tasks, labels, len(given))
    return replace(split, train=replace(split.train, annotations=annotations))


def find_relatedness(
    split: Split,
    known: Sequence[AnyRelation],
    config: FitConfig,
    *,
    noise: bool = False,
    progress: bool = False,
) -> Relatedness | None:
    """Return how the tasks relate; None where the settings take relations as they are.

    Args:
        split: the data.
        known: the relations given; only their pairs are looked at. None given: every pair.
        config: the settings.
        noise: estimate how labels err as well.
        progress: show a bar over the steps.
    """
    origin = config.relatedness.origin
    if origin == "given":
        return None
    pairs = [(relation.source.name, relation.target.name) for relation in known] or None
    uncoupled = fit(METHODS[UNCOUPLED], split, config, progress=progress)
    assert isinstance(uncoupled, Model)
    query = RelationQuery(pairs, known, noise)
    return relate_split(split, uncoupled, config, [origin], query)[origin]


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
