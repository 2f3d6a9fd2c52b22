"""Demonstrations and case studies: real data as a study file and its tables."""

from collections.abc import Callable
from pathlib import Path

from labelweave.cases.digits import write_digits
from labelweave.cases.leaves import write_leaves

DEMOS: dict[str, Callable[[Path, int], Path]] = {"leaves": write_leaves, "digits": write_digits}

__all__ = ["DEMOS", "write_digits", "write_leaves"]
