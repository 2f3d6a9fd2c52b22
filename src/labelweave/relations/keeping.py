"""A relatedness as one file: arrays as safetensors, all else as JSON beside them; no pickle.

What is read back is bitwise what was written: nothing is computed or checked anew.
"""

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from labelweave.files import make_folder, replacing
from labelweave.relations.estimation import Estimate
from labelweave.relations.evidence import Evidence, Interval, LabelEvidence
from labelweave.relations.grouping import Proposal, TaskPair
from labelweave.relations.noise import Mislabelled, Noise, NoiseReport
from labelweave.relations.noisy_or import NoisyOr
from labelweave.relations.relatedness import Relatedness
from labelweave.relations.relation import Relation
from labelweave.remarks import Remark
from labelweave.tasks import Binary, Multiclass, Multilabel

# all that may be made from a file
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Binary, Estimate, Evidence, Interval, LabelEvidence, Mislabelled, Multiclass, Multilabel,
        Noise, NoiseReport, NoisyOr, Proposal, Relatedness, Relation, TaskPair,
    )
}  # fmt: skip
Arrays = dict[str, NDArray[Any]]


def save_relatedness(found: Relatedness, path: Path) -> None:
    """Write a relatedness, whole or not at all.

    Raises:
        WriteError: the file cannot be written.
    """
    arrays: Arrays = {}
    text = json.dumps(_written(found, arrays))
    make_folder(path.parent)
    with replacing(path) as temporary:
        # safetensors' own writing has errors of its own for a full disk
        temporary.write_bytes(save(arrays, metadata={"relatedness": text}))


def load_relatedness(path: Path) -> Relatedness | None:
    """Return what was written; None where there is nothing, or a damaged file."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "numpy") as file:
            found = _read(json.loads(file.metadata()["relatedness"]), file.get_tensor)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, Relatedness) else None


def _written(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, Remark):
        return {"code": value.code, "values": _written(dict(value.values), arrays)}
    if isinstance(value, np.ndarray):
        name = f"array {len(arrays)}"
        arrays[name] = np.ascontiguousarray(value)
        return {"array": name, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return {"tuple": [_written(each, arrays) for each in value]}
    if isinstance(value, list):
        return [_written(each, arrays) for each in value]
    if isinstance(value, dict):
        return {"dict": [[_written(k, arrays), _written(v, arrays)] for k, v in value.items()]}
    if is_dataclass(value):
        named = {each.name: getattr(value, each.name) for each in fields(value)}
        return {"of": type(value).__name__, "fields": _written(named, arrays)}
    return value


def _read(value: Any, array: Callable[[str], NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_read(each, array) for each in value]
    if not isinstance(value, dict):
        return value
    if "code" in value:
        return Remark(value["code"], **_read(value["values"], array))
    if "array" in value:
        found = array(value["array"]).reshape(value["shape"])
        found.setflags(write=False)
        return found
    if "tuple" in value:
        return tuple(_read(each, array) for each in value["tuple"])
    if "dict" in value:
        return {_read(k, array): _read(v, array) for k, v in value["dict"]}
    kind = KINDS[value["of"]]
    # constructors check and normalise, which was done before it was written
    made = object.__new__(kind)
    for name, each in _read(value["fields"], array).items():
        object.__setattr__(made, name, each)
    return made
