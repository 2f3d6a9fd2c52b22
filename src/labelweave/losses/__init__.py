"""Losses: supervised, couplings between related tasks, and the objective that sums them."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.losses._co_annotation import CoAnnotation
    from labelweave.losses._coupling import Coupling
    from labelweave.losses._distillation import Distillation
    from labelweave.losses._distribution_matching import DistributionMatching
    from labelweave.losses._layout import Labels, Logits, Terms
    from labelweave.losses._noisy_or import NoisyOrCoAnnotation, NoisyOrMatching
    from labelweave.losses._objective import Loss, Objective
    from labelweave.losses._registry import COUPLINGS
    from labelweave.losses._supervised import (
        ForwardCorrected,
        Reweighted,
        Supervised,
        masked_binary_cross_entropy,
        masked_cross_entropy,
    )
    from labelweave.losses._task_losses import TASK_LOSSES
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_co_annotation": ["CoAnnotation"],
            "_coupling": ["Coupling"],
            "_distillation": ["Distillation"],
            "_distribution_matching": ["DistributionMatching"],
            "_layout": ["Labels", "Logits", "Terms"],
            "_noisy_or": ["NoisyOrCoAnnotation", "NoisyOrMatching"],
            "_objective": ["Loss", "Objective"],
            "_registry": ["COUPLINGS"],
            "_task_losses": ["TASK_LOSSES"],
            "_supervised": [
                "ForwardCorrected",
                "Reweighted",
                "Supervised",
                "masked_binary_cross_entropy",
                "masked_cross_entropy",
            ],
        },
    )

__all__ = [
    "COUPLINGS",
    "TASK_LOSSES",
    "CoAnnotation",
    "Coupling",
    "Distillation",
    "DistributionMatching",
    "ForwardCorrected",
    "Labels",
    "Logits",
    "Loss",
    "NoisyOrCoAnnotation",
    "NoisyOrMatching",
    "Objective",
    "Reweighted",
    "Supervised",
    "Terms",
    "masked_binary_cross_entropy",
    "masked_cross_entropy",
]
