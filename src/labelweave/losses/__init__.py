"""Losses: supervised, couplings between related tasks, and the objective that sums them."""

from labelweave.losses.backward import BackwardCoupling
from labelweave.losses.class_imbalance import TASK_LOSSES, Reweighted, freed, reweighted, task_loss
from labelweave.losses.co_annotation import BACKWARD, FORWARD, CoAnnotation
from labelweave.losses.columns import ColumnBatch, Columns, Labels, Logits
from labelweave.losses.coupling import Coupling, RelationCoupling
from labelweave.losses.distillation import Distillation, scores_of
from labelweave.losses.distribution_matching import FORMS, DistributionMatching
from labelweave.losses.forward_corrected import ForwardCorrected
from labelweave.losses.hard import HardClasses, HardLabels
from labelweave.losses.marginal import MarginalLikelihood
from labelweave.losses.need import needs, own_labels
from labelweave.losses.noisy_or_co_annotation import (
    NoisyOrCoAnnotation,
    NoisyOrLabels,
    NoisyOrLikelihood,
)
from labelweave.losses.noisy_or_matching import NoisyOrMatching
from labelweave.losses.objective import Loss, Objective, Weigh
from labelweave.losses.paper_scores import PaperScores
from labelweave.losses.posterior import Posterior
from labelweave.losses.registry import (
    COUPLINGS,
    coupling_space,
    default_weight,
    needs_relations,
)
from labelweave.losses.soft_labels import SoftLabels
from labelweave.losses.stack import RelationStack, RelationStacks
from labelweave.losses.supervised import (
    Supervised,
    masked_binary_cross_entropy,
    masked_cross_entropy,
)
from labelweave.losses.terms import Terms

__all__ = [
    "BACKWARD",
    "COUPLINGS",
    "FORMS",
    "FORWARD",
    "TASK_LOSSES",
    "BackwardCoupling",
    "CoAnnotation",
    "ColumnBatch",
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
    "Posterior",
    "RelationCoupling",
    "RelationStack",
    "RelationStacks",
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
    "needs",
    "needs_relations",
    "own_labels",
    "reweighted",
    "scores_of",
    "task_loss",
]
