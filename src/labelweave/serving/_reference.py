"""What new rows are compared with: the inputs of the fit, and out-of-fold predictions of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from pydantic import Field

from labelweave._files import write_text
from labelweave._saved import Saved as SavedPart
from labelweave._saved import Share, read_description
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations import AnyRelation
from labelweave.tables import Schema
from labelweave.tables._column_kinds import identifying
from labelweave.tasks import Multiclass, Task
from labelweave.trust._coherence import contradiction_scores

FORMAT = 1
FILE = "reference.json"
POINTS = 101  # of a distribution function
FEW_VALUES = 20  # numbers of no more distinct values are compared value by value
MOST_VALUES = 50  # categories that are compared one by one; the others count together
OTHERS = "(others)"
BINS = 10  # of confidence
Count = Annotated[int, Field(ge=0)]


class InputReference(SavedPart):
    """A column of the fit's rows.

    Attributes:
        name: the column.
        n: rows.
        missing: share of missing values.
        points: 101 quantiles of a number; empty = compared value by value.
        shares: by value its share of the filled cells.
    """

    name: str
    n: Count
    missing: Share
    points: list[float] = Field(default=[])
    shares: dict[str, Share] = Field(default={})


class TaskReference(SavedPart):
    """What out-of-fold predictions of a task looked like.

    Attributes:
        task: the task.
        n: rows.
        counts: by class or label how often it was predicted.
        prior: mean probability of every class or label.
        confidence: mean probability of the predicted labels.
        spread: standard deviation of a row's confidence.
        between: that of the mean confidence between the fits of the folds, beyond chance.
        labels: known labels among the rows.
        accuracy: share of them that was predicted; None = no label.
        correct: by tenth of the confidence (from 0 to 1) the share of correct labels; None = no
            label there.
    """

    task: str
    n: Count
    counts: dict[str, Count]
    prior: list[Share]
    confidence: Share
    spread: Annotated[float, Field(ge=0, le=1)]
    between: Annotated[float, Field(ge=0, le=1)] = 0.0
    labels: Count
    accuracy: Share | None
    correct: list[Share | None]


class RelationReference(SavedPart):
    """How far out-of-fold predictions of two tasks contradicted each other."""

    relation: str
    n: Count
    mean: Share
    spread: Annotated[float, Field(ge=0, le=1)]
    between: Annotated[float, Field(ge=0, le=1)] = 0.0


class Reference(SavedPart):
    """What `monitor` compares new rows with."""

    format: Annotated[int, Field(ge=1, le=1_000_000)]
    inputs: list[InputReference]
    tasks: list[TaskReference]
    relations: list[RelationReference]


def make_reference(
    schema: Schema | None,
    typed: pd.DataFrame,
    probabilities: Mapping[str, NDArray[Any]],
    labels: Annotations,
    thresholds: Mapping[str, NDArray[np.float64]],
    known: Sequence[AnyRelation],
    parts: NDArray[np.int64],
) -> Reference:
    """Return the reference of n rows.

    Args:
        schema: of the model; None = inputs are not compared.
        typed: the rows, read by the schema.
        probabilities: out-of-fold, by task (n, width).
        labels: of the rows.
        thresholds: of multilabel tasks.
        known: the relations.
        parts: (n,) the fold that each row was left out of.
    """
    names = [] if schema is None else [n for n in schema.named("input") if n in typed]
    kinds = {} if schema is None else schema.columns
    inputs = [
        _input(name, typed[name], kinds[name].type)
        for name in names
        if kinds[name].type in ("number", "category") and not _personal(typed[name])
    ]
    tasks = [
        _task(
            task, probabilities[task.name], labels.labels[task.name], thresholds.get(task.name),
            parts,
        )
        for task in labels.tasks
    ]  # fmt: skip
    relations = []
    for name, values in contradiction_scores(probabilities, known).items():
        finite = np.isfinite(values)
        found = values[finite].clip(0, 1)
        if len(found) > 1:
            relations.append(
                RelationReference(
                    relation=name, n=len(found), mean=float(found.mean()),
                    spread=float(found.std(ddof=1)), between=_between(found, parts[finite]),
                )
            )  # fmt: skip
    return Reference(format=FORMAT, inputs=inputs, tasks=tasks, relations=relations)


def write_reference(folder: Path, reference: Reference) -> None:
    """Write it to a model's folder."""
    write_text(folder / FILE, json.dumps(reference.model_dump()))


