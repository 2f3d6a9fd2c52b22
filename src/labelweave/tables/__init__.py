"""Tables: files read, rows and label columns as sources."""

from labelweave.tables._reading import SUFFIXES, read_table
from labelweave.tables._sources import infer_tasks, read_folder, table_source

__all__ = ["SUFFIXES", "infer_tasks", "read_folder", "read_table", "table_source"]
