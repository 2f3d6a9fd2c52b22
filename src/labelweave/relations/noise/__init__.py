"""Label noise: how the labels found differ from the clean ones, and which are likely wrong."""

from labelweave.relations.noise.estimation import NoiseReport, estimate_noise
from labelweave.relations.noise.mislabelled import Mislabelled
from labelweave.relations.noise.noise import Noise

__all__ = ["Mislabelled", "Noise", "NoiseReport", "estimate_noise"]
