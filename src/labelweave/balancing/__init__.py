"""Balancing of sources and tasks: how batches are mixed."""

from labelweave.balancing.sampling import (
    SAMPLERS,
    Equal,
    Proportional,
    Sampler,
    Temperature,
    sampler,
)

__all__ = ["SAMPLERS", "Equal", "Proportional", "Sampler", "Temperature", "sampler"]