def read_reference(folder: Path) -> Reference:
    """Read what `write_reference` wrote.

    Raises:
        LabelweaveError: not there, damaged, or of a newer format.
    """
    try:
        return read_description(folder / FILE, Reference, FORMAT)
    except FileNotFoundError:
        raise LabelweaveError(
            f"{folder}: found no {FILE}, expected the final model of 'labelweave finish'"
        ) from None


def _personal(values: "pd.Series[Any]") -> bool:
    """Return whether a column's values may be personal data, which no model's file holds."""
    if is_numeric_dtype(values):
        return False
    texts = [text for text in values.dropna().astype(str).unique() if text]
    return identifying(texts, int(values.count()))  # as the encoder, which leaves it out


def _input(name: str, values: "pd.Series[Any]", kind: str) -> InputReference:
    filled = values[values.notna() & (values != "")]
    missing = 1 - len(filled) / max(1, len(values))
    about: dict[str, Any] = {"name": name, "n": len(values), "missing": missing}
    if kind == "number":
        numbers = filled.to_numpy(np.float64)
        if len(np.unique(numbers)) > FEW_VALUES:
            points = np.quantile(numbers, np.linspace(0, 1, POINTS))
            return InputReference(**about, points=points.tolist())
        filled = pd.Series([f"{number:g}" for number in numbers], dtype=object)
    shares = filled.astype(str).value_counts(normalize=True)
    kept = {str(value): float(share) for value, share in shares[:MOST_VALUES].items()}
    if len(shares) > MOST_VALUES:
        kept[OTHERS] = float(min(1.0, shares[MOST_VALUES:].sum()))
    return InputReference(**about, shares=kept)


def _between(values: NDArray[np.float64], parts: NDArray[np.int64]) -> float:
    """Return the standard deviation of the parts' means, without what their rows' spread makes.

    Fits to other rows of the same kind differ by so much, and so may the fit to all of them.
    """
    groups = [values[parts == part] for part in np.unique(parts)]
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < 2:
        return 0.0
    chance = np.mean([group.var(ddof=1) / len(group) for group in groups])
    beyond = np.var([group.mean() for group in groups], ddof=1) - chance
    return float(np.sqrt(max(0.0, beyond)).clip(0, 1))


def _task(
    task: Task,
    p: NDArray[Any],
    truth: NDArray[Any],
    thresholds: NDArray[np.float64] | None,
    parts: NDArray[np.int64],
) -> TaskReference:
    predicted = predicted_codes(task, p, thresholds)
    certain = certainties(task, p, predicted)
    row = certain if certain.ndim == 1 else certain.mean(axis=1)
    known = truth >= 0
    place = confidence_bins(certain[known])
    hits = (predicted == truth)[known]
    correct = [float(hits[place == b].mean()) if (place == b).any() else None for b in range(BINS)]
    return TaskReference(
        task=task.name,
        n=len(p),
        counts=predicted_counts(task, predicted),
        prior=np.asarray(p, np.float64).mean(axis=0).clip(0, 1).tolist(),
        confidence=float(row.mean()),
        spread=float(row.std()),
        between=_between(row, parts),
        labels=int(known.sum()),
        accuracy=float(hits.mean()) if len(hits) else None,
        correct=correct,
    )


def predicted_codes(
    task: Task, p: NDArray[Any], thresholds: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    """Return the predicted class (n,), or 0 and 1 for every label (n, L)."""
    if isinstance(task, Multiclass):
        return np.asarray(p.argmax(axis=1), np.int64)
    return (p >= (0.5 if thresholds is None else thresholds)).astype(np.int64)


def certainties(task: Task, p: NDArray[Any], predicted: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of what is predicted, (n,) or (n, L)."""
    wide = np.asarray(p, np.float64).clip(0, 1)
    if isinstance(task, Multiclass):
        return np.asarray(wide[np.arange(len(wide)), predicted])
    return np.where(predicted == 1, wide, 1 - wide)


def confidence_bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the tenth that each confidence lies in, from 0."""
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)


def predicted_counts(task: Task, predicted: NDArray[np.int64]) -> dict[str, int]:
    """Return how often every class, or label, is predicted."""
    if isinstance(task, Multiclass):
        found = np.bincount(predicted, minlength=task.width)
    else:
        found = predicted.sum(axis=0)
    return {str(name): int(count) for name, count in zip(task.names, found, strict=True)}
