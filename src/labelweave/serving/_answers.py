"""Answers of the service: predictions by name, and the Open Inference Protocol, version 2."""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._parsing import parse_json
from labelweave.errors import listing, nearest, printable
from labelweave.model import EncodedPredictor
from labelweave.relations import AnyRelation
from labelweave.serving._final import FinalModel
from labelweave.serving._graph import PREDICTED
from labelweave.serving._row_errors import RowsError, TooManyRowsError, row_error
from labelweave.serving._rows import (
    ReadRows,
    plain_json,
    plain_numbers,
    schema_of,
    typed_columns,
    typed_numbers,
)
from labelweave.tables import Schema
from labelweave.tasks import Binary, Multiclass, Task
from labelweave.trust._coherence import contradiction_scores

DTYPES = {
    "FP64": "f8", "FP32": "f4", "INT64": "i8", "INT32": "i4", "INT16": "i2", "INT8": "i1",
    "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8",
}  # fmt: skip
STORED = {name: np.dtype(code).newbyteorder("<") for name, code in DTYPES.items()}
NUMBERS = tuple(DTYPES)
Probabilities = Mapping[str, NDArray[np.float32]]


def answered(
    model: EncodedPredictor,
    relations: Sequence[AnyRelation],
    found: Probabilities,
    read: ReadRows,
) -> list[dict[str, Any]]:
    """Return for each row every task's label, probabilities, and contradictions of relations."""
    decided = model.decide(found)
    by_task = {
        task.name: _task_answers(task, found[task.name], decided[task.name]) for task in model.tasks
    }
    gaps = {
        name: [None if x != x else x for x in np.round(values.astype(np.float64), 4).tolist()]
        for name, values in contradiction_scores(found, relations).items()
    }
    rows = []
    for i in range(len(read.typed)):
        row: dict[str, Any] = {name: values[i] for name, values in read.identifiers.items()}
        answer: dict[str, Any] = {"identifiers": row} if row else {}
        answer["tasks"] = {name: answers[i] for name, answers in by_task.items()}
        if gaps:
            answer["contradictions"] = {name: values[i] for name, values in gaps.items()}
        rows.append(answer)
    return rows


def _task_answers(task: Task, p: NDArray[np.float32], labels: NDArray[Any]) -> list[dict[str, Any]]:
    """Return the answer of every row; whole arrays are rounded, for rows may be many."""
    names = [str(name) for name in task.names]
    wide = p.astype(np.float64)
    chances = [dict(zip(names, row, strict=True)) for row in np.round(wide, 6).tolist()]
    if isinstance(task, Multiclass | Binary):
        top = wide.max(axis=1)
        top = np.maximum(top, 1 - top) if isinstance(task, Binary) else top
        return [
            {"predicted": label, "confidence": confidence, "probabilities": row}
            for label, confidence, row in zip(
                labels.tolist(), np.round(top, 6).tolist(), chances, strict=True
            )
        ]
    return [
        {
            "predicted": [name for name, on in zip(names, flags, strict=True) if on],
            "probabilities": row,
        }
        for flags, row in zip(labels.tolist(), chances, strict=True)
    ]


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
        if column.type == "image":
            about["encoding"] = "base64"
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
    content: bytes, model: EncodedPredictor, most: int, header: int | None = None
) -> tuple[dict[str, Any], ReadRows]:
    """Return a request of the protocol and its rows.

    With the extension for binary tensors the JSON is followed by the values of numeric inputs, in
    the order of the inputs, little-endian; each names its bytes as ``binary_data_size``.

    Args:
        content: the body.
        model: what predicts.
        most: rows at most.
        header: bytes of the JSON where values follow it; None = the body is all JSON.

    Raises:
        RowsError: an input that does not fit the schema.
        TooManyRowsError: more than `most`.
        LabelweaveError: no JSON.
    """
    if header is not None and not 0 <= header <= len(content):
        raise RowsError(
            [row_error(None, None, f"a header of {header} bytes", f"at most {len(content)}")]
        )
    given = _plain_request(content[:header], schema_of(model))
    if given is None:
        given = parse_json(content[:header], "body", finite=True)
    binary = memoryview(content)[header:] if header is not None else memoryview(b"")
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
        own = each.get("parameters")
        size = own.get("binary_data_size") if isinstance(own, dict) else None
        data: Any
        if size is not None:
            data = _numbers(name, each.get("datatype"), size, binary)
            binary = binary[size:]
        else:
            data = _flat(each.get("data"))
        if data is None or (count is not None and len(data) != count) or not len(data):
            said = "no list of values" if data is None else f"{len(data)} values"
            wanted = "a list of values" if count is None else f"{count}, as in the first input"
            raise RowsError([row_error(None, name, said, wanted)])
        count = len(data)
        if count > most:
            raise TooManyRowsError(f"rows: found {count:,}, expected at most {most:,}")
        if each.get("shape") not in ([count], [count, 1]):
            raise RowsError([row_error(None, name, f"shape {each.get('shape')}", f"[{count}]")])
        kind = schema.columns[name].type
        if size is None:
            columns[name] = _values(name, each.get("datatype"), data, kind)
        elif kind == "number":
            columns[name] = data
        else:
            words = _without_infinity(name, data.astype(np.float64)).tolist()
            columns[name] = _values(name, each.get("datatype"), words, kind)
    if len(binary):
        raise RowsError(
            [row_error(None, None, f"{len(binary)} bytes after the last input", "none")]
        )
    _check_outputs(given, model)
    if all(isinstance(values, np.ndarray) for values in columns.values()):
        flat = np.concatenate(list(columns.values()), dtype=np.float64)
        numbers = flat.reshape(len(columns), -1)
        if np.isinf(numbers).any():
            for name, values in zip(columns, numbers, strict=True):
                _without_infinity(name, values)
        return given, ReadRows(typed_numbers(model, list(columns), numbers.T))
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            columns[name] = _without_infinity(name, values.astype(np.float64))
    return given, ReadRows(typed_columns(model, columns))


