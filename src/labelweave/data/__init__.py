"""Data: sources of any coverage, joined to a collection, split without leaks, and encoded."""

from labelweave.data._batches import BatchShares, row_weights
from labelweave.data._collection import Collection, Coverage, Source
from labelweave.data._image_files import ImageFormat
from labelweave.data._input_encoder import (
    Encoder,
    InputEncoder,
    encoder_from_dict,
    prepare,
    prepare_sources,
)
from labelweave.data._label_masking import Part, scatter
from labelweave.data._media_columns import (
    EncodedImageColumn,
    ImageColumn,
    MediaColumn,
    TextColumn,
    TokenColumn,
    token_column,
)
from labelweave.data._row_store import Inputs, RowStore, StoredInputs
from labelweave.data._splitting import leak_check, split_rows
from labelweave.data._table_encoder import Scale, TableEncoder

__all__ = [
    "BatchShares",
    "Collection",
    "Coverage",
    "EncodedImageColumn",
    "Encoder",
    "ImageColumn",
    "ImageFormat",
    "InputEncoder",
    "Inputs",
    "MediaColumn",
    "Part",
    "RowStore",
    "Scale",
    "Source",
    "StoredInputs",
    "TableEncoder",
    "TextColumn",
    "TokenColumn",
    "encoder_from_dict",
    "leak_check",
    "prepare",
    "prepare_sources",
    "row_weights",
    "scatter",
    "split_rows",
    "token_column",
]
