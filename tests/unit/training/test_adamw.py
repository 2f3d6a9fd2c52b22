"""AdamW's quick step is bitwise PyTorch's own, whatever weights take part."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from labelweave.training._optimiser import AdamW


def weights_of(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((7, 5), (7,), (3,))]


def groups(weights: list[nn.Parameter]) -> list[dict]:
    return [{"params": weights[:2], "lr": 0.01}, {"params": weights[2:], "lr": 0.1}]


@pytest.mark.parametrize("fused", [True, False])
def test_quick_steps_are_those_of_torch(fused):
    ours, theirs = weights_of(), weights_of()
    quick = AdamW(groups(ours), weight_decay=0.1, fused=fused)
    plain = torch.optim.AdamW(groups(theirs), weight_decay=0.1, fused=fused)
    generator = torch.Generator().manual_seed(1)
    # the last weight has no gradient at first, and the second none for a while
    without = [{2}, {2}, set(), {1}, {1}, set(), set()]
    for step, missing in enumerate(without):
        for optimizer in (quick, plain):
            for group in optimizer.param_groups:
                group["lr"] = 0.01 * (step + 1)
        for place, (own, other) in enumerate(zip(ours, theirs, strict=True)):
            gradient = torch.randn(own.shape, generator=generator)
            own.grad = None if place in missing else gradient
            other.grad = None if place in missing else gradient.clone()
        quick.quick_step()
        plain.step()
        for own, other in zip(ours, theirs, strict=True):
            assert torch.equal(own, other)
    for own, other in zip(ours, theirs, strict=True):
        for name, value in plain.state[other].items():
            assert torch.equal(quick.state[own][name], value)


def test_a_loaded_state_is_taken_over():
    first, second = weights_of(), weights_of()
    quick, resumed = AdamW(first, lr=0.1, fused=True), AdamW(second, lr=0.1, fused=True)
    for step in range(6):
        for own, other in zip(first, second, strict=True):
            own.grad = torch.full_like(own, 0.1 * (step + 1))
            other.grad = own.grad.clone()
        quick.quick_step()
        resumed.quick_step()
        if step == 2:
            with torch.no_grad():
                for own, other in zip(first, second, strict=True):
                    other.copy_(own)
            resumed.load_state_dict(deepcopy(quick.state_dict()))
    for own, other in zip(first, second, strict=True):
        assert torch.equal(own, other)
