"""AdamW without what costs a small network time."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from labelweave.networks import MultiTaskNetwork, SideBySide, parameter_groups
from labelweave.training._config import TrainingConfig

Network = MultiTaskNetwork | SideBySide


class AdamW(torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter, ICLR 2019) whose `quick_step` is bitwise that of `step`.

    PyTorch's step looks at hooks, profilers and every weight's state anew: half of its time for a
    small network. This keeps the state's tensors in lists instead.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._known: list[list[int]] = []
        self._state: list[list[list[Tensor]]] = []

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a saved state."""
        self._known = []
        super().load_state_dict(state_dict)

    @torch.no_grad()
    def quick_step(self) -> None:
        """Take a step; hooks are not called."""
        groups = self.param_groups
        active = [[w for w in group["params"] if w.grad is not None] for group in groups]
        known = [[id(w) for w in weights] for weights in active]
        if known != self._known:
            self.step()  # makes the state of weights that have a gradient for the first time
            self._known, self._state = known, [self._slots(weights) for weights in active]
            return
        for group, weights, (mean, square, steps) in zip(groups, active, self._state, strict=True):
            beta1, beta2 = group["betas"]
            adamw(
                weights,
                [weight.grad for weight in weights],
                mean,
                square,
                [],
                steps,
                fused=group["fused"],
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=False,
            )

    def _slots(self, weights: list[Tensor]) -> list[list[Tensor]]:
        names = ("exp_avg", "exp_avg_sq", "step")
        return [[self.state[weight][name] for weight in weights] for name in names]


def optimizer_of(network: Network, config: TrainingConfig, device: torch.device) -> AdamW:
    """Return the optimiser of a network's weights."""
    return AdamW(
        parameter_groups(network, config.backbone_rate, config.layer_decay),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )


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
