"""COCO, Datumaro and CVAT: images with objects, read as labels of whole images.

An image's objects give two kinds of labels: their categories (which of them are on the image), and
their attributes, such as a severity, where all objects of the image that have it agree.

Formats: https://cocodataset.org/#format-data, https://docs.cvat.ai/docs/manual/advanced/formats/,
https://open-edge-platform.github.io/datumaro.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from labelweave.errors import LabelweaveError, listing
from labelweave.importers._answers import Answers, Sample
from labelweave.importers._json_files import checked_file, expect, member, read_json_file, shown

IMAGE, CATEGORY = "image", "category"
DEEPEST = 20  # elements inside each other in a CVAT file
GEOMETRY = {"rotation", "occluded", "track_id", "keyframe", "outside"}  # of CVAT: no labels


class Objects(NamedTuple):
    """The images of a file with their objects' categories and attributes."""

    samples: list[Sample]
    categories: list[str]
    licence: str | None
    notes: list[str]


def read_coco(path: Path) -> Objects:
    """Return the images of a COCO file (instances or image labels).

    Raises:
        LabelweaveError: no COCO file; names list, number and key.
    """
    content = expect(read_json_file(path), dict, str(path))
    images = _numbered(content, "images", path)
    categories = {
        entry["id"]: member(entry, "name", str, place)
        for place, entry in _numbered(content, "categories", path)
    }
    objects: dict[Any, list[tuple[str | None, Mapping[str, Any]]]] = {
        entry["id"]: [] for _, entry in images
    }
    given = member(content, "annotations", list, str(path))
    for number, entry in enumerate(given, start=1):
        place = f"{path}: annotations {number}"
        expect(entry, dict, place)
        image, category = entry.get("image_id"), entry.get("category_id")
        if not _is_id(image) or image not in objects:
            raise LabelweaveError(f"{place}: found image_id {shown(image)}, which no image has")
        if category is not None and (not _is_id(category) or category not in categories):
            raise LabelweaveError(
                f"{place}: found category_id {shown(category)}, which no category has"
            )
        attributes = expect(entry.get("attributes", {}), dict, f"{place}, key 'attributes'")
        objects[image].append((categories.get(category), attributes))
    licences = [
        str(entry.get("name") or entry.get("url") or "")
        for entry in content.get("licenses") or []
        if isinstance(entry, dict)
    ]
    named = {
        member(entry, "file_name", str, place): objects[entry["id"]] for place, entry in images
    }
    return _images(named, list(categories.values()), ", ".join(filter(None, licences)) or None)


def read_datumaro(path: Path) -> Objects:
    """Return the items of a Datumaro file (JSON); only those with an image's path.

    Raises:
        LabelweaveError: no Datumaro file; names item and key.
    """
    content = expect(read_json_file(path), dict, str(path))
    known = member(content, "categories", dict, str(path)).get("label", {})
    listed = expect(known, dict, f"{path}: categories").get("labels", [])
    labels = []
    for number, entry in enumerate(expect(listed, list, f"{path}: labels"), start=1):
        place = f"{path}: label {number}"
        labels.append(member(expect(entry, dict, place), "name", str, place))
    named: dict[str, list[tuple[str | None, Mapping[str, Any]]]] = {}
    for number, item in enumerate(member(content, "items", list, str(path)), start=1):
        place = f"{path}: item {number}"
        expect(item, dict, place)
        image = item.get("image") or item.get("media") or {}
        name = expect(image, dict, f"{place}, key 'image'").get("path") or item.get("id")
        found = named.setdefault(expect(name, str, f"{place}, key 'id'"), [])
        for index, entry in enumerate(item.get("annotations") or [], start=1):
            where = f"{place}, annotation {index}"
            expect(entry, dict, where)
            label = entry.get("label_id")
            if label is not None and not (
                isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(labels)
            ):
                raise LabelweaveError(
                    f"{where}: found label_id {shown(label)}, expected 0 to {len(labels) - 1}"
                )
            attributes = expect(entry.get("attributes", {}), dict, f"{where}, key 'attributes'")
            found.append((None if label is None else labels[label], attributes))
    return _images(named, labels, None)


