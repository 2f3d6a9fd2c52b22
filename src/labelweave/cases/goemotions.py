"""GoEmotions: 28 emotions of short texts, and the groups they belong to, on different texts.

Data: Reddit comments rated by people (Demszky et al., 2020; Apache-2.0), in the authors' layout:
train.tsv and test.tsv of ``text<TAB>label ids with commas<TAB>comment id``, and the names of the
ids in labels.txt (or emotions.txt). Only texts with one single label are used. The groups, Ekman's
six emotions and four sentiments, with neutral, are the published functions of the label. The inputs
are vectors of a frozen sentence encoder; the texts themselves are not written anywhere.
"""

from pathlib import Path

import pandas as pd

from labelweave.cases.writing import other_rows, write_case
from labelweave.data.frozen import TextEncoder
from labelweave.data.minilm import MiniLM
from labelweave.data.text_vectors import text_vectors
from labelweave.errors import LabelweaveError, listing, nearest

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

STUDY = """\
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
# other arms: post_hoc, co_annotation, oracle, shuffled_relations, strong_single_task
arms:
  - single_task
  - multi_task
  - distribution_matching
  - full
  - {{arm: full, relations: {{from: predictions}}}}   # no map: the table is estimated
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
        k: texts of each emotion that carry their emotion; rare emotions may have fewer.
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
        f"{part}.parquet": _table(texts, encoder, folder / "vectors")
        for part, texts in parts.items()
    }
    knowledge = _with_groups(pd.DataFrame({"emotion": list(GROUP_OF)}))
    study = STUDY.format(k=k, seeds=seeds, others=others)
    return write_case(folder, {**tables, "knowledge.csv": knowledge}, study)


def _table(texts: pd.DataFrame, encoder: TextEncoder, cache: Path) -> pd.DataFrame:
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
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LabelweaveError(f"{path}: not a text file in UTF-8") from None
    # only this ends a line: the texts hold other characters that Python takes for line ends
    return [line.removesuffix("\r") for line in text.rstrip("\r\n").split("\n")]
