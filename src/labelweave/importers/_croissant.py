"""Croissant: the files, columns and licence in a data set's description (JSON-LD).

https://docs.mlcommons.org/croissant/docs/croissant-spec.html, version 1.0 and later. The files are
read where they lie next to the description; nothing is downloaded.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.importers._json_files import expect, read_json_file, shown

MOST_FIELDS = 5_000
PARTS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "dev": "validation", "test": "test",
}  # fmt: skip


@dataclass(frozen=True)
class RecordFile:
    """A file of a data set, and what its columns are called.

    Attributes:
        path: the file, next to the description.
        columns: by column of the file the field's name.
        labels: the fields that the description marks as labels.
        part: the field that holds the official part of a row, or None.
    """

    path: Path
    columns: dict[str, str]
    labels: tuple[str, ...]
    part: str | None


@dataclass(frozen=True)
class Description:
    """What a description says: name, licence (None = it names none) and the files of records."""

    name: str
    licence: str | None
    files: tuple[RecordFile, ...]


def read_croissant(path: Path) -> Description:
    """Return the files with columns (CSV, TSV, Parquet, ...) that a description names.

    Raises:
        LabelweaveError: no description in Croissant, a path that leaves its folder, or no field
            that is a column of a file.
    """
    content = expect(read_json_file(path), dict, str(path))
    kind = str(content.get("@type", ""))
    if not kind.endswith("Dataset"):
        raise LabelweaveError(
            f"{path}: found @type {shown(content.get('@type'))}, "
            "expected a 'sc:Dataset' of Croissant"
        )
    objects: dict[str, str] = {}
    for number, entry in enumerate(_listed(content, "distribution", path), start=1):
        place = f"{path}: distribution {number}"
        identity = _identity(expect(entry, dict, place), place)
        objects[identity] = str(entry.get("contentUrl") or identity)
    files: dict[str, tuple[dict[str, str], list[str], list[str]]] = {}
    for number, record_set in enumerate(_listed(content, "recordSet", path), start=1):
        place = f"{path}: recordSet {number}"
        fields = _listed(expect(record_set, dict, place), "field", path)
        if len(fields) > MOST_FIELDS:
            raise LabelweaveError(
                f"{place}: found {len(fields):,} fields, expected at most {MOST_FIELDS:,}"
            )
        for index, entry in enumerate(fields, start=1):
            where = f"{place}, field {index}"
            _read_field(expect(entry, dict, where), where, objects, files)
    if not files:
        raise LabelweaveError(f"{path}: no field is a column of a file, found none to read")
    found = tuple(
        RecordFile(
            _sibling(path, objects[key]), columns, tuple(labels), parts[0] if parts else None
        )
        for key, (columns, labels, parts) in files.items()
    )
    licences = content.get("license")
    named = licences if isinstance(licences, list) else [licences]
    texts = [
        str(each.get("name") or each.get("url") or "") if isinstance(each, dict) else str(each)
        for each in named
        if each
    ]
    return Description(str(content.get("name") or path.stem), ", ".join(texts) or None, found)


def _read_field(
    entry: dict[str, Any],
    place: str,
    objects: dict[str, str],
    files: dict[str, tuple[dict[str, str], list[str], list[str]]],
) -> None:
    source = entry.get("source")
    if not isinstance(source, dict):
        return
    extract = source.get("extract")
    column = extract.get("column") if isinstance(extract, dict) else None
    holder = source.get("fileObject")
    if column is None or holder is None:
        return  # of a set of files, such as images, or of an archive's content
    key = holder.get("@id") if isinstance(holder, dict) else holder
    if not isinstance(key, str) or key not in objects:
        raise LabelweaveError(
            f"{place}: found the file {shown(key)}, expected one of {listing(objects)}"
            f"{nearest(key, objects)}"
        )
    identity = entry.get("name") or _identity(entry, place).rpartition("/")[2]
    name = expect(identity, str, f"{place}, key 'name'")
    columns, labels, parts = files.setdefault(key, ({}, [], []))
    columns[expect(column, str, f"{place}, key 'column'")] = name
    types = entry.get("dataType")
    listed = types if isinstance(types, list) else [types]
    kinds = {str(kind).rpartition(":")[2] for kind in listed}
    if "Label" in kinds:
        labels.append(name)
    references = entry.get("references")
    target = references.get("field", references) if isinstance(references, dict) else None
    referenced = str(target.get("@id", "")) if isinstance(target, dict) else ""
    if "Split" in kinds or "split" in referenced.lower():
        parts.append(name)


def _identity(entry: dict[str, Any], place: str) -> str:
    return str(expect(entry.get("@id") or entry.get("name"), str, f"{place}, key '@id'"))


def _listed(content: dict[str, Any], key: str, path: Path) -> list[Any]:
    found = content.get(key, [])
    return list(expect([found] if isinstance(found, dict) else found, list, f"{path}: '{key}'"))


def _sibling(path: Path, url: str) -> Path:
    """Return the file that an address names next to the description.

    Raises:
        LabelweaveError: it would lie outside the description's folder.
    """
    # what is on the network is looked for by its name here
    name = url.rpartition("/")[2] if "://" in url else url
    parts = PurePosixPath(name)
    if not name or parts.is_absolute() or ".." in parts.parts:
        raise LabelweaveError(f"{path}: found the file {shown(url)}, expected one in its folder")
    return path.parent / parts


def official_part(value: Any) -> str | None:
    """Return train, validation or test for the name of a split; None = another."""
    return PARTS.get(str(value).strip().lower())
