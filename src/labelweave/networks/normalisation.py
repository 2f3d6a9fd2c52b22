"""Batch normalisation, and what may take its place where batches mix sources."""

import math

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from labelweave.errors import LabelweaveError

GROUPS = 32  # at most, as in the paper


def to_group_norm(name: str, module: nn.Module) -> None:
    """Put group normalisation in the place of every batch normalisation, in place.

    The statistics of a batch are those of the mix of sources in it, which is not the mix that is
    met in prediction; group normalisation treats every row alone (Wu and He, 2018). Scale and
    shift of each channel are kept. There are up to 32 groups, of 4 channels or more where that
    divides.

    Args:
        name: what errors call the module.
        module: any network.

    Raises:
        LabelweaveError: it has no batch normalisation.
    """
    found = [
        (parent, child_name, child)
        for parent in module.modules()
        for child_name, child in parent.named_children()
        if isinstance(child, _BatchNorm)
    ]
    if not found:
        raise LabelweaveError(f"{name}: has no batch normalisation, expected it for norm 'group'")
    for parent, child_name, child in found:
        setattr(parent, child_name, _group_norm(child))


def _group_norm(batch: _BatchNorm) -> nn.Module:
    channels = batch.num_features
    group = nn.GroupNorm(_groups(channels), channels, batch.eps, batch.affine)
    if batch.affine:
        group.weight, group.bias = batch.weight, batch.bias
    # timm's bring along what follows them
    after = [getattr(batch, name) for name in ("drop", "act") if hasattr(batch, name)]
    return nn.Sequential(group, *after) if after else group


def _groups(channels: int) -> int:
    # a group of a single value would be 0 whatever that is
    return math.gcd(GROUPS, channels // 4 if channels % 4 == 0 else channels)
