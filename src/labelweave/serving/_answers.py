"""Answers of the service: predictions by name, and the Open Inference Protocol, version 2."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._parsing import parse_json
from labelweave.errors import nearest
from labelweave.model import EncodedPredictor
from labelweave.relations import AnyRelation
from labelweave.serving._final import FinalModel
from labelweave.serving._graph import PREDICTED
from labelweave.serving._rows import (
    ReadRows,
    RowsError,
    TooManyRowsError,
    row_error,
    schema_of,
    typed_columns,
)
from labelweave.tasks import Binary, Multiclass, Task
from labelweave.trust._coherence import contradiction_scores

NUMBERS = ("FP64", "FP32", "INT64", "INT32", "INT16", "INT8", "UINT8", "UINT16", "UINT32", "UINT64")
Probabilities = Mapping[str, NDArray[np.float32]]


def answered(
    model: EncodedPredictor,
    relations: Sequence[AnyRelation],
    found: Probabilities,
    read: ReadRows,
) -> list[dict[str, Any]]:
    """Return for each row every task's label, probabilities, and contradictions of relations."""
    decided = model.decide(found)
    gaps = contradiction_scores(found, relations)
    rows = []
    for i in range(len(read.typed)):
        row: dict[str, Any] = {name: values[i] for name, values in read.identifiers.items()}
        answer: dict[str, Any] = {"identifiers": row} if row else {}
        answer["tasks"] = {
            task.name: _task_answer(task, found[task.name][i], decided[task.name][i])
            for task in model.tasks
        }
        if gaps:
            answer["contradictions"] = {
                name: None if np.isnan(values[i]) else round(float(values[i]), 4)
                for name, values in gaps.items()
            }
        rows.append(answer)
    return rows


def _task_answer(task: Task, p: NDArray[np.float32], label: Any) -> dict[str, Any]:
    chances = {str(name): round(float(x), 6) for name, x in zip(task.names, p, strict=True)}
    if isinstance(task, Multiclass | Binary):
        top = max(float(p.max()), 1 - float(p.max())) if isinstance(task, Binary) else p.max()
        return {
            "predicted": _plain(label),
            "confidence": round(float(top), 6),
            "probabilities": chances,
        }
    on = [str(name) for name, flag in zip(task.names, label, strict=True) if flag]
    return {"predicted": on, "probabilities": chances}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def model_metadata(name: str, version: int, final: FinalModel) -> dict[str, Any]:
    """Return inputs and outputs with their types, classes, and what the study measured."""
    schema = schema_of(final.model)
    inputs = []
    for column_name in schema.named("input"):
        column = schema.columns[column_name]
        if column.type == "date" and not column.parts:
            continue
        about: dict[str, Any] = {"type": column.type, "optional": column.optional}
        if column.type == "number" and column.low is not None:
            about |= {"low": column.low, "high": column.high}
        if column.categories is not None and column.type == "category":
            about["categories"] = list(column.categories)
        kind = "FP64" if column.type == "number" else "BYTES"
        inputs.append({"name": column_name, "datatype": kind, "shape": [-1], "parameters": about})
    outputs = []
    for task in final.tasks:
        classes = {"classes": [str(each) for each in task.names], "kind": task.kind}
        outputs.append(
            {
                "name": task.name, "datatype": "FP32", "shape": [-1, task.width],
                "parameters": classes,
            }
        )  # fmt: skip
        outputs.append({"name": f"{task.name}{PREDICTED}", **_label_shape(task)})
    return {
        "name": name,
        "versions": [str(version)],
        "platform": "labelweave",
        "inputs": inputs,
        "outputs": outputs,
        "parameters": {
            "method": final.facts.method,
            "network": final.facts.network,
            "created": final.facts.created,
            "expected": [str(each) for each in final.facts.expected],
        },
    }


def _label_shape(task: Task) -> dict[str, Any]:
    if isinstance(task, Multiclass | Binary):
        return {"datatype": "BYTES", "shape": [-1]}
    return {"datatype": "INT64", "shape": [-1, task.width]}


