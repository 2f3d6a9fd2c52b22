"""Dropout that draws its random numbers fast."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BITS = 16  # of random numbers an element: the share is met to 1 in 65,536


class Dropout(nn.Module):
    """Dropout (Srivastava et al., JMLR 2014): in training, elements are 0 with a probability.

    The others are multiplied by what keeps the mean. On a CPU PyTorch draws a number of its
    own for every element, half of the forward pass of a small network; here one draw of 64 bits
    serves four elements.

    Args:
        p: share of elements that become 0, from 0 to below 1.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        """Return values of any shape with elements dropped; in evaluation, as they are."""
        if not self.training or self.p == 0:
            return values
        if values.device.type != "cpu" or torch.compiler.is_compiling():
            return F.dropout(values, self.p)
        return values * self.mask(values)

    def mask(self, like: Tensor) -> Tensor:
        """Return the factors of elements as those of `like`: 0, or 1 / (1 - p)."""
        if like.device.type != "cpu":
            return F.dropout(torch.ones_like(like), self.p)
        count = like.numel()
        words = torch.empty(-(-count * BITS // 64), dtype=torch.int64).random_(-(2**63), None)
        numbers = words.view(torch.int16)[:count].view(like.shape).float()
        # whole numbers: what lies between 0 and 1/2 is 0 or 1/2; quicker than to compare
        below = round(self.p * 2**BITS) - 2 ** (BITS - 1) - 0.5
        kept = numbers.sub_(below).clamp_(0, 0.5).mul_(2 / (1 - self.p))
        return kept.to(like.dtype)

    def extra_repr(self) -> str:
        """Return the share."""
        return f"p={self.p}"
