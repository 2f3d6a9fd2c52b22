"""Several trunks in one network: one that tasks share, and those of tasks that share with none."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labelweave.networks._layers import Backbone


class Trunks(Backbone):
    """Backbones of one kind side by side; their features stand one after the other.

    Args:
        trunks: at least one, for the same inputs.
    """

    def __init__(self, trunks: Sequence[Backbone]) -> None:
        first = trunks[0]
        features = sum(trunk.features for trunk in trunks)
        chunk = max(1, first.chunk // len(trunks))
        super().__init__(nn.ModuleList(trunks), features, first.saved, chunk)
        self.sizes = [trunk.features for trunk in trunks]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the features of all trunks, (n, features)."""
        assert isinstance(self.body, nn.ModuleList)
        return torch.cat([trunk(inputs) for trunk in self.body], dim=1)


class BlockHeads(nn.Linear):
    """Linear heads that each read one trunk: all other weights are 0, and stay so.

    Args:
        sizes: the number of features of every trunk.
        widths: the number of scores of every head.
        places: by head, the trunk that it reads.
    """

    block: Tensor

    def __init__(self, sizes: Sequence[int], widths: Sequence[int], places: Sequence[int]) -> None:
        super().__init__(sum(sizes), sum(widths))
        owner, trunk = np.repeat(places, widths), np.repeat(np.arange(len(sizes)), sizes)
        block = torch.from_numpy(owner[:, None] == trunk[None, :]).to(self.weight)
        self.register_buffer("block", block, persistent=False)
        # as wide as a head on its trunk alone would start (`nn.Linear`)
        bound = torch.from_numpy(np.asarray(sizes)[owner] ** -0.5).to(self.weight)
        with torch.no_grad():
            self.weight.uniform_(-1, 1).mul_(bound[:, None] * block)
            self.bias.uniform_(-1, 1).mul_(bound)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the scores, (n, sum of widths)."""
        return F.linear(inputs, self.weight * self.block, self.bias)


def trunks_of(backbone: nn.Module) -> list[nn.Module]:
    """Return the trunks of a backbone: itself, unless it has several."""
    if isinstance(backbone, Trunks):
        assert isinstance(backbone.body, nn.ModuleList)
        return list(backbone.body)
    return [backbone]


def places(tasks: Sequence[str], own: Sequence[str]) -> list[int]:
    """Return the trunk that each task reads: those not in `own` share the first.

    Args:
        tasks: names, in order.
        own: those with a trunk that no other task reads.
    """
    shared = any(name not in own for name in tasks)
    number = {name: i + shared for i, name in enumerate(n for n in tasks if n in own)}
    return [number.get(name, 0) for name in tasks]
