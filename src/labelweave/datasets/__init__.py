"""Demonstrations and case studies: real data as a study file and its tables."""

from collections.abc import Callable
from pathlib import Path

from labelweave.datasets._demos import (
    FASHION_MNIST_ROOT,
    write_digits,
    write_fashion_mnist,
    write_goemotions,
    write_leaves,
)
from labelweave.datasets._official import Case, DataSet, Reader
from labelweave.datasets._registry import (
    CASES,
    READERS,
    Wanted,
    described_cases,
    find_reader,
    write_data_sets,
    write_named,
)

DEMOS: dict[str, Callable[[Path, int], Path]] = {"leaves": write_leaves, "digits": write_digits}

__all__ = [
    "CASES",
    "DEMOS",
    "FASHION_MNIST_ROOT",
    "READERS",
    "Case",
    "DataSet",
    "Reader",
    "Wanted",
    "described_cases",
    "find_reader",
    "write_data_sets",
    "write_digits",
    "write_fashion_mnist",
    "write_goemotions",
    "write_leaves",
    "write_named",
]
