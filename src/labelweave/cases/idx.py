"""Reading IDX, the file format of MNIST and its kin (LeCun et al., 1998)."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the unsigned bytes of an IDX file, compressed by gzip or not.

    The format: two zero bytes, the type (8 = unsigned byte), the number of dimensions, each
    dimension as a big-endian 32-bit number, then the values with the last dimension fastest.

    Raises:
        LabelweaveError: the file is no IDX file of unsigned bytes, or shorter or longer than its
            head says.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise LabelweaveError(f"{path}: damaged gzip file ({error})") from None
    if len(data) < 4 or data[:3] != bytes([0, 0, UNSIGNED_BYTE]) or len(data) < 4 + 4 * data[3]:
        raise LabelweaveError(f"{path}: found no head of an IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise LabelweaveError(
            f"{path}: found {len(data) - start} values, expected {math.prod(shape)} "
            f"for the shape {list(shape)} in its head"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)
