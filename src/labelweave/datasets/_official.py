"""Official files: found, read line by line, with errors that name the file and the line."""

import gzip
import io
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from labelweave._files import LARGEST_TENSORS, open_regular, read_regular, read_text, unreadable
from labelweave._options import Options
from labelweave._progress import items_bar
from labelweave.errors import LabelweaveError, listing, nearest

Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""A whole number in the options of a reader."""


def found(root: Path, *names: str, what: str) -> Path:
    """Return the first of some files or folders below `root` that exists.

    Args:
        root: the data set's folder.
        names: where it may be, relative to `root`; the first is the official place.
        what: what it is, for the error.

    Raises:
        LabelweaveError: there is none, naming the official place and what lies next to it.
    """
    if not root.is_dir():
        raise LabelweaveError(f"{root}: no such folder, expected the one with {what}")
    for name in names:
        if (root / name).exists():
            return root / name
    path = root / names[0]
    others = "".join(f" (nor {name})" for name in names[1:])
    siblings = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
    raise LabelweaveError(
        f"{path}: no such file or folder{others}, expected {what}{nearest(path.name, siblings)}"
    )


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that are not empty, with their numbers from 1.

    Raises:
        LabelweaveError: not a text file in UTF-8, or it cannot be read.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise unreadable(path, error) from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def _opened(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", errors="replace")


def wrong_line(path: Path, number: int, line: str, expected: str) -> LabelweaveError:
    """Return the error of a line that is not as expected; long ones are cut."""
    shown = line if len(line) <= 80 else f"{line[:77]}..."
    return LabelweaveError(f"{path}: line {number}: found {shown!r}, expected {expected}")


def check_images(root: Path, names: Sequence[str], listed: Path) -> None:
    """Raise `LabelweaveError` where images that a file lists are missing."""
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise LabelweaveError(
            f"{root / missing[0]}: no such image{more}, expected all {len(names)} that "
            f"{listed} lists"
        )


def numbered(folder: Path, suffixes: Sequence[str]) -> dict[int, str]:
    """Return the files of a folder that are numbered, as 00001.jpg or video_00001.jpg, by number.

    Raises:
        LabelweaveError: the folder holds none, or two of one number.
    """
    files: dict[int, str] = {}
    for path in sorted(folder.iterdir()):
        number = re.search(r"\d+$", path.stem, re.ASCII)
        if path.suffix.lower() in suffixes and number:
            other = files.setdefault(int(number.group()), path.name)
            if other != path.name:
                raise LabelweaveError(
                    f"{path}: found the number of '{other}', expected one file a frame"
                )
    if not files:
        raise LabelweaveError(
            f"{folder}: found no frame, expected files such as 00001 with {listing(suffixes)}"
        )
    return files


@dataclass(frozen=True)
class DataSet:
    """One published data set as a table of images and labels.

    Attributes:
        table: a row an image. Column ``image`` is its path, relative to the root; the labels stand
            in the columns of the tasks, missing = None or NaN.
        tasks: the tasks as a study file describes them, for example
            ``{"name": "expression", "classes": [...]}`` or
            ``{"name": "action_units", "kind": "multilabel", "labels": ["AU1", ...]}``.
        group: column of the person or thing whose rows must stay on one side of a split.
        part: column with the official part of a row, ``train``, ``validation`` or ``test``.
        knowledge: tables that the data set itself ships (class by attribute), by file name; the
            first column is the source task's.
        notes: messages on what was read and what was left out, a line each.
    """

    table: pd.DataFrame
    tasks: tuple[Mapping[str, Any], ...]
    group: str | None = None
    part: str | None = None
    knowledge: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """How to read a data set.

    Args:
        read: reads the folder of the official files, given all options by name; raises
            `LabelweaveError`, naming the file or folder that is missing or wrong.
        title: the data set's full name.
        source: where to request or get it, in words.
        licence: under which terms.
        paper: who made it.
        metric: what papers report.
        options: the options of `read`, with types that a study file can hold (str, int, bool,
            Literal, list, None) and their defaults.
    """

    read: Callable[..., DataSet]
    title: str
    source: str
    licence: str
    paper: str
    metric: str
    options: type[Options] = Options

    def __call__(self, root: Path, **options: Any) -> DataSet:
        """Return the data set of a folder, with the defaults of the options not given."""
        self.check_options(options)
        return self.read(root, **dict(self.options(**options)))

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Raise `LabelweaveError` for an option that the reader does not have, or a wrong value."""
        known = self.options.model_fields
        for name, value in given.items():
            if name not in known:
                expected = listing(known) or "none"
                raise LabelweaveError(
                    f"no option '{name}', expected {expected}{nearest(name, known)}"
                )
            kind = known[name].rebuild_annotation()
            try:
                TypeAdapter(kind).validate_python(value, strict=True)
            except ValidationError:
                expected = option_words(kind)
                raise LabelweaveError(
                    f"option '{name}': found {value!r}, expected {expected}"
                ) from None