def infer_rows(
    content: bytes, model: EncodedPredictor, most: int
) -> tuple[dict[str, Any], ReadRows]:
    """Return a request of the protocol and its rows.

    Raises:
        RowsError: an input that does not fit the schema.
        TooManyRowsError: more than `most`.
        LabelweaveError: no JSON.
    """
    given = parse_json(content, "body", finite=True)
    inputs = given.get("inputs") if isinstance(given, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise RowsError([row_error(None, None, "no inputs", '{"inputs": [...]}')])
    schema = schema_of(model)
    columns: dict[str, Any] = {}
    count = None
    for each in inputs:
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(name, str) or name not in schema.columns or name in columns:
            near = nearest(name, schema.named("input"))
            raise RowsError([row_error(None, str(name), str(name), f"an input once{near}")])
        data = _flat(each.get("data"))
        if data is None or (count is not None and len(data) != count) or not data:
            said = "no list of values" if data is None else f"{len(data)} values"
            wanted = "a list of values" if count is None else f"{count}, as in the first input"
            raise RowsError([row_error(None, name, said, wanted)])
        count = len(data)
        if count > most:
            raise TooManyRowsError(f"rows: found {count:,}, expected at most {most:,}")
        if each.get("shape") not in ([count], [count, 1]):
            raise RowsError([row_error(None, name, f"shape {each.get('shape')}", f"[{count}]")])
        columns[name] = _values(name, each.get("datatype"), data, schema.columns[name].type)
    _check_outputs(given, model)
    return given, ReadRows(typed_columns(model, columns))


def _check_outputs(given: Mapping[str, Any], model: EncodedPredictor) -> None:
    known = [name for task in model.tasks for name in (task.name, f"{task.name}{PREDICTED}")]
    asked = given.get("outputs")
    if asked is None:
        return
    for each in asked if isinstance(asked, list) else [asked]:
        name = each.get("name") if isinstance(each, dict) else each
        if name not in known:
            raise RowsError(
                [row_error(None, None, f"output '{name}'", f"a task{nearest(name, known)}")]
            )


def _flat(data: Any) -> list[Any] | None:
    if not isinstance(data, list):
        return None
    if data and all(isinstance(each, list) and len(each) == 1 for each in data):
        return [each[0] for each in data]
    return data


def _values(name: str, kind: Any, data: list[Any], column_type: str) -> Any:
    expected = "FP64" if column_type == "number" else "BYTES"
    if kind not in (*NUMBERS, "BYTES", "BOOL") or (column_type == "number" and kind == "BYTES"):
        raise RowsError([row_error(None, name, f"datatype '{kind}'", f"'{expected}'")])
    wanted: tuple[type, ...] = (str,) if kind == "BYTES" else (int, float)
    for place, value in enumerate(data, start=1):
        bad_flag = isinstance(value, bool) and kind != "BOOL"
        if value is not None and (bad_flag or not isinstance(value, wanted)):
            said = "a text" if kind == "BYTES" else "a number"
            raise RowsError([row_error(place, name, f"'{value}'", f"{said}, or null")])
    if column_type == "number":
        return np.array([np.nan if value is None else value for value in data], np.float64)
    return pd.Series(data, dtype=object)


def infer_answer(
    name: str,
    version: int,
    model: EncodedPredictor,
    asked: Mapping[str, Any],
    found: Probabilities,
) -> dict[str, Any]:
    """Return the answer of the protocol: the outputs asked for, else all."""
    decided = model.decide(found)
    outputs = []
    for task in model.tasks:
        p = found[task.name]
        outputs.append(_output(task.name, "FP32", p))
        labels = decided[task.name]
        shape = _label_shape(task)
        values = labels.astype(str) if shape["datatype"] == "BYTES" else labels
        outputs.append(_output(f"{task.name}{PREDICTED}", shape["datatype"], values))
    if asked.get("outputs"):
        wanted = [each["name"] for each in asked["outputs"]]
        outputs = [each for each in outputs if each["name"] in wanted]
    answer = {"model_name": name, "model_version": str(version), "outputs": outputs}
    return answer | ({"id": asked["id"]} if isinstance(asked.get("id"), str) else {})


def _output(name: str, kind: str, values: NDArray[Any]) -> dict[str, Any]:
    return {
        "name": name, "datatype": kind, "shape": list(values.shape), "data": values.ravel().tolist()
    }  # fmt: skip
