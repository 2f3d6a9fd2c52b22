"""Images of a request: text in base64 or plain bytes, decoded before anything is predicted."""

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from labelweave.data._image_files import TooManyPixelsError, UnreadableImageError, decode_image
from labelweave.data._input_encoder import InputEncoder
from labelweave.data._media_columns import EncodedImageColumn, ImageColumn
from labelweave.data._table_encoder import TableEncoder
from labelweave.model import EncodedPredictor
from labelweave.serving._row_errors import RowsError, TooManyRowsError, row_error

MOST_PIXELS = 25_000_000  # of an image; more is refused before it is decoded
MOST_BYTES = 64_000_000  # of the decoded images of a request
EXPECTED = "an image, PNG, JPEG, WebP, BMP, PGM or PPM, as text in base64"
EXAMPLE_SIDE = 8  # pixels of the example

AnyImageColumn = ImageColumn | EncodedImageColumn


def image_columns(model: EncodedPredictor) -> dict[str, AnyImageColumn]:
    """Return the columns of a model that hold images, by name."""
    encoder = model.encoder
    columns = encoder.columns if isinstance(encoder, InputEncoder) else ()
    return {each.column: each for each in columns if isinstance(each, AnyImageColumn)}


def decoded_images(column: AnyImageColumn, values: Sequence[object]) -> "pd.Series[Any]":
    """Return the pixels of n images, each an array (channels, height, width).

    Args:
        column: how the model reads them.
        values: bytes, or texts in base64, which may begin as a data URL does.

    Raises:
        RowsError: no image, or a damaged one.
        TooManyRowsError: more images, or pixels of an image, than a request may have.
    """
    form = column.form
    most = max(1, MOST_BYTES // int(np.prod(form.shape)))
    if len(values) > most:
        raise TooManyRowsError(f"images: found {len(values):,}, expected at most {most:,}")
    pixels, errors = np.empty(len(values), object), list[dict[str, Any]]()
    for place, value in enumerate(values):
        try:
            pixels[place] = decode_image(_content(value), form, MOST_PIXELS)
        except TooManyPixelsError as error:
            said = f"row {place + 1}, column '{column.column}': {error} pixels"
            raise TooManyRowsError(said) from None
        except UnreadableImageError as error:
            errors.append(row_error(place + 1, column.column, error, EXPECTED))
    if errors:
        raise RowsError(errors)
    return pd.Series(pixels)


def _content(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value:
        raise UnreadableImageError("no image")
    text = value.partition(";base64,")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableImageError("text that is no base64") from None


@dataclass(frozen=True, eq=False)
class GivenRows:
    """Rows in memory, found by their number."""

    rows: NDArray[Any]

    def array(self) -> NDArray[Any]:
        """Return all rows."""
        return self.rows

    def find(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of rows, (n,)."""
        return np.array([int(key) for key in keys], np.int64)


def probabilities_of_rows(
    model: EncodedPredictor, typed: pd.DataFrame | NDArray[np.float64]
) -> dict[str, NDArray[np.float32]]:
    """Return the probabilities of what a request holds; no file is opened.

    Args:
        model: what predicts.
        typed: rows whose images are decoded, or numbers, (n, c), as `ReadRows` has them.

    Raises:
        LabelweaveError: the errors of `typed_proba`.
    """
    if isinstance(typed, np.ndarray):
        assert isinstance(model.encoder, TableEncoder)
        return model.encoded_proba(model.encoder.transform_numbers(typed))
    images = image_columns(model)
    if not images:
        return model.typed_proba(typed)
    assert isinstance(model.encoder, InputEncoder)
    keys = [str(row) for row in range(len(typed))]
    stores: Mapping[str, GivenRows] = {
        name: GivenRows(column.of_pixels(np.stack(list(typed[name]))))
        for name, column in images.items()
    }
    keyed = typed.assign(**dict.fromkeys(stores, keys))
    return model.encoded_proba(model.encoder.transform(keyed, stores))


@cache
def example_image() -> str:
    """Return a small grey image, PNG in base64."""
    ramp = np.linspace(0, 255, EXAMPLE_SIDE**2).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(ramp.reshape(EXAMPLE_SIDE, EXAMPLE_SIDE)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
