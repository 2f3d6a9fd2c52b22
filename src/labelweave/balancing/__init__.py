"""Balancing of sources and tasks: how batches are mixed, and how the tasks' losses are weighed."""

from labelweave.balancing.choices import Choice, Options
from labelweave.balancing.gradients import segments_of, task_gramian
from labelweave.balancing.losses import LossWeighting
from labelweave.balancing.sampling import (
    SAMPLERS,
    Equal,
    Proportional,
    Sampler,
    Temperature,
    sampler,
)
from labelweave.balancing.weightings import (
    WEIGHTINGS,
    GradientMethod,
    Weighting,
    weighting,
)

__all__ = [
    "SAMPLERS",
    "WEIGHTINGS",
    "Choice",
    "Equal",
    "GradientMethod",
    "LossWeighting",
    "Options",
    "Proportional",
    "Sampler",
    "Temperature",
    "Weighting",
    "sampler",
    "segments_of",
    "task_gramian",
    "weighting",
]
