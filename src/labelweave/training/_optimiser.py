"""The optimiser, the clipping of gradients side by side, and the learning rate of a step."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from labelweave.networks import MultiTaskNetwork
from labelweave.networks._multi_task import SideBySide, parameter_groups
from labelweave.training._config import TrainingConfig
from labelweave.training._device import Device, ThisProcess

Network = MultiTaskNetwork | SideBySide


BETAS, EPSILON = (0.9, 0.999), 1e-8  # PyTorch's defaults
SLOTS = ("step", "exp_avg", "exp_avg_sq")


class AdamW:
    """AdamW by PyTorch's own function, without the class around it.

    Making a `torch.optim.AdamW` imports PyTorch's compiler, which takes longer than a small
    training. The steps are the same to the last bit, and so is the state.

    Args:
        groups: as for `torch.optim.AdamW`; a step takes each group's ``lr``.
        weight_decay: decoupled.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], weight_decay: float) -> None:
        self.param_groups = [dict(group) for group in groups]
        self.weight_decay = weight_decay
        self.slots: dict[nn.Parameter, tuple[Tensor, Tensor, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Change every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            found = [self.slots.get(weight) or self._new(weight) for weight in weights]
            adamw(
                weights,
                [weight.grad for weight in weights],
                [slots[1] for slots in found],
                [slots[2] for slots in found],
                [],
                [slots[0] for slots in found],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=group["lr"],
                weight_decay=self.weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    def _new(self, weight: nn.Parameter) -> tuple[Tensor, Tensor, Tensor]:
        first, second = (torch.zeros_like(weight) for _ in range(2))
        self.slots[weight] = slots = torch.zeros((), dtype=torch.float32), first, second
        return slots

    def _weights(self) -> list[nn.Parameter]:
        return [weight for group in self.param_groups for weight in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        """Return the state by the number of a weight, as `torch.optim.AdamW` does."""
        state = {
            number: dict(zip(SLOTS, self.slots[weight], strict=True))
            for number, weight in enumerate(self._weights())
            if weight in self.slots
        }
        return {"state": state, "param_groups": self.param_groups}

    def load_state_dict(self, given: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            KeyError, IndexError, ValueError: it is of other weights.
        """
        weights = self._weights()
        for number, slots in given["state"].items():
            weight, (step, first, second) = weights[number], (slots[name] for name in SLOTS)
            if not weight.shape == first.shape == second.shape:
                raise ValueError("the state of another weight")
            self.slots[weight] = step.clone(), first.clone(), second.clone()


Optimizer: TypeAlias = AdamW | torch.optim.Optimizer


def optimizer_of(network: Network, config: TrainingConfig, device: Device) -> Optimizer:
    """Return AdamW (Loshchilov and Hutter, ICLR 2019) over a network's weights."""
    groups = parameter_groups(network, config.backbone_rate, config.layer_decay)
    if isinstance(device, ThisProcess):
        return AdamW(groups, config.weight_decay)
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=device.device.type in ("cpu", "cuda"),
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
