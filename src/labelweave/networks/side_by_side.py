"""Small networks that share nothing, computed side by side."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from labelweave.networks.dropout import Dropout
from labelweave.networks.layers import Backbone
from labelweave.networks.multi_task import MultiTaskNetwork


class SideBySide(nn.Module):
    """Networks of one kind in one pass: each layer of all m is one batched matrix product.

    A small network's step goes by in the calls around its arithmetic; m networks share these here.
    Weights are copies, stacked; `separate` gives them back. Heads are filled up to the widest one
    by zeros, which stay zero.

    All networks get the same dropout mask, as they do when they are trained one after the other,
    each from the same seed.

    Args:
        networks: those that `of` accepts.

    Attributes:
        tasks: the tasks of all networks, in order.
    """

    def __init__(self, networks: Sequence[MultiTaskNetwork]) -> None:
        super().__init__()
        self._networks = tuple(networks)
        self.tasks = tuple(task for network in networks for task in network.tasks)
        layers = zip(*(_layers(network) for network in networks), strict=True)
        self.layers = nn.ModuleList(_stacked(each) for each in layers)
        self.heads = _StackedLinear([network.heads for network in networks])

    @classmethod
    def of(cls, networks: Sequence[MultiTaskNetwork]) -> Self | None:
        """Return the networks side by side; None where they are not perceptrons of one shape."""
        kinds = {_kind(network) for network in networks}
        return cls(networks) if len(kinds) == 1 and None not in kinds else None

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return the scores of every task, (n, width), for inputs (m, n, d), one batch each."""
        for layer in self.layers:
            inputs = layer(inputs)
        scores: dict[str, Tensor] = {}
        for network, found in zip(self._networks, self.heads(inputs).unbind(), strict=True):
            own = found.narrow(1, 0, sum(network.widths)).split_with_sizes(network.widths, dim=1)
            scores |= {task.name: part for task, part in zip(network.tasks, own, strict=True)}
        return scores

    def separate(self) -> list[MultiTaskNetwork]:
        """Return the networks, each with its weights as they are now, in evaluation mode."""
        for layer in (*self.layers, self.heads):
            if isinstance(layer, _StackedLinear):
                layer.separate()
        return [network.eval() for network in self._networks]


class _StackedLinear(nn.Module):
    """Linear layers of the same inputs; the outputs of all are as many as the widest one's."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self._layers = tuple(layers)
        widest = max(layer.out_features for layer in layers)
        first = layers[0].weight.detach()
        # the other way round than in `nn.Linear`, which saves a copy of every gradient
        weight = first.new_zeros(len(layers), layers[0].in_features, widest)
        bias = first.new_zeros(len(layers), 1, widest)
        for i, layer in enumerate(layers):
            weight[i, :, : layer.out_features] = layer.weight.detach().t()
            bias[i, 0, : layer.out_features] = layer.bias.detach()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, inputs, self.weight)

    @torch.no_grad()
    def separate(self) -> None:
        for layer, weight, bias in zip(self._layers, self.weight, self.bias, strict=True):
            layer.weight.copy_(weight[:, : layer.out_features].t())
            layer.bias.copy_(bias[0, : layer.out_features])


class _SharedDropout(nn.Module):
    """Dropout by one mask for all networks."""

    def __init__(self, layer: Dropout) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or self.layer.p == 0:
            return inputs
        return inputs * self.layer.mask(inputs[0])


def _stacked(layers: Sequence[nn.Module]) -> nn.Module:
    first = layers[0]
    if isinstance(first, nn.Linear):
        return _StackedLinear([layer for layer in layers if isinstance(layer, nn.Linear)])
    return _SharedDropout(Dropout(first.p)) if isinstance(first, Dropout) else nn.ReLU()


def _layers(network: MultiTaskNetwork) -> list[nn.Module]:
    body = network.backbone.body if isinstance(network.backbone, Backbone) else network.backbone
    return list(body) if isinstance(body, nn.Sequential) else [body]


def _kind(network: MultiTaskNetwork) -> str | None:
    """Return what networks side by side have in common; None = not fit to be."""
    layers = _layers(network)
    frozen = not all(weight.requires_grad for weight in network.parameters())
    plain = all(type(layer) in (nn.Linear, nn.ReLU, Dropout) for layer in layers)
    biased = all(layer.bias is not None for layer in layers if isinstance(layer, nn.Linear))
    return str(layers) if plain and biased and not frozen else None
