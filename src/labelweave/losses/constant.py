"""What a loss keeps of tables and weights."""

from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor


def constant(values: ArrayLike | Any) -> Tensor:
    """Return values as a tensor, floating-point ones in PyTorch's default precision."""
    tensor = torch.as_tensor(values).clone()
    return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor
