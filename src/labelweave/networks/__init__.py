"""Networks: shared backbones and the heads of the tasks."""

from labelweave.networks._backbones import BACKBONES, backbone
from labelweave.networks._layers import Backbone
from labelweave.networks._multi_task import MultiTaskNetwork, probabilities

__all__ = [
    "BACKBONES",
    "Backbone",
    "MultiTaskNetwork",
    "backbone",
    "probabilities",
]
