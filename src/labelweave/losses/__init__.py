"""Losses: supervised, couplings between related tasks, and the objective that sums them."""

from labelweave.losses.co_annotation import CoAnnotation, MarginalLikelihood, SoftLabels
from labelweave.losses.distribution_matching import FORMS, DistributionMatching
from labelweave.losses.objective import COUPLINGS, Loss, Objective
from labelweave.losses.stack import Labels, Logits, RelationStack, RelationStacks
from labelweave.losses.supervised import (
    Supervised,
    masked_binary_cross_entropy,
    masked_cross_entropy,
)
from labelweave.losses.terms import Coupling, Terms

__all__ = [
    "COUPLINGS",
    "FORMS",
    "CoAnnotation",
    "Coupling",
    "DistributionMatching",
    "Labels",
    "Logits",
    "Loss",
    "MarginalLikelihood",
    "Objective",
    "RelationStack",
    "RelationStacks",
    "SoftLabels",
    "Supervised",
    "Terms",
    "masked_binary_cross_entropy",
    "masked_cross_entropy",
]
