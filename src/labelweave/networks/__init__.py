"""Networks: shared backbones and the heads of the tasks."""

from labelweave.networks._backbones import (
    BACKBONES,
    backbone,
    backbone_options,
    backbone_space,
    check_name,
    family_of,
    identity,
)
from labelweave.networks._layers import Backbone
from labelweave.networks._multi_task import (
    MultiTaskNetwork,
    SideBySide,
    parameter_groups,
    probabilities,
)
from labelweave.networks._pretrained import describe_inputs

__all__ = [
    "BACKBONES",
    "Backbone",
    "MultiTaskNetwork",
    "SideBySide",
    "backbone",
    "backbone_options",
    "backbone_space",
    "check_name",
    "describe_inputs",
    "family_of",
    "identity",
    "parameter_groups",
    "probabilities",
]
