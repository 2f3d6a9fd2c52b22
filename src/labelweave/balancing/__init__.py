"""Balancing of sources and tasks: how batches are mixed, and how the tasks' losses are weighed."""

from labelweave.balancing._gradient_methods import segments_of, task_gramian
from labelweave.balancing._sampling import (
    SAMPLERS,
    Equal,
    Mixture,
    Proportional,
    Sampler,
    Shares,
    Temperature,
    label_shares,
    sampler,
    sampling,
)
from labelweave.balancing._weighting import (
    SEARCHED,
    WEIGHTINGS,
    GradientMethod,
    LossWeighting,
    weighting,
)

__all__ = [
    "SAMPLERS",
    "SEARCHED",
    "WEIGHTINGS",
    "Equal",
    "GradientMethod",
    "LossWeighting",
    "Mixture",
    "Proportional",
    "Sampler",
    "Shares",
    "Temperature",
    "label_shares",
    "sampler",
    "sampling",
    "segments_of",
    "task_gramian",
    "weighting",
]
