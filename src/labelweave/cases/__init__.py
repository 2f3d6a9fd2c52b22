"""Demonstrations and case studies: real data as a study file and its tables."""

from collections.abc import Callable
from pathlib import Path

from labelweave.cases.case import Case
from labelweave.cases.data_set import DataSet, Reader
from labelweave.cases.digits import write_digits
from labelweave.cases.fashion_mnist import ROOT as FASHION_MNIST
from labelweave.cases.fashion_mnist import write_fashion_mnist
from labelweave.cases.goemotions import write_goemotions
from labelweave.cases.leaves import write_leaves
from labelweave.cases.named import CASES, described_cases, write_named
from labelweave.cases.readers import READERS, find_reader
from labelweave.cases.reading import Wanted, write_data_sets

DEMOS: dict[str, Callable[[Path, int], Path]] = {"leaves": write_leaves, "digits": write_digits}

__all__ = [
    "CASES",
    "DEMOS",
    "FASHION_MNIST",
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
