"""Networks: shared backbones and the heads of the tasks."""

from labelweave.networks.backbones import (
    BACKBONES,
    FAMILIES,
    backbone,
    backbone_options,
    backbone_space,
    check_name,
    family_of,
    identity,
)
from labelweave.networks.dry_pass import described
from labelweave.networks.layers import Backbone
from labelweave.networks.multi_task import MultiTaskNetwork, probabilities
from labelweave.networks.rates import parameter_groups
from labelweave.networks.side_by_side import SideBySide

__all__ = [
    "BACKBONES",
    "FAMILIES",
    "Backbone",
    "MultiTaskNetwork",
    "SideBySide",
    "backbone",
    "backbone_options",
    "backbone_space",
    "check_name",
    "described",
    "family_of",
    "identity",
    "parameter_groups",
    "probabilities",
]
