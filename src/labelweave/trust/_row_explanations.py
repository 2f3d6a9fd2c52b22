"""Why a row got its answer: own evidence against the relations', columns, nearest labelled rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._targets import Table, Targets, annotations_of
from labelweave.coupling._posterior import Link, joint_posterior
from labelweave.data._media_columns import MediaColumn
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.evaluation._questions import Floats
from labelweave.fitting._stack import StackModel
from labelweave.model import EncodedPredictor
from labelweave.relations import AnyRelation
from labelweave.tables._frames import input_frame
from labelweave.tasks import Multiclass, Task
from labelweave.trust._forest import model_links, model_relations
from labelweave.trust._gradients import gradients_by_column
from labelweave.trust._importance import input_columns_of
from labelweave.trust._input_parts import media_columns, without_parts
from labelweave.trust._predictions import AnyModel, predictor_of

MOST_ROWS = 1_000
COLUMNS, NEAREST = 5, 3


@dataclass(frozen=True)
class RowExplanation:
    """Why one row got its answer to one question: a task, or a label of a multilabel task.

    Attributes:
        row: the row, from 0.
        question: the task, or ``task=label``.
        answer: the predicted class; of a label ``on`` or ``off``.
        probability: of the answer.
        own: its probability by the task's learners alone; None of a model that is one network.
        relations: by relation, how far the answer's probability falls without it; empty for one
            network.
        says: by relation, the answer's probability by the other task's prediction and the table
            alone, where all classes were alike before.
        columns: the columns that matter most, by how far the answer's probability falls where the
            column's value is missing; with gradients by their parts in it.
        parts: likewise the words of its texts and the regions of its images.
        nearest: the nearest labelled rows: ``row`` (from 0), ``label`` and ``distance``.
    """

    row: int
    question: str
    answer: str
    probability: float
    own: float | None
    relations: Mapping[str, float]
    columns: Mapping[str, float]
    nearest: Sequence[Mapping[str, Any]]
    says: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return {
            "row": self.row, "question": self.question, "answer": self.answer,
            "probability": self.probability, "own": self.own, "relations": dict(self.relations),
            "says": dict(self.says), "columns": dict(self.columns), "parts": dict(self.parts),
            "nearest": [dict(each) for each in self.nearest],
        }  # fmt: skip


def explain_rows(
    model: AnyModel,
    X: Table,
    labelled: tuple[Table, Targets] | None = None,
    *,
    columns: int = COLUMNS,
    nearest: int = NEAREST,
    relations: Sequence[AnyRelation] | None = None,
    gradients: bool = False,
) -> list[RowExplanation]:
    """Return why rows got their answers, a line for each row and question.

    A column's part is by occlusion (Zeiler and Fergus, "Visualizing and understanding convolutional
    networks", ECCV 2014): its value is missing, all else stays. Columns that carry the same
    information hide each other. Of texts each word, and of images each of 4 x 4 regions, is left
    out instead. Distances are Euclidean in the model's features.

    Args:
        model: a fitted classifier or a saved model.
        X: the inputs of at most 1,000 rows.
        labelled: inputs and labels of rows to look for near ones in; None = not.
        columns: columns to name.
        nearest: labelled rows to name.
        relations: what `says` compares the answers with; None = those that the model couples by.
        gradients: integrated gradients in the place of occlusion, of a network that reads columns.

    Raises:
        LabelweaveError: too many rows, inputs that do not fit, or gradients of another model.
    """
    found = predictor_of(model)
    frame = _frame(model, X)
    if len(frame) > MOST_ROWS:
        raise LabelweaveError(f"X: found {len(frame)} rows, expected at most {MOST_ROWS}")
    given = found.predict_proba(frame)
    own, without = _parts(found, frame)
    links = model_relations(model) if relations is None else model_links(found, relations)
    says = {link.name: _said(found, link, given) for link in links}
    media = media_columns(found)
    changed = [_without_part(found, frame, each) for each in media] if columns else []
    read = [each.column for each in media]
    occluded = {
        name: found.predict_proba(frame.assign(**{name: pd.Series(np.nan, frame.index, object)}))
        for name in input_columns_of(model, frame)
        if columns and not gradients and name not in read
    }
    near = None if labelled is None else _nearest(model, frame, labelled, nearest)
    typed = found.typed(frame) if gradients else frame
    every = np.arange(len(frame))
    result = []
    for task in found.tasks:
        for question, answer, p in _answers(found, task, given):
            base = p(given[task.name], every)
            alone = None if own is None else p(own[task.name], every)
            falls = {n: base - p(each[task.name], every) for n, each in without.items()}
            said = {n: p(each[task.name], every) for n, each in says.items() if task.name in each}
            by_column = {n: base - p(each[task.name], every) for n, each in occluded.items()}
            if gradients and columns:
                by_column = gradients_by_column(found, typed, task.name, _torch(p, len(frame)))
            by_part: list[dict[str, float]] = [{} for _ in every]
            for predicted, rows, names in changed:
                left = base[rows] - p(predicted[task.name], rows)
                for row, name, fall in zip(rows, names, left, strict=True):
                    by_part[row][name] = float(fall)
            for i in every:
                result.append(
                    RowExplanation(
                        int(i), question, str(answer[i]), float(base[i]),
                        None if alone is None else float(alone[i]),
                        {name: float(fall[i]) for name, fall in falls.items()},
                        _largest({n: float(fall[i]) for n, fall in by_column.items()}, columns),
                        () if near is None else near[task.name][i],
                        {name: float(each[i]) for name, each in said.items()},
                        _largest(by_part[i], columns),
                    )
                )  # fmt: skip
    return sorted(result, key=lambda each: each.row)


def _largest(parts: Mapping[str, float], count: int) -> dict[str, float]:
    top = sorted(parts, key=lambda name: -abs(parts[name]))[:count]
    return {name: parts[name] for name in top}


def _without_part(
    model: EncodedPredictor, frame: pd.DataFrame, column: MediaColumn
) -> tuple[Mapping[str, NDArray[Any]], NDArray[np.int64], list[str]]:
    with without_parts(frame, column) as (variants, rows, names):
        if not names:
            return {t.name: np.zeros((0, t.width)) for t in model.tasks}, rows, names
        return model.predict_proba(variants), rows, names


def _said(
    model: EncodedPredictor, link: Link, given: Mapping[str, NDArray[Any]]
) -> dict[str, Floats]:
    """Return what a relation alone gives for either of its tasks, from the other's prediction."""
    found = {}
    for task in (link.source, link.target):
        flat = 1 / task.width if isinstance(task, Multiclass) else 0.5
        both = {name: np.asarray(given[name], np.float64) for name in link.ends()}
        both[task.name] = np.full(both[task.name].shape, flat)
        found[task.name] = joint_posterior(both, [link], only=task.name)[task.name]
    return found


