"""Data: sources of any coverage, joined to a collection, split without leaks, and encoded."""

from labelweave.data._collection import Collection, Coverage, Source
from labelweave.data._image_files import ImageFormat
from labelweave.data._label_masking import Part, scatter
from labelweave.data._row_store import Inputs
from labelweave.data._splitting import leak_check, split_rows
from labelweave.data._table_sources import infer_tasks, table_source

__all__ = [
    "Collection",
    "Coverage",
    "ImageFormat",
    "Inputs",
    "Part",
    "Source",
    "infer_tasks",
    "leak_check",
    "scatter",
    "split_rows",
    "table_source",
]
