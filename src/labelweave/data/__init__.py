"""Data: sources of any coverage, joined to a collection, split without leaks, and encoded."""

from labelweave.data.collection import Collection
from labelweave.data.coverage import Coverage
from labelweave.data.encoder import TableEncoder
from labelweave.data.files import read_table
from labelweave.data.leaks import leak_check
from labelweave.data.numeric import Scale
from labelweave.data.scatter import Part, Scattered, scatter
from labelweave.data.source import Source
from labelweave.data.split import Split, split
from labelweave.data.tables import infer_tasks, table_source

__all__ = [
    "Collection",
    "Coverage",
    "Part",
    "Scale",
    "Scattered",
    "Source",
    "Split",
    "TableEncoder",
    "infer_tasks",
    "leak_check",
    "read_table",
    "scatter",
    "split",
    "table_source",
]
