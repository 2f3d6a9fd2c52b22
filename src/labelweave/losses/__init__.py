"""Losses: supervised, couplings between related tasks, and the objective that sums them."""

from labelweave.losses._co_annotation import (
    BACKWARD,
    FORWARD,
    CoAnnotation,
    HardClasses,
    HardLabels,
    MarginalLikelihood,
    PaperScores,
    PosteriorTargets,
    SoftLabels,
)
from labelweave.losses._coupling import Coupling
from labelweave.losses._distillation import Distillation
from labelweave.losses._distribution_matching import FORMS, DistributionMatching
from labelweave.losses._layout import Columns, Labels, Logits, Terms
from labelweave.losses._noisy_or import (
    NoisyOrCoAnnotation,
    NoisyOrLabels,
    NoisyOrLikelihood,
    NoisyOrMatching,
)
from labelweave.losses._objective import Loss, Objective, Weigh
from labelweave.losses._registry import COUPLINGS, coupling_space, default_weight, needs_relations
from labelweave.losses._supervised import (
    TASK_LOSSES,
    ForwardCorrected,
    Reweighted,
    Supervised,
    freed,
    masked_binary_cross_entropy,
    masked_cross_entropy,
    reweighted,
    task_loss,
)

__all__ = [
    "BACKWARD",
    "COUPLINGS",
    "FORMS",
    "FORWARD",
    "TASK_LOSSES",
    "CoAnnotation",
    "Columns",
    "Coupling",
    "Distillation",
    "DistributionMatching",
    "ForwardCorrected",
    "HardClasses",
    "HardLabels",
    "Labels",
    "Logits",
    "Loss",
    "MarginalLikelihood",
    "NoisyOrCoAnnotation",
    "NoisyOrLabels",
    "NoisyOrLikelihood",
    "NoisyOrMatching",
    "Objective",
    "PaperScores",
    "PosteriorTargets",
    "Reweighted",
    "SoftLabels",
    "Supervised",
    "Terms",
    "Weigh",
    "coupling_space",
    "default_weight",
    "freed",
    "masked_binary_cross_entropy",
    "masked_cross_entropy",
    "needs_relations",
    "reweighted",
    "task_loss",
]
