"""Coupling: any learners of related tasks, joined by tables and guarded by held-out labels."""

from labelweave.coupling._fit import fit_best_single, fit_coupled
from labelweave.coupling._guard import Candidate, guard, judging_rows, related_evidence, trust_in
from labelweave.coupling._posterior import Link, joint_posterior, make_link, too_wide
from labelweave.coupling._self_training import pseudo_labels, related_rows, weighted_samples
from labelweave.coupling._stack import CoupledStack, soft_targets
from labelweave.coupling._strengths import GRID, Strength, fit_strengths
from labelweave.coupling._tables import Source, Version, build_sources, choose_forest

__all__ = [
    "GRID",
    "Candidate",
    "CoupledStack",
    "Link",
    "Source",
    "Strength",
    "Version",
    "build_sources",
    "choose_forest",
    "fit_best_single",
    "fit_coupled",
    "fit_strengths",
    "guard",
    "joint_posterior",
    "judging_rows",
    "make_link",
    "pseudo_labels",
    "related_evidence",
    "related_rows",
    "soft_targets",
    "too_wide",
    "trust_in",
    "weighted_samples",
]
