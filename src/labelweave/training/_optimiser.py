"""The optimiser, the clipping of gradients side by side, and the learning rate of a step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from labelweave.networks import MultiTaskNetwork
from labelweave.networks._multi_task import SideBySide, parameter_groups
from labelweave.training._config import TrainingConfig

Network = MultiTaskNetwork | SideBySide


def optimizer_of(
    network: Network, config: TrainingConfig, device: torch.device
) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter, ICLR 2019) over a network's weights."""
    return torch.optim.AdamW(
        parameter_groups(network, config.backbone_rate, config.layer_decay),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )


TINY = 1e-6  # as in PyTorch


@torch.no_grad()
def clip_each(weights: Sequence[nn.Parameter], most: float) -> Tensor:
    """Clip the gradients of m networks side by side, each by its own norm; return the norms, (m,).

    `torch.nn.utils.clip_grad_norm_` for each network, whose weights are stacked.

    Args:
        weights: each (m, ...).
        most: of each network's norm.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norms = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    if norm.device.type == "cpu" and float(norm.max()) + TINY <= most:
        return norm
    factors = (most / (norm + TINY)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
    return norm


def one_cycle(step: int, total: int, peak: float, warm_up: float = 0.3) -> float:
    """Return the learning rate of a step (Smith and Topin, 2018; cosine form of PyTorch).

    Rises from ``peak / 25`` to `peak` over the share `warm_up` of the steps, then falls to
    ``peak / 250000``.

    Args:
        step: 0 to total - 1.
        total: number of steps.
        peak: the highest learning rate.
        warm_up: share of the steps that rise.
    """
    start, end = peak / 25, peak / 25 / 1e4
    top = warm_up * total - 1
    if step <= top:
        return _cosine(start, peak, step / top if top > 0 else 1.0)
    return _cosine(peak, end, (step - top) / max(1e-9, total - 1 - top))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, share)))
