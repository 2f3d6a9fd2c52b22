"""Networks: shared backbones and the heads of the tasks."""

from labelweave.networks.backbones import BACKBONES, Backbone, backbone
from labelweave.networks.multi_task import MultiTaskNetwork, probabilities

__all__ = ["BACKBONES", "Backbone", "MultiTaskNetwork", "backbone", "probabilities"]
