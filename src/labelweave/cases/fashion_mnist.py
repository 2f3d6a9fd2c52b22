"""Fashion-MNIST: ten kinds of clothing and five written attributes, labelled on different images.

Data: 60,000 + 10,000 grey images of 28 x 28 pixels (Xiao, Rasul and Vollgraf, 2017; MIT licence),
in the four IDX files of the authors, as the Debian package dataset-fashion-mnist installs them.
The attributes are not part of the data set: they are ours, written down by the kind of item, as a
shop's catalogue might say. No two kinds share all five.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave.cases.idx import read_idx
from labelweave.cases.writing import other_rows, write_case
from labelweave.errors import LabelweaveError

ROOT = Path("/usr/share/datasets/fashion-mnist")  # of the Debian package
SIDE = 28
TASKS = ("worn_on", "sleeves", "shoe", "front_opening", "warm")
ITEMS: dict[str, tuple[str, str, str, int, int]] = {  # in the order of the official label ids
    "t-shirt": ("upper body", "short", "none", 0, 0),
    "trouser": ("legs", "none", "none", 0, 0),
    "pullover": ("upper body", "long", "none", 0, 1),
    "dress": ("whole body", "none", "none", 0, 0),
    "coat": ("upper body", "long", "none", 1, 1),
    "sandal": ("feet", "none", "open", 0, 0),
    "shirt": ("upper body", "long", "none", 1, 0),
    "sneaker": ("feet", "none", "low", 0, 0),
    "bag": ("hand", "none", "none", 0, 0),
    "ankle boot": ("feet", "none", "high", 0, 1),
}

STUDY = """\
# Fashion-MNIST: the kind of item labelled on some images, five written attributes on others.
name: fashion-mnist-k{k}-{others}

tasks:
  - {{name: item}}
  - {{name: worn_on}}
  - {{name: sleeves}}
  - {{name: shoe}}
  - {{name: front_opening, kind: binary}}
  - {{name: warm, kind: binary}}

sources:
  - {{path: train.parquet}}                # every column that is no label is a pixel
  - {{path: test.parquet, split: test}}    # the official test images

relations:
  - {{table: knowledge.csv, source: item}}   # the catalogue: one row a kind of item

# These tables know every label. To see what scattered labels would do, hide most of them:
scatter:
  - {{name: item_lab, tasks: [item], per_class: {k}}}
  - {{name: attribute_lab, tasks: [worn_on, sleeves, shoe, front_opening, warm], rows: {others}}}

relatedness: {{from: given}}   # this table is exact; 'all' would check and correct it
inputs: {{scale: together}}   # pixels have one mean and one deviation
network: {{backbone: cnn, shape: [1, 28, 28], channels: [16, 32], hidden: [128], dropout: 0.2}}
training: {{steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}}
# other arms: post_hoc, co_annotation, oracle, shuffled_relations; trees on 784 pixels take long
arms:
  - single_task
  - multi_task
  - distribution_matching
  - full
  - {{arm: full, relations: {{from: predictions}}}}   # no catalogue: the table is estimated
seeds: {seeds}
"""


def read_fashion_mnist(root: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images, (n, 28, 28), and label ids 0..9, (n,), of one official part.

    Args:
        root: the folder of the four files, each compressed (.gz) or not.
        part: "train" or "t10k".

    Raises:
        LabelweaveError: a file is missing or damaged, or the two do not belong together.
    """
    images = read_idx(_found(root, f"{part}-images-idx3-ubyte"))
    labels = read_idx(_found(root, f"{part}-labels-idx1-ubyte"))
    if images.shape != (len(labels), SIDE, SIDE) or labels.ndim != 1:
        raise LabelweaveError(
            f"{root}: part '{part}': found images of shape {images.shape} and labels of shape "
            f"{labels.shape}, expected (n, {SIDE}, {SIDE}) and (n,)"
        )
    if len(labels) and labels.max() >= len(ITEMS):
        raise LabelweaveError(
            f"{root}: part '{part}': found the label id {labels.max()}, expected 0 to 9"
        )
    return images, labels


def write_fashion_mnist(
    folder: Path,
    seeds: int,
    k: int = 5,
    root: Path = ROOT,
    rows: int | None = None,
    others: int | None = None,
) -> Path:
    """Write the study with k item labels a class; return its study file.

    Args:
        folder: where to write.
        seeds: number of seeds.
        k: images of each kind that carry their kind.
        root: the folder of the official files.
        rows: the first images of the training part to use; None = all.
        others: images that carry the attributes; None = 5,000, or as many as are left.

    Raises:
        LabelweaveError: a file is missing or damaged, or there are too few images.
    """
    train, test = read_fashion_mnist(root, "train"), read_fashion_mnist(root, "t10k")
    used = len(train[1]) if rows is None else min(rows, len(train[1]))
    others = other_rows("fashion-mnist", "images", used, k * len(ITEMS), others)
    knowledge = pd.DataFrame.from_dict(ITEMS, orient="index", columns=list(TASKS))
    knowledge.insert(0, "item", list(ITEMS))
    tables = {
        "train.parquet": _table(train[0][:used], train[1][:used], knowledge),
        "test.parquet": _table(*test, knowledge),
        "knowledge.csv": knowledge,
    }
    return write_case(folder, tables, STUDY.format(k=k, seeds=seeds, others=others))


def _table(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], knowledge: pd.DataFrame
) -> pd.DataFrame:
    pixels = [f"pixel_{i}" for i in range(SIDE * SIDE)]
    frame = pd.DataFrame(images.reshape(len(images), -1), columns=pixels)
    return pd.concat([knowledge.iloc[labels].reset_index(drop=True), frame], axis=1)


def _found(root: Path, name: str) -> Path:
    for path in (root / f"{name}.gz", root / name):
        if path.is_file():
            return path
    raise LabelweaveError(
        f"{root / name}.gz: no such file, compressed or not; the Debian package "
        "dataset-fashion-mnist has it, or name the folder of the four files with --root"
    )
