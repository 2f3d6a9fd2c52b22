"""From pixels as they are stored to what networks are trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """Standardise pixels, 0 to 255, channel by channel: (x / 255 - mean) / deviation.

    Args:
        mean: one for all channels, or one each.
        deviation: likewise.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, mean: Sequence[float] = (0.5,), deviation: Sequence[float] = (0.25,)
    ) -> None:
        super().__init__()
        # constants of the code, not of the weights
        for name, values in {"mean": mean, "deviation": deviation}.items():
            self.register_buffer(name, 255 * torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return floats of the same shape, (n, channels, height, width)."""
        return (images.to(self.mean.dtype) - self.mean) / self.deviation
