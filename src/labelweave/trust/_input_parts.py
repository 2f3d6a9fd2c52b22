"""Parts of a row's input that can be left out: words of a text, regions of an image."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from labelweave._files import check_regular
from labelweave.data._input_encoder import InputEncoder
from labelweave.data._media_columns import MediaColumn
from labelweave.errors import LabelweaveError
from labelweave.model import EncodedPredictor

MOST_WORDS = 40  # a longer text is cut into as many runs of words
GRID = 4  # regions a side of an image
LARGEST_IMAGE = 1 << 27  # bytes


def media_columns(model: EncodedPredictor) -> tuple[MediaColumn, ...]:
    """Return the columns with images or texts that a model reads."""
    encoder = model.encoder
    return tuple(encoder.columns) if isinstance(encoder, InputEncoder) else ()


@contextmanager
def without_parts(
    frame: pd.DataFrame, column: MediaColumn
) -> Iterator[tuple[pd.DataFrame, NDArray[np.int64], list[str]]]:
    """Give the rows once for each of their parts, without it.

    Args:
        frame: n rows.
        column: whose words or regions are left out. A region becomes the image's mean colour.

    Yields:
        The rows, for each the row that it was, and the name of the part. Images are files that
        are gone when the block ends.

    Raises:
        LabelweaveError: an image that cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        values, rows, names = [], [], []
        for i, value in enumerate(frame[column.column]):
            parts = _regions(Path(str(value)), Path(folder), i) if column.is_path else _words(value)
            for name, rest in parts:
                values.append(rest)
                rows.append(i)
                names.append(name)
        place = np.array(rows, np.int64)
        variants = frame.iloc[place].reset_index(drop=True)
        yield variants.assign(**{column.column: pd.Series(values, dtype=object)}), place, names


def _words(value: object) -> list[tuple[str, str]]:
    words = str(value).split()
    if len(words) < 2:  # without its only word there is no text
        return []
    runs = [list(run) for run in np.array_split(np.arange(len(words)), min(len(words), MOST_WORDS))]
    return [
        (
            f"word {run[0] + 1}: {' '.join(words[j] for j in run)}",
            " ".join(word for j, word in enumerate(words) if j not in set(run)),
        )
        for run in runs
    ]


def _regions(path: Path, folder: Path, row: int) -> Sequence[tuple[str, str]]:
    try:
        check_regular(path, LARGEST_IMAGE)
        with Image.open(path) as opened:
            pixels = np.asarray(opened.convert("RGB"))
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        raise LabelweaveError(f"{path}: cannot be read as an image") from None
    height, width = pixels.shape[:2]
    mean = pixels.reshape(-1, 3).mean(axis=0).astype(np.uint8)
    down, across = (np.linspace(0, side, GRID + 1).astype(int) for side in (height, width))
    found = []
    for i in range(GRID):
        for j in range(GRID):
            changed = pixels.copy()
            changed[down[i] : down[i + 1], across[j] : across[j + 1]] = mean
            file = folder / f"{row} {i} {j}.png"
            Image.fromarray(changed).save(file)
            found.append((f"region {i + 1}.{j + 1} of {GRID}.{GRID}", str(file)))
    return found
