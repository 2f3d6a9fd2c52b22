"""DeepFashion, category and attributes: 289,222 images, 50 categories, 1,000 attributes."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._options import Options
from labelweave.datasets._official import (
    Count,
    DataSet,
    Reader,
    check_images,
    codes_of,
    counted_rows,
    found,
    read_matlab,
    texts,
    wrong_line,
)
from labelweave.errors import LabelweaveError, listing
from labelweave.tables import read_table

INNER = "Category and Attribute Prediction Benchmark"
ANNOTATIONS = ("Anno_coarse", "Anno")
CODES = {"1": 1, "-1": 0, "0": -1}  # 0 = unknown
DEEPFASHION_PARTS = {"train": "train", "val": "validation", "test": "test"}


class DeepFashionOptions(Options):
    """The options of `read_deepfashion`."""

    attributes: Count | None = 100


def read_deepfashion(root: Path, attributes: int | None) -> DataSet:
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
    parts = _pairs(
        found(base, "Eval/list_eval_partition.txt", what="the parts"), list(DEEPFASHION_PARTS)
    )
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
    part = pd.Series([DEEPFASHION_PARTS.get(parts.get(image, ""), "") for image in category])
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
    options=DeepFashionOptions,
    title="DeepFashion, category and attribute prediction",
    source="mmlab.ie.cuhk.edu.hk/projects/DeepFashion.html, on request",
    licence="non-commercial research only",
    paper="Liu, Luo, Qiu, Wang and Tang, CVPR 2016",
    metric="top-3 and top-5 accuracy of the category, top-3 and top-5 recall of the attributes",
)


MULTICLASS = {"category": 7, "neckline": 3, "sleevelength": 3}
BINARY = (
    "black", "blue", "brown", "collar", "cyan", "gender", "gray", "green", "many_colors", "necktie",
    "pattern_floral", "pattern_graphics", "pattern_plaid", "pattern_solid", "pattern_spot",
    "pattern_stripe", "placket", "purple", "red", "scarf", "skin_exposure", "white", "yellow",
)  # fmt: skip


def read_clothing_attributes(root: Path) -> DataSet:
    """Read images/000001.jpg, ... and labels/NAME_GT.mat, each with a column ``GT``, NaN = missing.

    Classes keep the numbers that the files give them. A binary attribute is on where its number is
    2.

    Args:
        root: ClothingAttributeDataset/, or the folder above it.

    Raises:
        LabelweaveError: a file or folder is missing, or not as expected.
    """
    inner = root / "ClothingAttributeDataset"
    base = inner if inner.is_dir() else root
    folder = found(base, "images", what="the images of Clothing Attributes")
    place = found(base, "labels", what="the labels of Clothing Attributes, a file an attribute")
    columns: dict[str, pd.Series] = {}
    for name, classes in (*MULTICLASS.items(), *dict.fromkeys(BINARY, 2).items()):
        path = found(place, f"{name}_GT.mat", what=f"the attribute '{name}'")
        values = pd.Series(read_matlab(path, "GT")["GT"].ravel().astype(np.float64))
        if not values.dropna().isin(range(1, classes + 1)).all():
            raise LabelweaveError(f"{path}: expected numbers from 1 to {classes}, or NaN")
        if columns and len(values) != len(columns["category"]):
            raise LabelweaveError(
                f"{path}: found {len(values)} rows, expected {len(columns['category'])}, as in "
                "category_GT.mat"
            )
        if name in MULTICLASS:
            columns[name] = (name + " " + values.astype("Int64").astype(str)).where(values.notna())
        else:
            columns[name] = values - 1
    prefix = folder.relative_to(root).as_posix()
    images = [f"{prefix}/{i + 1:06d}.jpg" for i in range(len(columns["category"]))]
    check_images(root, images, place / "category_GT.mat")
    tasks = [
        {"name": name, "classes": [f"{name} {code}" for code in range(1, classes + 1)]}
        for name, classes in MULTICLASS.items()
    ]
    return DataSet(
        pd.DataFrame({"image": images, **columns}),
        (*tasks, {"name": "attributes", "kind": "multilabel", "labels": list(BINARY)}),
        notes=("no official parts",),
    )


CLOTHING_ATTRIBUTES = Reader(
    read_clothing_attributes,
    title="Clothing Attributes",
    source="purl.stanford.edu/tb980qz1002",
    licence="see the archive; the photographs belong to their authors",
    paper="Chen, Gallagher and Girod, ECCV 2012",
    metric="accuracy an attribute, balanced accuracy",
)


FILE = "shoes_attributes.mat"
SHOES_PARTS = {"train": "train_inds", "validation": "validation_inds", "test": "test_inds"}
TABLE = "shoes_attributes.csv"


def read_shoes(root: Path) -> DataSet:
    """Read shoes_attributes.mat, and images anywhere below the folder, by their names.

    ``orders`` ranks the types by each attribute, 1 = weakest. An attribute counts as on in the
    types whose rank is above the middle, and so in all their images: labels of types, not of single
    images.

    Args:
        root: the folder.

    Raises:
        LabelweaveError: a file is missing, or not as expected.
    """
    path = found(root, FILE, what="the types and attributes of the Shoes data set")
    keys = ("im_names", "class_names", "attribute_names", "class_labels", "orders")
    data = read_matlab(path, *keys, *SHOES_PARTS.values())
    files, classes = texts(data["im_names"]), texts(data["class_names"])
    labels = texts(data["attribute_names"])
    codes = data["class_labels"].ravel().astype(np.int64) - 1
    orders = data["orders"].astype(np.float64)
    if orders.shape != (len(labels), len(classes)):
        raise LabelweaveError(
            f"{path}: orders: found the shape {orders.shape}, expected {len(labels)} attributes by "
            f"{len(classes)} types"
        )
    if codes.shape != (len(files),) or not np.isin(codes, range(len(classes))).all():
        raise LabelweaveError(
            f"{path}: class_labels: expected {len(files)} numbers from 1 to {len(classes)}"
        )
    middle = (orders.min(axis=1) + orders.max(axis=1)) / 2
    on = (orders > middle[:, None]).T.astype(np.int8)  # (types, attributes)
    part = _parts(path, data, len(files))
    head = pd.DataFrame(
        {
            "image": _images(root, files, path),
            "shoe_type": [classes[code] for code in codes],
            "part": part,
        }
    )
    knowledge = pd.DataFrame(on, columns=labels)
    knowledge.insert(0, "shoe_type", classes)
    table = pd.concat([head, pd.DataFrame(on[codes], columns=labels)], axis=1)
    return DataSet(
        table.dropna(subset="part").reset_index(drop=True),
        (
            {"name": "shoe_type", "classes": classes},
            {"name": "attributes", "kind": "multilabel", "labels": labels},
        ),
        part="part",
        knowledge={TABLE: knowledge},
        notes=(
            "an image has the attributes of its type: those in which the type ranks above the "
            "middle",
            f"{sum(p is None for p in part)} images are in no official part and left out",
        ),
    )


def _parts(path: Path, data: dict[str, NDArray[np.generic]], n: int) -> list[str | None]:
    part: list[str | None] = [None] * n
    for name, key in SHOES_PARTS.items():
        for row in data[key].ravel().astype(np.int64):
            if not 1 <= row <= n:
                raise LabelweaveError(
                    f"{path}: {key}: found {row}, expected numbers of images from 1 to {n}"
                )
            part[row - 1] = name
    return part


def _images(root: Path, files: list[str], path: Path) -> list[str]:
    places = {p.name: p for p in sorted(root.rglob("*.jpg"))}
    missing = [file for file in files if file not in places]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise LabelweaveError(
            f"{root}: found no image {missing[0]}{more} in any folder below, expected all "
            f"{len(files)} that {path} lists"
        )
    return [places[file].relative_to(root).as_posix() for file in files]


SHOES = Reader(
    read_shoes,
    title="Shoes, of the Attribute Discovery data set",
    source="shoes_attributes.mat: vision.cs.utexas.edu/whittlesearch; images: "
    "tamaraberg.com/attributesDataset",
    licence="research; the images belong to the shops",
    paper="Berg, Berg and Shih, ECCV 2010; Kovashka, Parikh and Grauman, CVPR 2012",
    metric="accuracy of the type; attributes: mean F1",
)


IMAGES = ("ut-zap50k-images-square", "ut-zap50k-images")
DATA = ("ut-zap50k-data", "ut-zap50k-images-square/ut-zap50k-data")
# of meta-data-bin.csv: the prefix of its columns, and the task that they become
GROUPS = {
    "HeelHeight": "heel_height",
    "Insole": "insole",
    "Closure": "closure",
    "Gender": "gender",
    "Material": "material",
    "ToeStyle": "toe_style",
}


class UTZapposOptions(Options):
    """The options of `read_ut_zappos`."""

    kind: Literal["subcategory", "category"] = "subcategory"


def read_ut_zappos(root: Path, kind: Literal["subcategory", "category"]) -> DataSet:
    """Read ut-zap50k-images-square/ and ut-zap50k-data/ with meta-data.csv, meta-data-bin.csv.

    An image is found by its number: CID 100627-72 is the file 100627.72.jpg, somewhere below the
    folder of images. A group of attributes of which none is on is missing.

    Args:
        root: the folder.
        kind: what the type of a shoe is: its subcategory, such as Boots/Ankle, or its category.

    Raises:
        LabelweaveError: a file or folder is missing, or not as expected.
    """
    folder = found(root, *IMAGES, what="the images of UT-Zappos50K")
    data = found(root, *DATA, what="the tables of UT-Zappos50K")
    meta, path = _table(data, "meta-data.csv", ("CID", "Category", "SubCategory"))
    binary, place = _table(data, "meta-data-bin.csv", ("CID",))
    rows = binary.set_index("CID").reindex(meta["CID"])
    missing = meta.loc[rows.isna().all(axis=1).to_numpy(), "CID"]
    if len(missing):
        raise LabelweaveError(f"{place}: found no row of the CID '{missing.iloc[0]}' of {path}")
    labels = {
        task: [column for column in rows.columns if column.startswith(f"{prefix}.")]
        for prefix, task in GROUPS.items()
    }
    for prefix, task in GROUPS.items():
        if not labels[task]:
            found_ = listing(binary.columns)
            raise LabelweaveError(f"{place}: found {found_}, expected columns '{prefix}. ...'")
    shoe = meta["Category"]
    if kind == "subcategory":
        shoe = (shoe + "/" + meta["SubCategory"]).where(meta["SubCategory"].notna(), None)
    head = pd.DataFrame(
        {
            "image": _files(root, folder, meta["CID"], path),
            "shoe_type": shoe,
            "product": meta["CID"].str.partition("-")[0],
        }
    )
    blocks = [_known(rows[columns], place).reset_index(drop=True) for columns in labels.values()]
    return DataSet(
        pd.concat([head, *blocks], axis=1),
        (
            {"name": "shoe_type", "classes": sorted(shoe.dropna().unique())},
            *({"name": task, "kind": "multilabel", "labels": labels[task]} for task in labels),
        ),
        group="product",
        notes=("no official parts; all colours of a product stay on one side",),
    )


def _table(data: Path, name: str, columns: tuple[str, ...]) -> tuple[pd.DataFrame, Path]:
    path = found(data, name, what="a table of UT-Zappos50K")
    table = read_table(path)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        held = listing(table.columns)
        raise LabelweaveError(f"{path}: found the columns {held}, expected '{missing[0]}'")
    return table.assign(CID=table["CID"].astype(str)), path


def _files(root: Path, folder: Path, numbers: pd.Series, path: Path) -> list[str]:
    names = {p.stem.replace(".", "-"): p for p in sorted(folder.rglob("*.jpg"))}
    missing = [number for number in numbers if number not in names]
    if missing:
        more = f" (and of {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise LabelweaveError(
            f"{folder}: found no image {missing[0].replace('-', '.')}.jpg{more}, expected one for "
            f"every CID of {path}"
        )
    return [names[number].relative_to(root).as_posix() for number in numbers]


def _known(block: pd.DataFrame, path: Path) -> pd.DataFrame:
    if not block.isin((0, 1)).all(axis=None):
        wrong = block.columns[~block.isin((0, 1)).all()][0]
        raise LabelweaveError(f"{path}: column '{wrong}': expected only 0 and 1")
    return block.astype("float32").where(block.any(axis=1), axis=0)


UT_ZAPPOS = Reader(
    read_ut_zappos,
    options=UTZapposOptions,
    title="UT-Zappos50K",
    source="vision.cs.utexas.edu/projects/finegrained/utzap50k "
    "(ut-zap50k-images-square.zip and ut-zap50k-data.zip)",
    licence="non-commercial research only",
    paper="Yu and Grauman, CVPR 2014",
    metric="accuracy of the type; attributes: mean F1",
)
