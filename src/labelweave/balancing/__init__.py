"""Balancing of sources and tasks: how batches are mixed, and how the tasks' losses are weighed."""

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
from labelweave.balancing._weighting import WEIGHTINGS, GradientMethod, LossWeighting, weighting

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
