"""DeepFashion, category and attributes: 289,222 images, 50 categories, 1,000 attributes."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.grids import codes_of, counted_rows
from labelweave.cases.official import check_images, found, wrong_line
from labelweave.errors import LabelweaveError

INNER = "Category and Attribute Prediction Benchmark"
ANNOTATIONS = ("Anno_coarse", "Anno")
CODES = {"1": 1, "-1": 0, "0": -1}  # 0 = unknown
PARTS = {"train": "train", "val": "validation", "test": "test"}


def read_deepfashion(root: Path, attributes: int | None = 100) -> DataSet:
    """Read Anno_coarse/ (or Anno/), Eval/ and Img/.

    Attribute labels are 1 = on, -1 = off, 0 = unknown.

    Args:
        root: the folder of the benchmark, or the one above it.
        attributes: use the attributes that are on most often in the training part, so many; None =
            all 1,000.

    Raises:
        LabelweaveError: a file or folder is missing, or not as expected.
    """
    base = root / INNER if (root / INNER).is_dir() else root
    notes = found(base, *ANNOTATIONS, what="the annotations of DeepFashion")
    classes = _names(found(notes, "list_category_cloth.txt", what="the names of the categories"))
    names = _names(found(notes, "list_attr_cloth.txt", what="the names of the attributes"))
    path = found(notes, "list_category_img.txt", what="the category of every image")
    numbers = [str(number) for number in range(1, len(classes) + 1)]
    category = {image: classes[int(n) - 1] for image, n in _pairs(path, numbers).items()}
    parts = _pairs(found(base, "Eval/list_eval_partition.txt", what="the parts"), list(PARTS))
    place = found(notes, "list_attr_img.txt", what="the attributes of every image")
    rows = counted_rows(place, progress=True)
    next(rows)
    codes = np.full((len(category), len(names)), -1, dtype=np.int8)
    row_of = {image: row for row, image in enumerate(category)}
    seen = 0
    for number, (image, *values) in rows:
        if image not in row_of:
            raise wrong_line(place, number, image, f"an image that {path} lists")
        codes[row_of[image]] = codes_of(place, number, values, len(names), CODES)
        seen += 1
    for listed, count in ((place, seen), (base / "Eval/list_eval_partition.txt", len(parts))):
        if count != len(category):
            raise LabelweaveError(
                f"{listed}: found {count} images, expected the {len(category)} of {path}"
            )
    part = pd.Series([PARTS.get(parts.get(image, ""), "") for image in category])
    images = found(base, "Img/img", "img", what="the images of DeepFashion").parent
    prefix = images.relative_to(root).as_posix().removeprefix(".")
    head = pd.DataFrame(
        {
            "image": [f"{prefix}/{image}".lstrip("/") for image in category],
            "category": list(category.values()),
            "part": part,
        }
    )
    check_images(root, list(head["image"]), path)
    used = _frequent(codes[(part == "train").to_numpy()], attributes)
    labels = [names[i] for i in used]
    known = np.where(codes[:, used] < 0, np.nan, codes[:, used]).astype(np.float32)
    return DataSet(
        pd.concat([head, pd.DataFrame(known, columns=labels)], axis=1),
        (
            {"name": "category", "classes": classes},
            {"name": "attributes", "kind": "multilabel", "labels": labels},
        ),
        part="part",
        notes=(f"{len(labels)} of {len(names)} attributes, the most frequent ones",),
    )


def _names(path: Path) -> list[str]:
    names: list[str] = []
    rows = counted_rows(path)
    next(rows)
    for number, fields in rows:
        if len(fields) < 2 or not fields[-1].isdigit():
            raise wrong_line(path, number, " ".join(fields), "a name and the number of its type")
        name = " ".join(fields[:-1])
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return names


def _pairs(path: Path, allowed: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    rows = counted_rows(path)
    next(rows)
    for number, fields in rows:
        if len(fields) != 2 or fields[1] not in allowed:
            shown = " or ".join(allowed) if len(allowed) < 4 else f"1 to {allowed[-1]}"
            raise wrong_line(path, number, " ".join(fields), f"an image and {shown}")
        pairs[fields[0]] = fields[1]
    return pairs


def _frequent(codes: NDArray[np.int8], count: int | None) -> NDArray[np.int64]:
    """Return the columns that are on most often, in their order."""
    order = np.argsort(-(codes > 0).sum(axis=0), kind="stable")[:count]
    return np.sort(order)


DEEPFASHION = Reader(
    read_deepfashion,
    title="DeepFashion, category and attribute prediction",
    source="mmlab.ie.cuhk.edu.hk/projects/DeepFashion.html, on request",
    licence="non-commercial research only",
    paper="Liu, Luo, Qiu, Wang and Tang, CVPR 2016",
    metric="top-3 and top-5 accuracy of the category, top-3 and top-5 recall of the attributes",
)
