"""Tiny data sets of shops, generated here in the exact layout of the official files."""

from pathlib import Path

import numpy as np
from faces_example import face
from persons_example import write
from scipy.io import savemat

from labelweave.datasets._shopping import BINARY, MULTICLASS

SHOES = (("Shoes", "Oxfords"), ("Boots", "Ankle"), ("Slippers", "Boot"))
TYPES = ("athletic shoes", "boots", "clogs")
CLOTHES = (("Blouse", 1), ("Jeans", 2), ("Dress", 3))
MARKS = ("a-line", "abstract print", "acid wash")


def write_ut_zappos(root: Path, each: int = 10) -> Path:
    """Write ut-zap50k-images-square/ and ut-zap50k-data/ with its two tables."""
    columns = ["CID", "Category", "SubCategory", "HeelHeight", "Insole", "Closure", "Gender",
               "Material", "ToeStyle"]  # fmt: skip
    groups = ["HeelHeight.1in.1.3.4in", "HeelHeight.Flat", "Insole.Leather", "Closure.Lace.up",
              "Closure.Zipper", "Gender.Men", "Gender.Women", "Material.Leather", "Material.Suede",
              "ToeStyle.Round.Toe"]  # fmt: skip
    meta, binary = [",".join(columns)], [",".join(["CID", "Category.Shoes", *groups])]
    for code, (category, sub) in enumerate(SHOES):
        for i in range(each):
            model, colour = 100627 + 10 * code + i // 2, 70 + i % 2
            place = root / "ut-zap50k-images-square" / category / sub / "Brand & Co."
            face(place / f"{model}.{colour}.jpg", 4 * code, 100 * code + i)
            meta.append(f"{model}-{colour},{category},{sub},,Leather,Zipper,Men,Suede,Round Toe")
            on = [1, 0, 1, int(code == 0), int(code > 0), 1, 0, int(code == 2), 1, 1]
            if i == 0:
                on[:2] = 0, 0  # the height of the heel is not given
            binary.append(",".join(map(str, [f"{model}-{colour}", int(code == 0), *on])))
    write(root / "ut-zap50k-data" / "meta-data.csv", meta)
    write(root / "ut-zap50k-data" / "meta-data-bin.csv", binary)
    return root


def write_shoes(root: Path, each: int = 10) -> Path:
    """Write shoes_attributes.mat and attributedata/womens_TYPE/0/img_womens_TYPE_N.jpg."""
    files = []
    for code, name in enumerate(TYPES):
        kind = f"womens_{name.replace(' ', '_')}"
        for i in range(each):
            files.append(f"img_{kind}_{i}.jpg")
            face(root / "attributedata" / kind / "0" / files[-1], 4 * code, 100 * code + i)
    n = len(files)
    numbers = np.arange(1, n + 1)
    variables = {
        "im_names": cells(files),
        "class_names": cells(TYPES),
        "attribute_names": cells(("pointy at the front", "open")),
        "class_labels": np.repeat(np.arange(1, 4), each)[:, None],
        "orders": np.array([[3, 1, 2], [1, 1, 4]]),
        "train_inds": numbers[numbers % 5 < 3][:, None],
        "validation_inds": numbers[numbers % 5 == 3][:, None],
        "test_inds": numbers[numbers % 10 == 4][:, None],
    }
    savemat(root / "shoes_attributes.mat", variables)
    return root


def cells(texts) -> np.ndarray:
    """Return a MATLAB cell array, (1, n)."""
    array = np.empty((1, len(texts)), dtype=object)
    array[0] = list(texts)
    return array


def write_clothing_attributes(root: Path, images: int = 30) -> Path:
    """Write ClothingAttributeDataset/ with images/ and labels/; some labels are NaN."""
    base = root / "ClothingAttributeDataset"
    (base / "labels").mkdir(parents=True)
    for i in range(images):
        face(base / "images" / f"{i + 1:06d}.jpg", 2 * (i % 7), i)
    sizes = {**MULTICLASS, **dict.fromkeys(BINARY, 2)}
    for place, (name, classes) in enumerate(sizes.items()):
        values = (np.arange(images) % 7 + place) % classes + 1.0
        values[place % images] = np.nan
        savemat(base / "labels" / f"{name}_GT.mat", {"GT": values[:, None]})
    return root


def write_deepfashion(root: Path, each: int = 10) -> Path:
    """Write Anno_coarse/, Eval/ and Img/ of the category and attribute benchmark."""
    anno, head = root / "Anno_coarse", "image_name" + " " * 50
    images = [f"img/Item_{code}/img_{i + 1:08d}.jpg" for code in range(3) for i in range(each)]
    categories, signs, parts = [], [], []
    for i, image in enumerate(images):
        code = i // each
        face(root / "Img" / image, 4 * code, i)
        on = (1 if code == 0 else -1, 1 if code else -1, 1 if i == 0 else 0)
        categories.append(f"{image:60} {code + 1}")
        signs.append(f"{image:60} " + " ".join(f"{sign:2d}" for sign in on))
        parts.append(f"{image:60} {('train', 'train', 'train', 'val', 'test')[i % 5]}")
    kinds = [f"{name:15} {kind}" for name, kind in CLOTHES]
    table(anno / "list_category_cloth.txt", "category_name  category_type", kinds)
    marks = [f"{name:30} {kind}" for name, kind in zip(MARKS, (3, 1, 1), strict=True)]
    table(anno / "list_attr_cloth.txt", "attribute_name  attribute_type", marks)
    table(anno / "list_category_img.txt", f"{head} category_label", categories)
    table(anno / "list_attr_img.txt", f"{head} attribute_labels", signs)
    table(root / "Eval" / "list_eval_partition.txt", f"{head} evaluation_status", parts)
    return root


def table(path: Path, head: str, rows: list[str]) -> None:
    write(path, [str(len(rows)), head, *rows])
