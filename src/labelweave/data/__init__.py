"""Data: sources of any coverage, joined to a collection, split without leaks, and encoded."""

from labelweave.data.collection import Collection
from labelweave.data.coverage import Coverage
from labelweave.data.encoder import TableEncoder
from labelweave.data.files import SUFFIXES, read_table
from labelweave.data.folders import read_folder
from labelweave.data.image_columns import EncodedImageColumn, ImageColumn
from labelweave.data.image_files import ImageFormat
from labelweave.data.input_encoder import Encoder, InputEncoder, encoder_from_dict
from labelweave.data.leaks import leak_check
from labelweave.data.media import MediaColumn
from labelweave.data.mixing import BatchShares, row_weights
from labelweave.data.numeric import Scale
from labelweave.data.preparing import Prepared, prepare, prepare_sources
from labelweave.data.row_store import RowStore
from labelweave.data.scatter import Part, Scattered, scatter
from labelweave.data.source import Source
from labelweave.data.split import Split, split
from labelweave.data.stored_inputs import Inputs, StoredInputs
from labelweave.data.tables import infer_tasks, table_source
from labelweave.data.text_column import TextColumn
from labelweave.data.token_column import TokenColumn, token_column

__all__ = [
    "SUFFIXES",
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
    "Prepared",
    "RowStore",
    "Scale",
    "Scattered",
    "Source",
    "Split",
    "StoredInputs",
    "TableEncoder",
    "TextColumn",
    "TokenColumn",
    "encoder_from_dict",
    "infer_tasks",
    "leak_check",
    "prepare",
    "prepare_sources",
    "read_folder",
    "read_table",
    "row_weights",
    "scatter",
    "split",
    "table_source",
    "token_column",
]