def option_words(kind: Any) -> str:
    """Return a type of an option in words, for example ``'basic' or 'compound'``."""
    if get_origin(kind) is Literal:
        return " or ".join(repr(value) for value in get_args(kind))
    parts = get_args(kind)
    if get_origin(kind) is Annotated:
        bounds = TypeAdapter(kind).json_schema()
        return f"{option_words(parts[0])} from {bounds['minimum']:,} to {bounds['maximum']:,}"
    if parts and get_origin(kind) is not list:  # a union
        return " or ".join(option_words(part) for part in parts)
    if get_origin(kind) is list:
        return f"a list of {option_words(parts[0])}"
    words = {int: "a whole number", str: "a text", bool: "true or false", type(None): "null"}
    return words.get(kind, getattr(kind, "__name__", str(kind)))


def read_matlab(path: Path, *keys: str) -> dict[str, NDArray[Any]]:
    """Return some variables of a file; cell arrays of texts become arrays of objects.

    Raises:
        LabelweaveError: the file cannot be read, or lacks a variable.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path)
    except (MatReadError, ValueError, NotImplementedError, TypeError, OSError):
        raise LabelweaveError(f"{path}: not a MATLAB file of version 5 to 7") from None
    held = [name for name in found if not name.startswith("__")]
    for key in keys:
        if key not in found:
            raise LabelweaveError(f"{path}: found {listing(held)}, expected '{key}' among them")
    return {key: np.asarray(found[key]) for key in keys}


def texts(cells: NDArray[Any]) -> list[str]:
    """Return the texts of a cell array, or the rows of a character array."""
    return [str(np.asarray(cell).ravel()[0]).strip() for cell in cells.ravel()]


def counted_rows(path: Path, *, progress: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a file that starts with their number and a line of column names.

    CelebA and DeepFashion share this form. The file is read line by line, for some are large.

    Args:
        path: the file.
        progress: show a bar, on a terminal.

    Yields:
        The number of the line, from 1, and its fields; the first is line 2, the column names.

    Raises:
        LabelweaveError: no number in line 1, or more or fewer rows than it says.
    """
    with _opened(path) as file, items_bar(progress) as bar:
        first = file.readline().strip()
        if not (first.isascii() and first.isdigit()):
            raise wrong_line(path, 1, first, "the number of rows that follow the column names")
        yield 2, file.readline().split()
        count, shown = 0, bar.add_task(f"Reading {path.name}", total=int(first))
        for number, line in enumerate(file, start=3):
            if fields := line.split():
                count += 1
                yield number, fields
                bar.advance(shown)
    if count != int(first):
        raise LabelweaveError(f"{path}: found {count} rows, expected {first}, as its line 1 says")


def codes_of(
    path: Path, number: int, fields: Sequence[str], width: int, meaning: Mapping[str, int]
) -> NDArray[np.int8]:
    """Return the codes of a row's texts, (width,), -1 = missing.

    Args:
        path: the file, for the error.
        number: the number of the line, for the error.
        fields: the texts.
        width: how many there should be.
        meaning: the code of each text that may stand there.

    Raises:
        LabelweaveError: another number of texts, or one without a meaning.
    """
    codes = [meaning.get(text) for text in fields]
    if len(codes) != width or None in codes:
        shown = ", ".join(sorted(meaning, key=int))
        line = " ".join(fields)
        raise wrong_line(path, number, line, f"{width} numbers, each one of {shown}")
    return np.array(codes, dtype=np.int8)


def matrix(path: Path, rows: int, columns: int, what: str) -> NDArray[np.float64]:
    """Return a matrix of numbers that stand in lines, with spaces, (rows, columns).

    Args:
        path: the file.
        rows: expected rows.
        columns: expected columns.
        what: what a row and a column are, for the error.

    Raises:
        LabelweaveError: another shape, or something that is no number.
    """
    found: list[NDArray[np.float64]] = []
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if fields := line.split():
                try:
                    values = np.array(fields, dtype=np.float64)
                except ValueError:
                    values = np.empty(0)
                if len(values) != columns:
                    raise wrong_line(path, number, line.strip(), f"{columns} numbers ({what})")
                found.append(values)
    if len(found) != rows:
        raise LabelweaveError(f"{path}: found {len(found)} rows, expected {rows} ({what})")
    return np.stack(found)


