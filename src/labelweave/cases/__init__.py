"""Demonstrations and case studies: real data as a study file and its tables."""

from collections.abc import Callable
from pathlib import Path

from labelweave.cases.case import Case
from labelweave.cases.digits import write_digits
from labelweave.cases.fashion_mnist import ROOT as FASHION_MNIST
from labelweave.cases.fashion_mnist import write_fashion_mnist
from labelweave.cases.goemotions import write_goemotions
from labelweave.cases.leaves import write_leaves

DEMOS: dict[str, Callable[[Path, int], Path]] = {"leaves": write_leaves, "digits": write_digits}
CASES: dict[str, Case] = {
    "leaves": Case(write_leaves, k=2),
    "digits": Case(write_digits, k=2),
    "fashion-mnist": Case(write_fashion_mnist, k=5, reads_files=True, root=FASHION_MNIST),
    "goemotions": Case(write_goemotions, k=10, reads_files=True),
}

__all__ = [
    "CASES",
    "DEMOS",
    "Case",
    "write_digits",
    "write_fashion_mnist",
    "write_goemotions",
    "write_leaves",
]
