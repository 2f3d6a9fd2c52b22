"""Rows of one shape, kept on disk by the hash of what they were made from, and memory-mapped."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import ArrayLike, NDArray

from labelweave._files import LARGEST_TENSORS, check_regular, read_regular, replacing, write_text
from labelweave._parsing import read_json
from labelweave.errors import LabelweaveError, WriteError

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
            found = read_json(path)
        except WriteError:
            raise
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
            keys = read_regular(self.folder / "keys.bin", LARGEST_TENSORS)
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


State = tuple[int, int, str]  # size, time of the last change in nanoseconds, key


class FileIndex:
    """Paths with the keys of their contents, kept in a Parquet file.

    A file of the same size and time of last change counts as unchanged.

    Args:
        path: the Parquet file; one that is missing or damaged is an empty index.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._noted: dict[str, State] = {}
        self._known = _read(path)

    def key(self, path: str) -> str | None:
        """Return the key of a file's content; None = not known, or the file has changed."""
        found = self._known.get(path)
        if found is None:
            return None
        try:
            state = Path(path).stat()
        except OSError:
            return None
        return found[2] if found[:2] == (state.st_size, state.st_mtime_ns) else None

    def note(self, path: str, key: str) -> None:
        """Remember the key of a file that was just read."""
        try:
            state = Path(path).stat()
        except OSError:
            return
        self._noted[path] = state.st_size, state.st_mtime_ns, key

    def save(self) -> None:
        """Write the noted entries, together with what others wrote meanwhile."""
        if not self._noted:
            return
        self._known = {**_read(self.path), **self._noted}
        frame = pd.DataFrame.from_dict(
            self._known, orient="index", columns=["size", "changed", "key"]
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as temporary:
            frame.rename_axis("path").reset_index().to_parquet(temporary, index=False)
        self._noted = {}


def _read(path: Path) -> dict[str, State]:
    try:
        check_regular(path)
        frame = pd.read_parquet(path)
        columns = (frame[name].tolist() for name in ("size", "changed", "key"))
        return dict(zip(frame["path"], zip(*columns, strict=True), strict=True))
    except (OSError, ValueError, KeyError):  # it only saves time
        return {}


Statistic = NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Block:
    """n rows of an array that many folds share.

    Attributes:
        array: all rows, (N, ...), mostly memory-mapped.
        index: where the n rows are in it, int64 (n,).
        keys: what identifies their contents, (n,), or the rows themselves.
        mean: what is taken off floats, (d,); None = they are taken as they are.
        scale: what they are divided by after that, (d,).
    """

    array: NDArray[Any]
    index: NDArray[np.int64]
    keys: NDArray[Any]
    mean: Statistic = None
    scale: Statistic = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a row."""
        return self.array.shape[1:]

    @property
    def row_bytes(self) -> int:
        """The bytes of a row where it is stored."""
        return int(np.prod(self.shape)) * self.array.dtype.itemsize

    def rows(self, chosen: Any) -> "Block":
        """Return the block of some of the rows."""
        return replace(self, index=self.index[chosen], keys=self.keys[chosen])

    def read(self) -> NDArray[Any]:
        """Return the rows in memory, (n, ...); floats of any kind as float32, standardised."""
        return _standardised(self.array[self.index], self.mean, self.scale)


class KeptRows(Protocol):
    """Rows that are found by keys: a `RowStore`, or rows in memory."""

    def array(self) -> NDArray[Any]:
        """Return all rows, (N, ...)."""
        ...

    def find(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of rows in `array`, (n,)."""
        ...


class ValueReader(Protocol):
    """What can read values, such as the paths of images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what a value becomes."""
        ...

    def read(self, values: Sequence[str]) -> NDArray[Any]:
        """Return what n values become, (n, *shape)."""
        ...


@dataclass(frozen=True, eq=False)
class Unread:
    """n rows that are read from files, or computed, each time they are wanted.

    Attributes:
        reader: reads them.
        values: what it reads, (n,).
        mean: what is taken off floats, (d,); None = they are taken as they are.
        scale: what they are divided by after that, (d,).
    """

    reader: ValueReader
    values: NDArray[np.object_]
    mean: Statistic = None
    scale: Statistic = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a row."""
        return self.reader.shape

    @property
    def row_bytes(self) -> int:
        """About the bytes of a row."""
        return int(np.prod(self.shape))

    def rows(self, chosen: Any) -> "Unread":
        """Return the block of some of the rows."""
        return replace(self, values=self.values[chosen])

    def read(self) -> NDArray[Any]:
        """Read the rows, (n, ...); floats of any kind as float32, standardised."""
        return _standardised(self.reader.read(list(self.values)), self.mean, self.scale)


class StoredInputs:
    """n rows of inputs, gathered when asked for: one block, or floats of several side by side.

    ``inputs[rows]`` picks rows and reads nothing; ``np.asarray(inputs)`` reads.

    Args:
        blocks: of the same n rows; several hold floats of shape (n, d).
    """

    def __init__(self, blocks: Sequence[Block | Unread]) -> None:
        self.blocks = tuple(blocks)

    def __len__(self) -> int:
        return len(self.blocks[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the rows together."""
        if len(self.blocks) == 1:
            return (len(self), *self.blocks[0].shape)
        return len(self), sum(block.shape[0] for block in self.blocks)

    @property
    def row_bytes(self) -> int:
        """The bytes of a row where it is stored."""
        return sum(block.row_bytes for block in self.blocks)

    def __getitem__(self, chosen: Any) -> "StoredInputs":
        return StoredInputs([block.rows(chosen) for block in self.blocks])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        parts = [block.read() for block in self.blocks]
        found = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return found if dtype is None else found.astype(dtype, copy=False)

    def content(self) -> list[NDArray[Any]]:
        """Return what identifies these rows, to be hashed; nothing stored is read."""
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        parts = [part for block in blocks for part in (block.keys, block.mean, block.scale)]
        return [part for part in parts if part is not None]


Inputs = NDArray[np.float32] | StoredInputs


def as_keys(keys: ArrayLike) -> NDArray[Any]:
    """Return content keys in the form of `Block.keys`, 32 bytes each."""
    return np.asarray(keys, dtype="S32")


def _standardised(found: NDArray[Any], mean: Statistic, scale: Statistic) -> NDArray[Any]:
    if not np.issubdtype(found.dtype, np.floating):
        return found
    values: NDArray[np.float32] = found.astype(np.float32)
    return values if mean is None or scale is None else (values - mean) / scale
