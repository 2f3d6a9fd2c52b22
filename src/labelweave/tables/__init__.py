"""Tables: files read as they are, and the schema that says what every column is.

>>> cells = read_cells("lab.csv", ReadOptions(sep=";"))  # doctest: +SKIP
>>> schema = Schema.infer([cells], Roles(labels={"result": "result"}))  # doctest: +SKIP
>>> schema.to_yaml("schema.yaml")  # doctest: +SKIP
>>> Schema.from_yaml("schema.yaml").apply(read_cells("new.csv"))  # doctest: +SKIP
"""

from labelweave.tables._findings import DataFinding, SourceTable
from labelweave.tables._folders import read_folder
from labelweave.tables._inspection import inspect_tables
from labelweave.tables._options import ReadOptions
from labelweave.tables._parquet import ParquetTable
from labelweave.tables._reading import read_cells
from labelweave.tables._schema import Column, Roles, Schema
from labelweave.tables._table import Table
from labelweave.tables._typed import read_table

__all__ = [
    "Column",
    "DataFinding",
    "ParquetTable",
    "ReadOptions",
    "Roles",
    "Schema",
    "SourceTable",
    "Table",
    "inspect_tables",
    "read_cells",
    "read_folder",
    "read_table",
]
