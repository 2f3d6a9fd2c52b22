"""The network: one shared backbone, or several trunks, and one linear head a task."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.networks._layers import CHUNK, Backbone, Dropout
from labelweave.networks._trunks import BlockHeads, Trunks, places, trunks_of
from labelweave.tasks import Multiclass, Task, check_distinct


class MultiTaskNetwork(nn.Module):
    """Backbone and linear heads; all heads are one matrix product, split by task.

    Args:
        backbone: a `Backbone`, or any module when `features` is given.
        tasks: the tasks, classes known.
        features: number of features of a backbone that does not know it.
        own_trunks: names of tasks that share no trunk with another; the backbone is then `Trunks`:
            the shared one, if some task reads it, and then these, in the order of the tasks.

    Raises:
        LabelweaveError: no task, tasks of one name, or an unknown number of features.
    """

    def __init__(
        self,
        backbone: nn.Module,
        tasks: Sequence[Task],
        features: int | None = None,
        own_trunks: Sequence[str] = (),
    ) -> None:
        super().__init__()
        check_distinct(tasks)
        if features is None:
            if not isinstance(backbone, Backbone):
                raise LabelweaveError(
                    f"the backbone {type(backbone).__name__} does not say its number of features: "
                    "give features="
                )
            features = backbone.features
        self.backbone = backbone
        self.tasks = tuple(tasks)
        self.widths = [task.width for task in self.tasks]
        self.own_trunks = tuple(task.name for task in tasks if task.name in own_trunks)
        if isinstance(backbone, Trunks):
            at = places([task.name for task in tasks], self.own_trunks)
            self.heads: nn.Linear = BlockHeads(backbone.sizes, self.widths, at)
        else:
            self.heads = nn.Linear(features, sum(self.widths))

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return the scores of every task: task name to (n, width)."""
        scores = torch.split_with_sizes(self.heads(self.backbone(inputs)), self.widths, dim=1)
        return {task.name: part for task, part in zip(self.tasks, scores, strict=True)}

    @torch.no_grad()
    def features(self, inputs: Tensor) -> Tensor:
        """Return what the backbone makes of inputs in evaluation mode, (n, features), on the CPU.

        Args:
            inputs: (n, ...); moved in chunks to the network's device.
        """
        chunk = self.backbone.chunk if isinstance(self.backbone, Backbone) else CHUNK
        training, weight = self.training, self.heads.weight
        self.eval()
        parts = [self.backbone(_like(rows, weight)).cpu() for rows in torch.split(inputs, chunk)]
        self.train(training)
        return torch.cat(parts).float()

    @torch.no_grad()
    def probabilities(self, inputs: Tensor, chunk: int | None = None) -> dict[str, Tensor]:
        """Return P(class) or P(label on) of every task in evaluation mode, (n, width), on the CPU.

        Args:
            inputs: (n, ...); moved in chunks to the network's device.
            chunk: rows a pass, to bound memory; None = what the backbone says.
        """
        if chunk is None:
            chunk = self.backbone.chunk if isinstance(self.backbone, Backbone) else CHUNK
        training, weight = self.training, self.heads.weight
        if training:  # else a walk through all modules, as long as a pass of a row
            self.eval()
        parts = [
            {name: part.float().cpu() for name, part in self._chunk(_like(rows, weight)).items()}
            for rows in torch.split(inputs, chunk)
        ]
        if training:
            self.train()
        if len(parts) == 1:
            return parts[0]
        return {task.name: torch.cat([p[task.name] for p in parts]) for task in self.tasks}

    def _chunk(self, inputs: Tensor) -> dict[str, Tensor]:
        return probabilities(self(inputs), self.tasks)


def _like(inputs: Tensor, weight: Tensor) -> Tensor:
    # indices, such as a text's tokens, must stay integers
    return inputs.to(weight if inputs.is_floating_point() else weight.device)


def probabilities(logits: Mapping[str, Tensor], tasks: Sequence[Task]) -> dict[str, Tensor]:
    """Return softmax (multiclass) or sigmoid (multilabel) of every task's scores.

    Args:
        logits: task name to (n, K) or (n, L) scores.
        tasks: the tasks, their classes known.
    """
    return {
        task.name: torch.softmax(logits[task.name], dim=1)
        if isinstance(task, Multiclass)
        else torch.sigmoid(logits[task.name])
        for task in tasks
    }


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
    for trunk in trunks_of(network.backbone):
        depths = layer_depths(trunk)
        top = max(depths.values(), default=0)
        for name, weight in trunk.named_parameters():
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
