"""Coupling: any learners of related tasks, joined by tables and guarded by held-out labels."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.coupling._fit import fit_best_single, fit_coupled
    from labelweave.coupling._guard import Candidate
    from labelweave.coupling._stack import CoupledStack
    from labelweave.coupling._strengths import Strength
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_fit": ["fit_best_single", "fit_coupled"],
            "_guard": ["Candidate"],
            "_stack": ["CoupledStack"],
            "_strengths": ["Strength"],
        },
    )

__all__ = [
    "Candidate",
    "CoupledStack",
    "Strength",
    "fit_best_single",
    "fit_coupled",
]
