"""How fast each part of a network learns: groups of weights with a factor on the learning rate."""

import re
from typing import Any

from torch import nn

from labelweave.networks.multi_task import MultiTaskNetwork

NUMBER = re.compile(r"\d+")


def parameter_groups(
    network: nn.Module, backbone_rate: float = 1.0, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Return the weights that are trained, as groups of an optimiser, each with its ``factor``.

    Discriminative learning rates (Howard and Ruder, 2018): the heads learn with factor 1, the top
    layer of the backbone with `backbone_rate`, and each layer below with `layer_decay` times the
    factor of the one above.

    Args:
        network: the network; frozen weights are left out. One without a backbone learns all at
            one rate.
        backbone_rate: above 0.
        layer_decay: above 0 to 1.
    """
    if backbone_rate == layer_decay == 1 or not isinstance(network, MultiTaskNetwork):
        return [{"params": [p for p in network.parameters() if p.requires_grad], "factor": 1.0}]
    groups = {1.0: list(network.heads.parameters())}
    depths = layer_depths(network.backbone)
    top = max(depths.values(), default=0)
    for name, weight in network.backbone.named_parameters():
        if weight.requires_grad:
            factor = backbone_rate * layer_decay ** (top - depths[name])
            groups.setdefault(factor, []).append(weight)
    return [{"params": weights, "factor": factor} for factor, weights in groups.items()]


def layer_depths(module: nn.Module) -> dict[str, int]:
    """Return the layer of every weight, from 0 at the inputs.

    The first number in a weight's name is that of its layer, or of its stage, as ``layers.3.mlp``;
    what has none is below them all when it stands before the first of them, else above.
    """
    names = [name for name, _ in module.named_parameters()]
    numbers = [int(found[0]) if (found := NUMBER.search(name)) else None for name in names]
    known = sorted({number for number in numbers if number is not None})
    first = next((i for i, number in enumerate(numbers) if number is not None), len(names))
    below = int(any(number is None for number in numbers[:first]))
    place = {number: below + i for i, number in enumerate(known)}
    above = below + len(known) if known else 0
    return {
        name: (0 if i < first else above) if number is None else place[number]
        for i, (name, number) in enumerate(zip(names, numbers, strict=True))
    }
