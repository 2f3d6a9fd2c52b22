"""Tables: files read, rows and label columns as sources."""

from labelweave.tables._annotation_tools import read_annotations
from labelweave.tables._findings import DataFinding, SourceTable
from labelweave.tables._inspection import inspect_tables
from labelweave.tables._reading import read_table
from labelweave.tables._sources import infer_tasks, read_folder, table_source

__all__ = [
    "DataFinding",
    "SourceTable",
    "infer_tasks",
    "inspect_tables",
    "read_annotations",
    "read_folder",
    "read_table",
    "table_source",
]