UNSIGNED_BYTE = 0x08
LARGEST_UNPACKED = 1 << 31  # bytes


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the unsigned bytes of an IDX file, compressed by gzip or not.

    The format: two zero bytes, the type (8 = unsigned byte), the number of dimensions, each
    dimension as a big-endian 32-bit number, then the values with the last dimension fastest.

    Raises:
        LabelweaveError: the file is no IDX file of unsigned bytes, or shorter or longer than its
            head says.
    """
    data = read_regular(path, LARGEST_TENSORS)
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(LARGEST_UNPACKED)  # a small file may hold no end of zeros
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


Protocol = Literal["official", "shared"]
TEST_EVERY = 5
VALIDATION_EVERY = 10


def shared_parts(owner: pd.Series) -> pd.Series:
    """Return the part of every row such that each owner with five rows or more is in all of them.

    The fifth, tenth, ... row of an owner (a person, a species) is ``test``, the ninth, nineteenth,
    ... ``validation``, all others ``train``, in the order of the rows: the same for every seed.

    Args:
        owner: (n,) whose row it is.
    """
    place = owner.groupby(owner).cumcount().to_numpy() + 1
    test = place % TEST_EVERY == 0
    validation = place % VALIDATION_EVERY == VALIDATION_EVERY - 1
    parts = np.select([test, validation], ["test", "validation"], "train")
    return pd.Series(parts, index=owner.index)


def most_frequent(owner: pd.Series, count: int | None) -> pd.Series:
    """Return whether a row belongs to one of the `count` owners with the most rows; None = all."""
    sizes = owner.value_counts(sort=False).sort_values(ascending=False, kind="stable")
    return owner.isin(sizes.index[:count])


def disjoint(owner: pd.Series, part: pd.Series) -> bool:
    """Return whether no owner has rows in the test part and elsewhere."""
    test = part == "test"
    return not set(owner[test]) & set(owner[~test])


def hide_unknown(identity: pd.Series, part: pd.Series) -> pd.Series:
    """Return the identities, missing where none of the training rows has them."""
    known = set(identity[part == "train"])
    return identity.where(identity.isin(known), None)


@dataclass(frozen=True)
class Case:
    """How to write a case study.

    Args:
        writer: writes tables and study file to a folder; returns the study file.
        k: labels of each class, unless asked otherwise.
        reads_files: whether the data are files of the user; else they come with a package.
        root: where these usually are; None = the user has to say.
        title: what it is, in a line.
        limited: whether fewer rows can be asked for, though it reads no files.
    """

    writer: Callable[..., Path]
    k: int
    reads_files: bool = False
    root: Path | None = None
    title: str = ""
    limited: bool = False

    def write(
        self,
        folder: Path,
        seeds: int,
        k: int | None = None,
        root: Path | None = None,
        rows: int | None = None,
        others: int | None = None,
    ) -> Path:
        """Write the case to a folder; return its study file.

        Args:
            folder: made where needed.
            seeds: number of seeds.
            k: labels of each class; None = the case's own.
            root: folder of the data set's official files; None = where they usually are.
            rows: the first rows of the training part to use; None = the case's own.
            others: other rows, which carry the other tasks' labels; None = the case's own.

        Raises:
            LabelweaveError: files are missing or damaged, or asked for where there are none.
        """
        options: dict[str, Any] = {"root": root or self.root, "rows": rows}
        options = {name: value for name, value in options.items() if value is not None}
        refused = options.keys() - ({"rows"} if self.limited else set())
        if refused and not self.reads_files:
            raise LabelweaveError(
                f"--{min(refused)}: the data of this case come with a package, not as files"
            )
        if self.reads_files and "root" not in options:
            raise LabelweaveError("--root: found none, expected the folder of the official files")
        if others is not None:
            options["others"] = others
        return self.writer(folder, seeds, k or self.k, **options)


NAMES = ("classes", "labels")
USUAL = "multiclass"  # what a task is that says nothing


def joined_tasks(
    brought: Iterable[tuple[str, Sequence[Mapping[str, Any]]]],
) -> dict[str, dict[str, Any]]:
    """Return the tasks of all data sets by name, with the classes or labels of all of them.

    Args:
        brought: for each data set what errors call it, and its tasks as a study file says them.

    Raises:
        LabelweaveError: a task that is of another kind in another data set.
    """
    joined: dict[str, dict[str, Any]] = {}
    for place, tasks in brought:
        for task in tasks:
            known = joined.setdefault(task["name"], dict(task))
            for key in {**known, **task}:
                mine, other = task.get(key), known.get(key)
                if key in NAMES and mine and other:
                    known[key] = list(dict.fromkeys([*other, *mine]))
                elif key in NAMES:  # one of them takes its classes from the data: so do all
                    known.pop(key, None)
                elif mine != other:
                    raise LabelweaveError(
                        f"{place}: task '{task['name']}': found {key} '{mine or USUAL}', "
                        f"expected '{other or USUAL}' as in the other data sets"
                    )
    return joined
