"""The two cross-entropies of distribution matching, with their gradient in closed form.

Equal to a plain composition of PyTorch operations, which the tests hold it against, in fewer passes
over memory and with two matrices kept for the backward pass. It has no second
derivative.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

FLOOR = 1e-6  # of q in a logarithm; below it q gets no gradient

Factor = float | Tensor


def cross_entropies(
    log_p: Tensor, q: Tensor, mass: Tensor | None, forth: Factor, back: Factor
) -> Tensor:
    """Return forth * q (log q - log p) + back * p (log p - log q), summed over the rows, (M,).

    The weights q and p in front of the brackets, and the entropies, count as constants, so that
    the gradient is that of the two cross-entropies: -forth q for log p, -back p / q for q.

    Args:
        log_p: (n, M) logarithms of probabilities.
        q: (n, M) probabilities, `FLOOR` at least in the logarithm.
        mass: (n, M) a constant weight; None = 1.
        forth: factor of the first bracket, one or (M,).
        back: factor of the second bracket, one or (M,).
    """
    return _CrossEntropies.apply(log_p, q, mass, forth, back)  # type: ignore[no-any-return, no-untyped-call]


class _CrossEntropies(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, log_p: Tensor, q: Tensor, mass: Tensor | None, forth: Factor, back: Factor
    ) -> Tensor:
        p = log_p.exp()
        ratio = p / F.threshold(q, FLOOR, math.inf)
        difference = q.clamp(min=FLOOR).log_().neg_().add_(log_p)
        # both brackets hold the same difference
        loss = p.mul_(back).sub_(forth * q).mul_(difference)
        if mass is not None:
            loss, q, ratio = mass * loss, mass * q, mass * ratio
        ctx.save_for_backward(q, ratio)
        ctx.factors = forth, back
        return loss.sum(dim=0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, ratio = ctx.saved_tensors
        forth, back = ctx.factors
        return (-forth * grad) * q, (-back * grad) * ratio, None, None, None
