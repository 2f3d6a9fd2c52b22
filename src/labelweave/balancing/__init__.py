"""Balancing of sources and tasks: how batches are mixed, and how the tasks' losses are weighed."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.balancing._loss_weightings import LossWeighting
    from labelweave.balancing._sampling import (
        SAMPLERS,
        Equal,
        Mixture,
        Proportional,
        Sampler,
        Shares,
        Temperature,
        sampler,
    )
    from labelweave.balancing._weighting import WEIGHTINGS, GradientMethod, weighting
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_sampling": [
                "SAMPLERS",
                "Equal",
                "Mixture",
                "Proportional",
                "Sampler",
                "Shares",
                "Temperature",
                "sampler",
            ],
            "_loss_weightings": ["LossWeighting"],
            "_weighting": ["WEIGHTINGS", "GradientMethod", "weighting"],
        },
    )

__all__ = [
    "SAMPLERS",
    "WEIGHTINGS",
    "Equal",
    "GradientMethod",
    "LossWeighting",
    "Mixture",
    "Proportional",
    "Sampler",
    "Shares",
    "Temperature",
    "sampler",
    "weighting",
]
