"""UT-Zappos50K: 50,025 catalogue images of shoes with their type and attributes."""

from pathlib import Path
from typing import Literal

import pandas as pd

from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.official import found
from labelweave.data.files import read_table
from labelweave.errors import LabelweaveError, listing

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


def read_ut_zappos(root: Path, kind: Literal["subcategory", "category"] = "subcategory") -> DataSet:
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
    title="UT-Zappos50K",
    source="vision.cs.utexas.edu/projects/finegrained/utzap50k "
    "(ut-zap50k-images-square.zip and ut-zap50k-data.zip)",
    licence="non-commercial research only",
    paper="Yu and Grauman, CVPR 2014",
    metric="accuracy of the type; attributes: mean F1",
)
