"""Published data sets and demonstrations, each written as a study file and its tables.

The module of a data set is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from labelweave.datasets._official import DataSet, Reader
from labelweave.datasets._registry import described_cases, find_reader, write_named

if TYPE_CHECKING:
    from labelweave.datasets._demos import write_digits, write_leaves

__all__ = [
    "DataSet",
    "Reader",
    "described_cases",
    "find_reader",
    "write_digits",
    "write_leaves",
    "write_named",
]


def __getattr__(name: str) -> Any:
    if name not in {"write_digits", "write_leaves"}:
        raise AttributeError(f"module 'labelweave.datasets' has no attribute '{name}'")
    return getattr(import_module("labelweave.datasets._demos"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