def _plain_request(content: bytes, schema: Schema) -> dict[str, Any] | None:
    """Return a request whose inputs are lists of finite numbers; None = look at every value."""
    given = plain_json(content)
    if not isinstance(given, dict) or not given.keys() <= {"id", "inputs", "parameters"}:
        return None
    inputs, called = given.get("inputs"), given.get("id", "")
    if not isinstance(inputs, list) or not isinstance(called, str) or not called.isascii():
        return None
    for each in inputs:
        name = each.get("name") if isinstance(each, dict) else None
        column = schema.columns.get(name) if isinstance(name, str) else None
        if column is None or column.type != "number":
            return None
        data = each.get("data", [])
        if not isinstance(data, list) or (data and plain_numbers(data) is None):
            return None
    return given


def _numbers(name: str, kind: Any, size: Any, binary: memoryview) -> NDArray[Any]:
    """Return the values of one input, the first `size` of the bytes that follow the JSON."""
    if kind not in NUMBERS:
        raise RowsError([row_error(None, name, f"datatype '{kind}' in binary", listing(NUMBERS))])
    stored = STORED[kind]
    if isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= len(binary):
        raise RowsError(
            [row_error(None, name, f"binary_data_size {size}", f"1 to {len(binary)}, what follows")]
        )
    if size % stored.itemsize:
        raise RowsError(
            [row_error(None, name, f"{size} bytes", f"a multiple of {stored.itemsize}")]
        )
    return np.frombuffer(binary[:size], stored)


def _without_infinity(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    endless = np.flatnonzero(np.isinf(values))
    if len(endless):
        raise RowsError([row_error(int(endless[0]) + 1, name, "infinity", "a number, or NaN")])
    return values


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
    if column_type == "number" and (found := plain_numbers(data)) is not None:
        return found
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
    """Return the answer of the protocol: the outputs asked for, else all; data are arrays yet."""
    decided = model.decide(found)
    wanted = {each["name"] for each in asked["outputs"]} if asked.get("outputs") else None
    outputs = []
    for task in model.tasks:
        if wanted is None or task.name in wanted:
            outputs.append(_output(task.name, "FP32", found[task.name]))
        labels = f"{task.name}{PREDICTED}"
        if wanted is None or labels in wanted:
            outputs.append(_output(labels, _label_shape(task)["datatype"], decided[task.name]))
    answer = {"model_name": name, "model_version": str(version), "outputs": outputs}
    called = asked.get("id")  # half surrogate pairs cannot be written
    return answer | ({"id": printable(called, None)} if isinstance(called, str) else {})


def json_answer(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose outputs hold lists."""
    return {**answer, "outputs": [_with_list(each) for each in answer["outputs"]]}


def binary_answer(answer: dict[str, Any]) -> tuple[bytes, int]:
    """Return an answer whose outputs follow the JSON as bytes, and the length of the JSON."""
    parts, outputs = [], []
    for each in answer["outputs"]:
        if each["datatype"] in STORED:
            parts.append(np.asarray(each["data"], STORED[each["datatype"]]).tobytes())
        else:
            parts.append(_packed(each["data"].tolist()))
        about = {key: value for key, value in each.items() if key != "data"}
        outputs.append(about | {"parameters": {"binary_data_size": len(parts[-1])}})
    head = json.dumps({**answer, "outputs": outputs}).encode()
    return head + b"".join(parts), len(head)


def _packed(labels: list[Any]) -> bytes:
    """Return texts as bytes, each after its length, 4 bytes."""
    known = {}
    for label in set(labels):
        text = str(label).encode()
        known[label] = struct.pack("<I", len(text)) + text
    return b"".join(map(known.__getitem__, labels))


def _with_list(output: dict[str, Any]) -> dict[str, Any]:
    values = output["data"].ravel().tolist()
    return {**output, "data": list(map(str, values)) if output["datatype"] == "BYTES" else values}


def wants_binary(asked: Mapping[str, Any]) -> bool:
    """Return whether a request asks for its outputs as bytes."""
    given = asked.get("parameters")
    return isinstance(given, dict) and given.get("binary_data_output") is True


def _output(name: str, kind: str, values: NDArray[Any]) -> dict[str, Any]:
    return {
        "name": name, "datatype": kind, "shape": list(values.shape), "data": values
    }  # fmt: skip
