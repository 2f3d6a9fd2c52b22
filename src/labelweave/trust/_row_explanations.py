"""Why a row got its answer: own evidence against the relations', columns, nearest labelled rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._targets import Table, Targets, annotations_of
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.evaluation._questions import Floats
from labelweave.fitting._stack import StackModel
from labelweave.model import EncodedPredictor
from labelweave.tables._frames import input_frame
from labelweave.tasks import Multiclass, Task
from labelweave.trust._importance import input_columns_of
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
        relations: by relation, how far the answer's probability falls without it.
        columns: the columns that matter most, by how far the answer's probability falls where the
            column's value is missing.
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

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return {
            "row": self.row, "question": self.question, "answer": self.answer,
            "probability": self.probability, "own": self.own, "relations": dict(self.relations),
            "columns": dict(self.columns), "nearest": [dict(each) for each in self.nearest],
        }  # fmt: skip


def explain_rows(
    model: AnyModel,
    X: Table,
    labelled: tuple[Table, Targets] | None = None,
    *,
    columns: int = COLUMNS,
    nearest: int = NEAREST,
) -> list[RowExplanation]:
    """Return why rows got their answers, a line for each row and question.

    A column's part is by occlusion (Zeiler and Fergus, "Visualizing and understanding convolutional
    networks", ECCV 2014): its value is missing, all else stays. Columns that carry the same
    information hide each other. Distances are Euclidean in the model's features.

    Args:
        model: a fitted classifier or a saved model.
        X: the inputs of at most 1,000 rows.
        labelled: inputs and labels of rows to look for near ones in; None = not.
        columns: columns to name.
        nearest: labelled rows to name.

    Raises:
        LabelweaveError: too many rows, or inputs that do not fit.
    """
    found = predictor_of(model)
    frame = _frame(model, X)
    if len(frame) > MOST_ROWS:
        raise LabelweaveError(f"X: found {len(frame)} rows, expected at most {MOST_ROWS}")
    given = found.predict_proba(frame)
    own, without = _parts(found, frame)
    occluded = {
        name: found.predict_proba(frame.assign(**{name: pd.Series(np.nan, frame.index, object)}))
        for name in input_columns_of(model, frame)
        if columns
    }
    near = None if labelled is None else _nearest(model, frame, labelled, nearest)
    result = []
    for task in found.tasks:
        for question, answer, p in _answers(found, task, given):
            base = p(given)
            alone = None if own is None else p(own)
            falls = {name: base - p(each) for name, each in without.items()}
            by_column = {name: base - p(each) for name, each in occluded.items()}
            for i in range(len(frame)):
                top = sorted(by_column, key=lambda n: -abs(by_column[n][i]))[:columns]
                result.append(
                    RowExplanation(
                        i, question, str(answer[i]), float(base[i]),
                        None if alone is None else float(alone[i]),
                        {name: float(fall[i]) for name, fall in falls.items()},
                        {name: float(by_column[name][i]) for name in top},
                        () if near is None else near[task.name][i],
                    )
                )  # fmt: skip
    return sorted(result, key=lambda each: each.row)


def _frame(model: AnyModel, X: Table) -> pd.DataFrame:
    made = model._inputs(X) if isinstance(model, MultiTaskClassifier) else input_frame(X)
    return made.reset_index(drop=True)


def _answers(model: EncodedPredictor, task: Task, given: Mapping[str, NDArray[Any]]) -> Any:
    """Give question, answers (n,) and what reads the answers' probabilities from predictions."""
    p = given[task.name]
    if isinstance(task, Multiclass):
        best = p.argmax(axis=1)

        def of_class(each: Mapping[str, NDArray[Any]]) -> Floats:
            return np.asarray(each[task.name][np.arange(len(best)), best], np.float64)

        yield task.name, task.decode(best), of_class
        return
    on = model.marks(task, p)
    for j, label in enumerate(task.names):

        def of_label(each: Mapping[str, NDArray[Any]], j: int = j) -> Floats:
            found = each[task.name][:, j]
            return np.asarray(np.where(on[:, j], found, 1 - found), np.float64)

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