def _torch(p: Any, n: int) -> Any:
    """Return what reads the answers' probabilities from tensors of n rows, repeated or not."""

    def answers(given: Any) -> Any:
        return p(given, np.arange(len(given)) % n)

    return answers


def _frame(model: AnyModel, X: Table) -> pd.DataFrame:
    made = model._inputs(X) if isinstance(model, MultiTaskClassifier) else input_frame(X)
    return made.reset_index(drop=True)


def _answers(model: EncodedPredictor, task: Task, given: Mapping[str, NDArray[Any]]) -> Any:
    """Give question, answers (n,) and what reads the answers' probabilities from predictions.

    The latter takes the task's probabilities, of numpy or torch, and the row that each is of.
    """
    p = given[task.name]
    if isinstance(task, Multiclass):
        best = p.argmax(axis=1)

        def of_class(each: Any, rows: NDArray[np.int64]) -> Any:
            return each[np.arange(len(rows)), best[rows]]

        yield task.name, task.decode(best), of_class
        return
    on = model.marks(task, p)
    for j, label in enumerate(task.names):

        def of_label(each: Any, rows: NDArray[np.int64], j: int = j) -> Any:
            sign = 2.0 * on[rows, j] - 1  # of an off label it is 1 - p
            factor = sign if isinstance(each, np.ndarray) else each.new_tensor(sign)
            return each[:, j] * factor + (1 - factor) / 2

        name = task.name if task.width == 1 else f"{task.name}={label}"
        yield name, np.where(on[:, j], "on", "off"), of_label


def _parts(
    model: EncodedPredictor, frame: pd.DataFrame
) -> tuple[dict[str, Any] | None, dict[str, dict[str, Any]]]:
    """Return the predictions of each task alone, and those without each relation."""
    if not isinstance(model, StackModel):
        return None, {}
    encoded = np.asarray(model.encoder.transform(model.typed(frame)), np.float64)
    stack = model.stack

    def shown(given: Mapping[str, Floats]) -> dict[str, Any]:
        return dict(model.under_prior({n: p.astype(np.float32) for n, p in given.items()}))

    own = {name: p["alone"] for name, p in stack.candidates(encoded).items()}
    without = {}
    for link in stack.links:
        links = [each for each in stack.links if each.name != link.name]
        others = [each for each in stack.self_links if each.name != link.name]
        less = replace(stack, links=links, self_links=others)
        without[link.name] = shown(less.predict_proba(encoded))
    return shown(own), without


def _nearest(
    model: AnyModel, frame: pd.DataFrame, labelled: tuple[Table, Targets], count: int
) -> dict[str, list[list[dict[str, Any]]]]:
    from sklearn.neighbors import NearestNeighbors

    found, known = predictor_of(model), _frame(model, labelled[0])
    missing = model.missing if isinstance(model, MultiTaskClassifier) else ()
    annotations = annotations_of(labelled[1], found.tasks, missing, labelled[0])
    new, old = (
        np.asarray(found.features(found.encoder.transform(found.typed(each))))
        for each in (frame, known)
    )
    result: dict[str, list[list[dict[str, Any]]]] = {}
    for task in found.tasks:
        rows = np.flatnonzero(annotations.labelled(task.name))
        if not len(rows) or not count:
            result[task.name] = [[] for _ in range(len(frame))]
            continue
        search = NearestNeighbors(n_neighbors=min(count, len(rows))).fit(old[rows])
        distance, place = search.kneighbors(new)
        codes = annotations.labels[task.name]
        result[task.name] = [
            [
                {"row": int(rows[k]), "label": _label(task, codes[rows[k]]), "distance": float(d)}
                for k, d in zip(places, distances, strict=True)
            ]
            for places, distances in zip(place, distance, strict=True)
        ]
    return result


def _label(task: Task, code: NDArray[Any]) -> str:
    if isinstance(task, Multiclass):
        return str(task.decode(np.array([code]))[0])
    on = [name for name, value in zip(task.names, code, strict=True) if value == 1]
    return ", ".join(on) or "none"