def read_cvat(path: Path) -> Objects:
    """Return the images of a file "CVAT for images" (XML).

    Raises:
        LabelweaveError: no such file, or a document type, which may expand without bound.
    """
    checked_file(path)
    named: dict[str, list[tuple[str | None, Mapping[str, Any]]]] = {}
    depth, root, last = 0, "", b""
    try:
        with path.open("rb") as file:
            parser: ElementTree.XMLPullParser[Any] = ElementTree.XMLPullParser(("start", "end"))
            while chunk := file.read(1 << 16):
                if b"<!DOCTYPE" in last + chunk or b"<!ENTITY" in last + chunk:
                    raise LabelweaveError(f"{path}: found a document type, expected none")
                last = chunk[-len(b"<!DOCTYPE") :]
                parser.feed(chunk)
                events: Any = parser.read_events()
                for event, element in events:
                    depth += 1 if event == "start" else -1
                    if depth > DEEPEST:
                        raise LabelweaveError(f"{path}: elements are nested deeper than {DEEPEST}")
                    root = root or element.tag
                    if event == "end" and element.tag == "image":
                        _of_image(element, path, named)
                        element.clear()
            parser.close()
    except ElementTree.ParseError as error:
        raise LabelweaveError(f"{path}: no XML: {error}") from None
    except OSError as error:
        raise LabelweaveError(f"{path}: cannot be read: {error.strerror or error}") from None
    if root != "annotations" or not named:
        raise LabelweaveError(f"{path}: found no image, expected a file 'CVAT for images'")
    categories = dict.fromkeys(c for found in named.values() for c, _ in found if c is not None)
    return _images(named, list(categories), None)


def _of_image(
    element: "ElementTree.Element[str]",
    path: Path,
    named: dict[str, list[tuple[str | None, Mapping[str, Any]]]],
) -> None:
    name = element.get("name")
    if not name:
        raise LabelweaveError(f"{path}: image {len(named) + 1}: no attribute 'name'")
    found = named.setdefault(name, [])
    for shape in element:
        label = shape.get("label")
        if not label:
            raise LabelweaveError(f"{path}: image '{name}': a {shape.tag} has no attribute 'label'")
        attributes = {
            inner.get("name", ""): (inner.text or "").strip()
            for inner in shape
            if inner.tag == "attribute"
        }
        found.append((label, attributes))


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _numbered(content: dict[str, Any], key: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the entries of a list, with their names in errors; each has a distinct id."""
    found, seen = [], set()
    for number, entry in enumerate(member(content, key, list, str(path)), start=1):
        place = f"{path}: {key} {number}"
        identity = expect(entry, dict, place).get("id")
        if not _is_id(identity):
            raise LabelweaveError(f"{place}: found id {shown(identity)}, expected a number or text")
        if identity in seen:
            raise LabelweaveError(f"{place}: found id {shown(identity)} twice, expected it once")
        seen.add(identity)
        found.append((place, entry))
    return found


def _images(
    named: Mapping[str, Iterable[tuple[str | None, Mapping[str, Any]]]],
    categories: list[str],
    licence: str | None,
) -> Objects:
    samples, disagreeing, ignored = [], 0, set()
    for name, objects in named.items():
        chosen: dict[str, tuple[str, ...]] = {}
        values: dict[str, dict[str, None]] = {}
        seen: dict[str, None] = {}
        for category, attributes in objects:
            if category is not None:
                seen[category] = None
            for key, value in attributes.items():
                if key in GEOMETRY or isinstance(value, float | dict | list):
                    ignored.add(key)
                elif value not in (None, ""):
                    text = str(value).lower() if isinstance(value, bool) else str(value)
                    values.setdefault(key, {})[text] = None
        for key, found in values.items():
            if key in (CATEGORY, IMAGE):
                raise LabelweaveError(f"image '{name}': an attribute is called '{key}'")
            if len(found) == 1:
                chosen[key] = tuple(found)
            else:
                disagreeing += 1
        # an image without an object was looked at: it holds none of the categories
        samples.append(Sample({IMAGE: name}, [Answers("", {CATEGORY: tuple(seen), **chosen})]))
    notes = []
    if disagreeing:
        notes.append(f"objects of one image differ: {disagreeing:,} attributes are missing")
    if ignored:
        notes.append(f"no labels: the attributes {listing(sorted(ignored))}")
    return Objects(samples, categories, licence, notes)
