"""Networks: shared backbones and the heads of the tasks."""

from labelweave.networks.backbones import BACKBONES, backbone, backbone_options
from labelweave.networks.layers import Backbone
from labelweave.networks.multi_task import MultiTaskNetwork, probabilities

__all__ = [
    "BACKBONES",
    "Backbone",
    "MultiTaskNetwork",
    "backbone",
    "backbone_options",
    "probabilities",
]
