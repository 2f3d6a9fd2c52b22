"""Checks of what `estimate_relations` is given; every error is one line."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations.estimation.columns import Floats
from labelweave.relations.relation import Relation
from labelweave.tasks import Multiclass

KINDS = ("knowledge", "annotations", "predictions")


def check_use(use: Sequence[str]) -> None:
    """Raise unless `use` names kinds of evidence."""
    for kind in use:
        if kind not in KINDS:
            raise LabelweaveError(
                f"use: unknown evidence '{kind}', expected {listing(KINDS)}{nearest(kind, KINDS)}"
            )
    if not use:
        raise LabelweaveError(f"use: found nothing, expected some of {listing(KINDS)}")


def check_pairs(annotations: Annotations, pairs: Sequence[tuple[str, str]]) -> None:
    """Raise unless every pair is a multiclass source and another task, each pair once."""
    if not pairs:
        raise LabelweaveError("pairs: found no relation to estimate, expected at least one")
    for source, target in pairs:
        speaker = annotations.task(source)
        annotations.task(target)
        if not isinstance(speaker, Multiclass):
            raise LabelweaveError(
                f"relation {source}->{target}: the source task is {speaker.kind}, "
                "expected multiclass"
            )
        if source == target:
            raise LabelweaveError(
                f"relation {source}->{target}: source and target are the same task"
            )
    twice = sorted({f"{s}->{t}" for s, t in pairs if list(pairs).count((s, t)) > 1})
    if twice:
        raise LabelweaveError(f"pairs: found twice: {listing(twice)}, expected once")


def checked_predictions(
    annotations: Annotations, predictions: Mapping[str, ArrayLike], names: Sequence[str]
) -> dict[str, Floats]:
    """Return the named tasks' predictions as arrays, after a look at shape and range."""
    arrays: dict[str, Floats] = {}
    for name in names:
        if name not in predictions:
            raise LabelweaveError(
                f"predictions: none of task '{name}', expected those of {listing(names)}"
                f"{nearest(name, predictions)}"
            )
        task, values = annotations.task(name), np.asarray(predictions[name])
        shape = (len(annotations), task.width)
        if values.shape != shape:
            raise LabelweaveError(
                f"predictions of '{name}': found shape {values.shape}, expected {shape}"
            )
        # written so that a value that is no number fails it as well
        bad = ~((values >= 0) & (values <= 1 + 1e-5))
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise LabelweaveError(
                f"predictions of '{name}': row {row + 1}, '{task.names[column]}': found "
                f"{values[row, column]:g}, expected a probability from 0 to 1"
            )
        arrays[name] = values
    return arrays


def checked_sources(sources: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Return the data source of every row, (n,), numbered from 0; one for all where none given."""
    if sources is None:
        return np.zeros(n, np.int64)
    codes = np.asarray(sources)
    if codes.shape != (n,) or codes.dtype.kind not in "iu" or (n and codes.min() < 0):
        raise LabelweaveError(
            f"sources: found {codes.dtype} of shape {codes.shape}, "
            f"expected ({n},) integers of 0 or more"
        )
    return codes.astype(np.int64)


def checked_confusion(
    annotations: Annotations, confusion: Mapping[str, ArrayLike] | None
) -> dict[str, NDArray[np.float64]]:
    """Return the confusion counts as arrays, (K, K) or (L, 2, 2)."""
    arrays: dict[str, NDArray[np.float64]] = {}
    for name, counts in (confusion or {}).items():
        task, values = annotations.task(name), np.asarray(counts, dtype=np.float64)
        square = (task.width, task.width)
        shape = square if isinstance(task, Multiclass) else (task.width, 2, 2)
        if values.shape != shape:
            raise LabelweaveError(
                f"confusion of '{name}': found shape {values.shape}, expected {shape}"
            )
        if not ((values >= 0) & np.isfinite(values)).all():
            raise LabelweaveError(f"confusion of '{name}': expected counts of 0 or more")
        arrays[name] = values
    return arrays


def checked_knowledge(
    annotations: Annotations, knowledge: Sequence[Relation], pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Relation]:
    """Return the experts' relations by their pair; each must speak about tasks as annotated."""
    found: dict[tuple[str, str], Relation] = {}
    for relation in knowledge:
        pair = (relation.source.name, relation.target.name)
        if pair not in pairs:
            options = [f"{source}->{target}" for source, target in pairs]
            raise LabelweaveError(
                f"knowledge {relation.name}: no such pair, expected {listing(options)}"
                f"{nearest(relation.name, options)}"
            )
        if pair in found:
            raise LabelweaveError(f"knowledge {relation.name}: found twice, expected once")
        for task in (relation.source, relation.target):
            if annotations.task(task.name) != task:
                raise LabelweaveError(
                    f"knowledge {relation.name}: task '{task.name}' has other classes than in the "
                    "annotations, expected the same"
                )
        found[pair] = relation
    return found
