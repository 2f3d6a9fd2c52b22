"""Rows of one shape, kept on disk by the hash of what they were made from, and memory-mapped."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError
from labelweave.files import write_text

KEY = 16  # bytes of a key, which is written as twice as many hexadecimal digits


class RowStore:
    """Rows that are only ever added to, each found by its key.

    ``rows.bin`` holds the rows one after another, ``keys.bin`` their keys. A row counts once its
    key is written, so whatever interrupts the writing costs at most the last block. One process
    adds at a time, any number read.

    Args:
        folder: where it is, made where needed.
        shape: that of a row.
        dtype: numpy's name of the type of its elements.
        about: what the rows are; a store of something else is refused.

    Raises:
        LabelweaveError: the folder holds rows of something else, or cannot be written.
    """

    def __init__(self, folder: Path, shape: Sequence[int], dtype: str, about: str) -> None:
        self.folder, self.shape, self.dtype = folder, tuple(shape), np.dtype(dtype)
        said = {"shape": list(shape), "dtype": dtype, "about": about}
        path = folder / "store.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_text(path, json.dumps(said))
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise LabelweaveError(f"{folder}: cannot be written ({error.strerror})") from None
        except ValueError:
            found = None
        if found != said:
            raise LabelweaveError(f"{folder}: holds something else; remove the folder")
        self._rows: dict[str, int] = {}
        self._read_keys()

    @property
    def row_bytes(self) -> int:
        """The bytes of a row."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def find(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of rows in `array`, (n,).

        Raises:
            LabelweaveError: one is not there.
        """
        try:
            return np.array([self._rows[key] for key in keys], dtype=np.int64)
        except KeyError as error:
            raise LabelweaveError(f"{self.folder}: found no row of key {error}") from None

    def array(self) -> NDArray[Any]:
        """Return all rows, (len, *shape), memory-mapped and read-only."""
        shape = (len(self), *self.shape)
        if not len(self):
            return np.empty(shape, self.dtype)
        return np.memmap(self.folder / "rows.bin", self.dtype, mode="r", shape=shape)

    @contextmanager
    def adding(self, expected: int) -> Iterator["Adder"]:
        """Give what adds rows; waits while another process adds.

        Args:
            expected: about how many will come, to find out first whether the disk has room.

        Raises:
            LabelweaveError: it has not, or a file cannot be written.
        """
        try:
            with FileLock(self.folder / "lock"):
                self._read_keys()
                needed, free = expected * self.row_bytes, shutil.disk_usage(self.folder).free
                if needed > free:
                    raise LabelweaveError(
                        f"{self.folder}: {expected} rows need {needed / 1e9:.1f} GB, "
                        f"found {free / 1e9:.1f} GB free"
                    )
                with _open(self.folder / "rows.bin") as rows, _open(self.folder / "keys.bin") as ks:
                    rows.truncate(len(self) * self.row_bytes)  # what came without its key
                    ks.truncate(len(self) * KEY)
                    rows.seek(0, os.SEEK_END)
                    ks.seek(0, os.SEEK_END)
                    yield Adder(self, rows, ks)
        except OSError as error:
            raise LabelweaveError(f"{self.folder}: cannot be written ({error.strerror})") from None

    def _read_keys(self) -> None:
        try:
            keys = (self.folder / "keys.bin").read_bytes()
            whole = (self.folder / "rows.bin").stat().st_size // self.row_bytes
        except FileNotFoundError:
            return
        whole = min(whole, len(keys) // KEY)
        named = keys[: whole * KEY].hex()
        width = 2 * KEY
        self._rows = {named[width * i : width * (i + 1)]: i for i in range(whole)}


class Adder:
    """Adds rows to a store that is locked for it."""

    def __init__(self, store: RowStore, rows: BinaryIO, keys: BinaryIO) -> None:
        self._store, self._rows_file, self._keys_file = store, rows, keys

    def add(self, keys: Sequence[str], rows: Sequence[NDArray[Any]]) -> None:
        """Add rows, of the store's shape, under their keys; those that are there stay."""
        known = self._store._rows
        fresh = {k: row for k, row in zip(keys, rows, strict=True) if k not in known}
        if not fresh:
            return
        block = np.stack(list(fresh.values())).astype(self._store.dtype, copy=False)
        self._rows_file.write(block.tobytes())
        _to_disk(self._rows_file)
        self._keys_file.write(bytes.fromhex("".join(fresh)))
        _to_disk(self._keys_file)
        for key in fresh:
            known[key] = len(known)


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, path.open("r+b" if path.exists() else "w+b"))


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
