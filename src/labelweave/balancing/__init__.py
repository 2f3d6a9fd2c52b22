"""Balancing of sources and tasks: how batches are mixed, and how the tasks' losses are weighed."""

from labelweave.balancing.choices import Choice, Options, chosen
from labelweave.balancing.gradients import segments_of, task_gramian
from labelweave.balancing.label_shares import label_shares
from labelweave.balancing.losses import LossWeighting
from labelweave.balancing.sampling import (
    Equal,
    Mixture,
    Proportional,
    RoundRobin,
    Sampler,
    Shares,
    Temperature,
)
from labelweave.balancing.samplings import SAMPLERS, sampler, sampling
from labelweave.balancing.weightings import (
    SEARCHED,
    WEIGHTINGS,
    GradientMethod,
    Weighting,
    weighting,
)

__all__ = [
    "SAMPLERS",
    "SAMPLING_SPACE",
    "SEARCHED",
    "WEIGHTINGS",
    "Choice",
    "Equal",
    "GradientMethod",
    "LossWeighting",
    "Mixture",
    "Options",
    "Proportional",
    "RoundRobin",
    "Sampler",
    "Shares",
    "Temperature",
    "Weighting",
    "chosen",
    "label_shares",
    "sampler",
    "sampling",
    "segments_of",
    "task_gramian",
    "weighting",
]
