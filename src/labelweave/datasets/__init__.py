"""Published data sets and demonstrations, each written as a study file and its tables.

The module of a data set is loaded when it is first used.
"""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face
from labelweave.datasets._official import DataSet, Reader
from labelweave.datasets._registry import described_cases, find_reader, write_named

if TYPE_CHECKING:
    from labelweave.datasets._demos import write_digits, write_leaves
else:
    __getattr__, __dir__ = lazy_face(__name__, {"_demos": ["write_digits", "write_leaves"]})

__all__ = [
    "DataSet",
    "Reader",
    "described_cases",
    "find_reader",
    "write_digits",
    "write_leaves",
    "write_named",
]
