"""Coupling: any learners of related tasks, joined by tables and guarded by held-out labels."""

from labelweave.coupling._fit import fit_best_single, fit_coupled
from labelweave.coupling._guard import Candidate
from labelweave.coupling._stack import CoupledStack
from labelweave.coupling._strengths import Strength

__all__ = [
    "Candidate",
    "CoupledStack",
    "Strength",
    "fit_best_single",
    "fit_coupled",
]
