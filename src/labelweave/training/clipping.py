"""Clipping of gradients, without what costs a small network time."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

TINY = 1e-6  # as in PyTorch


@torch.no_grad()
def clip(weights: Sequence[nn.Parameter], most: float) -> Tensor:
    """Scale all gradients in place so that their common norm is at most `most`; return the norm.

    Bitwise what `torch.nn.utils.clip_grad_norm_` does to weights of one device and type, with less
    of what it does around it. A norm that is not finite makes the gradients not finite.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if not gradients:
        return torch.zeros(())
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    # where looking at a value does not make a device wait; NaN is not below
    if norm.device.type == "cpu" and float(norm) + TINY <= most:
        return norm
    torch._foreach_mul_(gradients, (most / (norm + TINY)).clamp(max=1.0))
    return norm


@torch.no_grad()
def clip_each(weights: Sequence[nn.Parameter], most: float) -> Tensor:
    """Do the same for m networks side by side, whose weights are stacked; return the norms, (m,).

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
