"""Parquet files of Hugging Face datasets, whose ClassLabel columns hold numbers of named classes.

The features stand in the file's metadata under the key ``huggingface``
(https://huggingface.co/docs/datasets/about_dataset_features). -1 is a missing label.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labelweave.errors import LabelweaveError, listing
from labelweave.importers._answers import Answers, Question, Sample
from labelweave.importers._json_files import checked_file, expect, member, shown

LARGEST = 1 << 34
MOST_METADATA = 1 << 24


def read_hugging_face(path: Path) -> tuple[list[Sample], list[Question], list[str]]:
    """Return samples, questions and notes of a Parquet file with a ClassLabel column.

    A ClassLabel is a multiclass task, a sequence of them a multilabel one. Other columns of one
    value a row are inputs; the rest is left out with a note.

    Raises:
        LabelweaveError: no Parquet file with such features, or a number that is no class; names
            column and row.
    """
    checked_file(path, LARGEST)
    try:
        file = pq.ParquetFile(path)
        features = _features(file.schema_arrow.metadata or {}, path)
        table = file.read()
    except (pa.ArrowInvalid, OSError):
        raise LabelweaveError(f"{path}: not a readable Parquet file") from None
    classes, several = _classes(features, path)
    missing = [name for name in [*classes, *several] if name not in table.column_names]
    if missing:
        raise LabelweaveError(f"{path}: no column '{missing[0]}', which its features name")
    nested = {
        field.name
        for field in table.schema
        if field.name not in several and pa.types.is_nested(field.type)
    }
    inputs = [n for n in table.column_names if n not in {*classes, *several, *nested}]
    columns = {name: table.column(name).to_pylist() for name in [*inputs, *classes, *several]}
    samples = []
    for row in range(table.num_rows):
        chosen: dict[str, tuple[str, ...]] = {}
        for name, names in classes.items():
            found = columns[name][row]
            if found is not None and found != -1:
                chosen[name] = (_named(found, names, name, row, path),)
        for name, names in several.items():
            listed = columns[name][row]
            if listed is not None:
                chosen[name] = tuple(_named(each, names, name, row, path) for each in listed)
        cells = {name: columns[name][row] for name in inputs}
        samples.append(Sample(cells, [Answers("", chosen)]))
    questions = [Question(name, tuple(names)) for name, names in classes.items()]
    questions += [Question(name, tuple(names), multiple=True) for name, names in several.items()]
    notes = [f"left out: the columns {listing(sorted(nested))}, which hold several values a row"]
    return samples, questions, notes if nested else []


def _features(metadata: dict[bytes, bytes], path: Path) -> dict[str, Any]:
    text = metadata.get(b"huggingface", b"")
    if not text or len(text) > MOST_METADATA:
        raise LabelweaveError(f"{path}: no features of Hugging Face datasets in its metadata")
    try:
        found = json.loads(text)["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise LabelweaveError(
            f"{path}: its features of Hugging Face datasets are damaged"
        ) from None
    features: dict[str, Any] = expect(found, dict, f"{path}: features")
    return features


def _classes(
    features: dict[str, Any], path: Path
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    single: dict[str, list[str]] = {}
    several: dict[str, list[str]] = {}
    for name, feature in features.items():
        # newer versions write a sequence as {"_type": "List", "feature": ...}, older ones as [...]
        inner = feature[0] if isinstance(feature, list) and feature else feature
        listed = inner is not feature
        if isinstance(inner, dict) and isinstance(inner.get("feature"), dict):
            inner, listed = inner["feature"], True
        if not (isinstance(inner, dict) and inner.get("_type") == "ClassLabel"):
            continue
        place = f"{path}: feature '{name}'"
        given = member(inner, "names", list, place)
        names = [expect(each, str, f"{place}, key 'names'") for each in given]
        (several if listed else single)[name] = names
    if not single and not several:
        raise LabelweaveError(
            f"{path}: no column is a ClassLabel, found {listing(features)}; without 'format' the "
            "file is read as a plain table"
        )
    return single, several


def _named(found: Any, names: list[str], column: str, row: int, path: Path) -> str:
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < len(names):
        raise LabelweaveError(
            f"{path}: row {row + 1}, column '{column}': found {shown(found)}, expected 0 to "
            f"{len(names) - 1}, or -1 where the label is missing"
        )
    return names[found]
