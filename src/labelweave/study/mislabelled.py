"""The labels of a study that are likely wrong, as a table with the places in the user's files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from labelweave.data import Collection
from labelweave.files import replacing
from labelweave.relations import Relatedness
from labelweave.study.fold import Fold

COLUMNS = ["source", "row", "task", "label", "found", "likely", "probability", "seeds"]


def mislabelled_table(
    collection: Collection, folds: Sequence[Fold], related: Iterable[Sequence[Relatedness]]
) -> pd.DataFrame:
    """Return every label that is likely wrong, the likeliest first.

    Columns: source and row of the user's file (1 = the first below the header); task, label (of a
    multilabel task) and what was found; the likeliest other label; the probability that the label
    found is wrong, a mean over the seeds that name it, and their number. No input is in it.

    Args:
        collection: all rows.
        folds: one a seed.
        related: per evidence what was found on each fold.
    """
    named = [
        (int(fold.train.index[each.row]), fold.seed, *list(vars(each).values())[1:])
        for by_seed in related
        for fold, found in zip(folds, by_seed, strict=True)
        for each in (found.noise.mislabelled if found.noise else ())
    ]
    key = ["place", "task", "label", "found"]
    frame = pd.DataFrame(
        named, columns=["place", "seed", "task", "label", "found", "likely", "probability"]
    )
    frame = frame.sort_values("probability", ascending=False, kind="stable")
    merged = frame.groupby(key, sort=False, as_index=False).agg(
        likely=("likely", "first"), probability=("probability", "mean"), seeds=("seed", "nunique")
    )
    places = merged["place"].to_numpy(np.int64)
    source = collection.source[places]
    merged["source"] = np.array(collection.names, dtype=object)[source]
    merged["row"] = collection.numbers[places]
    order = ["probability", "seeds"]
    return merged.sort_values(order, ascending=False, kind="stable")[COLUMNS].reset_index(drop=True)


def write_mislabelled(table: pd.DataFrame, folder: Path) -> Path:
    """Write ``mislabelled.csv`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mislabelled.csv"
    with replacing(path) as temporary:
        table.round({"probability": 4}).to_csv(temporary, index=False)
    return path
