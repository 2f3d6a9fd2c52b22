"""The same rows and labels, written in the formats of annotation tools."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SEVERITIES = ("minor", "major", "none at all")
DEFECTS = ("scratch", "dent", "割れ")


class Row(NamedTuple):
    """A row: its inputs, one answer, several answers; None = not asked."""

    image: str
    size: int
    severity: str | None
    defects: tuple[str, ...] | None


def label_studio(path: Path, rows: Sequence[Row], annotator: int = 1) -> None:
    tasks = []
    for number, row in enumerate(rows, start=1):
        result: list[dict[str, Any]] = []
        for name, chosen in (
            ("severity", None if row.severity is None else [row.severity]),
            ("defects", None if row.defects is None else list(row.defects)),
        ):
            if chosen is not None:
                result.append(
                    {
                        "id": f"r{number}", "from_name": name, "to_name": "image",
                        "type": "choices", "origin": "manual", "value": {"choices": chosen},
                    }
                )  # fmt: skip
        annotation = {
            "id": number, "completed_by": annotator, "was_cancelled": False,
            "ground_truth": False, "result": result,
        }  # fmt: skip
        data = {"image": row.image, "size": row.size}
        tasks.append({"id": number, "data": data, "annotations": [annotation], "predictions": []})
    path.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")


def prodigy(path: Path, rows: Sequence[Row]) -> None:
    lines = []
    for row in rows:
        base = {"image": row.image, "size": row.size, "_view_id": "choice"}
        for name, options, style, chosen in (
            ("severity", SEVERITIES, "single", None if row.severity is None else [row.severity]),
            ("defects", DEFECTS, "multiple", row.defects),
        ):
            lines.append(
                base | {
                    "options": [{"id": o, "text": o.upper()} for o in options],
                    "config": {"choice_style": style}, "meta": {"task": name},
                    "answer": "ignore" if chosen is None else "accept",
                    "accept": list(chosen or ()),
                }
            )  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def hugging_face(path: Path, rows: Sequence[Row]) -> None:
    number = {name: i for i, name in enumerate(SEVERITIES)}
    columns = {
        "image": pa.array([row.image for row in rows]),
        "size": pa.array([row.size for row in rows]),
        "severity": pa.array(
            [-1 if row.severity is None else number[row.severity] for row in rows], pa.int64()
        ),
        "defects": pa.array(
            [None if r.defects is None else [DEFECTS.index(d) for d in r.defects] for r in rows],
            pa.list_(pa.int64()),
        ),
    }
    features = {
        "image": {"dtype": "string", "_type": "Value"},
        "size": {"dtype": "int64", "_type": "Value"},
        "severity": {"names": list(SEVERITIES), "_type": "ClassLabel"},
        "defects": {"feature": {"names": list(DEFECTS), "_type": "ClassLabel"}, "_type": "List"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def _objects(row: Row) -> list[tuple[str, dict[str, str]]]:
    attributes = {} if row.severity is None else {"severity": row.severity}
    return [(name, attributes) for name in row.defects or ()]


def coco(path: Path, rows: Sequence[Row]) -> None:
    annotations = []
    for number, row in enumerate(rows, start=1):
        for name, attributes in _objects(row):
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "bbox": [0, 0, 5, 5],
                    "category_id": DEFECTS.index(name) + 1,
                    "attributes": attributes | {"occluded": False, "rotation": 0.0},
                }
            )  # fmt: skip
    content = {
        "licenses": [{"id": 1, "name": "CC BY 4.0", "url": ""}],
        "images": [{"id": n, "file_name": row.image} for n, row in enumerate(rows, start=1)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(DEFECTS, start=1)],
        "annotations": annotations,
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def datumaro(path: Path, rows: Sequence[Row]) -> None:
    items = [
        {
            "id": row.image,
            "image": {"path": row.image},
            "annotations": [
                {"id": 0, "type": "bbox", "label_id": DEFECTS.index(name), "attributes": attributes}
                for name, attributes in _objects(row)
            ],
        }
        for row in rows
    ]
    labels = [{"name": name, "parent": "", "attributes": []} for name in DEFECTS]
    content = {"info": {}, "categories": {"label": {"labels": labels}}, "items": items}
    path.write_text(json.dumps(content), encoding="utf-8")


def cvat(path: Path, rows: Sequence[Row]) -> None:
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for number, row in enumerate(rows):
        image = ElementTree.SubElement(root, "image", id=str(number), name=row.image)
        for name, attributes in _objects(row):
            box = ElementTree.SubElement(image, "box", label=name, xtl="0", ytl="0")
            for key, value in attributes.items():
                ElementTree.SubElement(box, "attribute", name=key).text = value
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def croissant(path: Path, rows: Sequence[Row]) -> None:
    table = pd.DataFrame(
        {
            "IMG": [row.image for row in rows],
            "SIZE": [row.size for row in rows],
            "SEV": [row.severity for row in rows],
            "SET": ["training" if i % 2 else "dev" for i in range(len(rows))],
            "unused": 0,
        }
    )
    table.to_csv(path.parent / "parts.csv", index=False)

    def field(name: str, column: str, kind: object) -> dict[str, Any]:
        source = {"fileObject": {"@id": "parts-file"}, "extract": {"column": column}}
        return {
            "@type": "cr:Field", "@id": f"default/{name}", "name": name, "dataType": kind,
            "source": source,
        }  # fmt: skip

    content = {
        "@context": {"sc": "https://schema.org/", "cr": "http://mlcommons.org/croissant/"},
        "@type": "sc:Dataset",
        "name": "parts",
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "distribution": [
            {
                "@type": "cr:FileObject", "@id": "parts-file", "encodingFormat": "text/csv",
                "contentUrl": "https://example.org/files/parts.csv",
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "default",
                "field": [
                    field("image", "IMG", "sc:Text"),
                    field("size", "SIZE", "sc:Integer"),
                    field("severity", "SEV", ["sc:Text", "cr:Label"]),
                    field("part", "SET", ["sc:Text", "cr:Split"]),
                ],
            }
        ],
    }  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")
