"""Salted hashes of encoded rows: which rows a model was trained on, without keeping any input."""

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from labelweave._files import LARGEST_TENSORS, check_regular, replacing
from labelweave.data._row_store import Inputs
from labelweave.errors import LabelweaveError

FILE = "rows.safetensors"
SALT = 16  # bytes
CHUNK = 1 << 26  # bytes of rows hashed at a time


def row_hashes(encoded: Inputs, salt: bytes) -> NDArray[np.uint64]:
    """Return a salted hash of 64 bits of every encoded row, (n,)."""
    found = np.zeros(len(encoded), np.uint64)
    step = max(1, CHUNK // (4 * max(1, math.prod(encoded.shape[1:]))))
    for start in range(0, len(encoded), step):
        block = np.ascontiguousarray(np.asarray(encoded[start : start + step]))
        block = block.reshape(len(block), -1) + block.dtype.type(0)  # -0.0 is 0.0
        found[start : start + len(block)] = [
            int.from_bytes(hashlib.blake2b(row.data, digest_size=8, key=salt).digest(), "little")
            for row in block
        ]
    return found


def write_row_hashes(folder: Path, hashes: NDArray[np.uint64], salt: bytes) -> None:
    """Write the hashes of a model's rows to its folder.

    Args:
        folder: the model's.
        hashes: of `row_hashes`.
        salt: that of the hashes.
    """
    tensors: dict[str, NDArray[Any]] = {
        "rows": np.unique(hashes),
        "salt": np.frombuffer(salt, np.uint8),
    }
    with replacing(folder / FILE) as temporary:
        temporary.write_bytes(save(tensors))


def seen_rows(folder: Path, encoded: Inputs) -> NDArray[np.bool_] | None:
    """Return which encoded rows are rows that a model was trained on, (n,); None = not recorded.

    Args:
        folder: the model's.
        encoded: n rows, encoded by the model's encoder.

    Raises:
        LabelweaveError: a damaged file.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        check_regular(path, LARGEST_TENSORS)
        kept = load_file(path)
        known, salt = kept["rows"], kept["salt"].astype(np.uint8).tobytes()
        if not 0 < len(salt) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise ValueError(f"a salt of {len(salt)} bytes")
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise LabelweaveError(f"{path}: cannot be read ({error})") from None
    return np.isin(row_hashes(encoded, salt), known)
