"""The training data as Croissant, JSON-LD: files with their hashes, columns, labels, licence.

https://docs.mlcommons.org/croissant/docs/croissant-spec.html, version 1.0: all properties that it
requires. It holds names of files and columns; no row and no value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from labelweave.errors import LabelweaveError
from labelweave.trust._audit import file_hash

CONFORMS = "http://mlcommons.org/croissant/1.0"
CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
    "repeated": "cr:repeated", "replace": "cr:replace", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
FORMATS = {
    ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".txt": "text/plain",
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": "application/vnd.apache.arrow.file",
    ".feather": "application/vnd.apache.arrow.file", ".jsonl": "application/jsonlines",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
TYPES = {"number": "sc:Float", "date": "sc:Date"}  # by the schema's; others are text


@dataclass(frozen=True)
class DataColumn:
    """A column of a file.

    Attributes:
        column: its name in the file.
        name: what the study calls it.
        kind: ``number``, ``date`` or another type of the schema.
        label: whether it holds labels.
    """

    column: str
    name: str
    kind: str = "text"
    label: bool = False


@dataclass(frozen=True)
class DataFile:
    """A file of the training data.

    Attributes:
        source: the data set that it belongs to.
        path: where it lies.
        url: its address from the description, mostly its name.
        columns: those that the study uses.
        licence: of the data set; None = not given.
    """

    source: str
    path: Path
    url: str
    columns: Sequence[DataColumn]
    licence: str | None = None


def croissant(
    name: str,
    files: Sequence[DataFile],
    *,
    description: str,
    url: str,
    creator: str,
    license: str | None = None,
    published: date | None = None,
) -> dict[str, Any]:
    """Return the description of a data set, JSON-able.

    Args:
        name: of the data set.
        files: its files.
        description: what it is.
        url: of its page.
        creator: the organisation that made it.
        license: an SPDX identifier or an address; None = those of the files.
        published: when; None = today.

    Raises:
        LabelweaveError: no file, no licence at all, or a file that cannot be read.
    """
    if not files:
        raise LabelweaveError("croissant: found no file, expected at least one table")
    licences = list(dict.fromkeys(each.licence for each in files if each.licence))
    if license is not None:
        licences = [license]
    if not licences:
        raise LabelweaveError(
            "croissant: found no licence, expected --license, or a key 'license' of each source"
        )
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": name,
        "description": description,
        "license": [_licence_url(each) for each in licences],
        "url": url,
        "creator": {"@type": "sc:Organization", "name": creator},
        "datePublished": (published or date.today()).isoformat(),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"file-{number}",
                "name": each.path.name,
                "contentUrl": each.url,
                "encodingFormat": FORMATS.get(each.path.suffix.lower(), "application/octet-stream"),
                "contentSize": f"{each.path.stat().st_size} B",
                "sha256": file_hash(each.path),
            }
            for number, each in enumerate(files, start=1)
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": f"records-{number}",
                "name": each.source,
                "field": [_field(column, number) for column in each.columns],
            }
            for number, each in enumerate(files, start=1)
        ],
    }


def _field(column: DataColumn, number: int) -> dict[str, Any]:
    kind = TYPES.get(column.kind, "sc:Text")
    return {
        "@type": "cr:Field",
        "@id": f"records-{number}/{column.name}",
        "name": column.name,
        "dataType": [kind, "cr:Label"] if column.label else kind,
        "source": {"fileObject": {"@id": f"file-{number}"}, "extract": {"column": column.column}},
    }


def _licence_url(licence: str) -> str:
    """Return the address of a licence that has an SPDX identifier, as the spec recommends."""
    if "://" in licence or " " in licence or licence.lower() == "own":
        return licence
    return f"https://spdx.org/licenses/{licence}.html"
