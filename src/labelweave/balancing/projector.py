"""Projection onto the dual cone of some gradients, for torchjd, by SciPy.

torchjd's own projector needs the packages quadprog (GPL) and qpsolvers (LGPL).
"""

from functools import cache

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor
from torchjd.linalg import DualConeProjector, PSDMatrix

from labelweave.balancing.gramian import factor


class NonNegativeLeastSquares(DualConeProjector):
    """argmin v' G v over v >= u: with G = R' R and v = u + z it is min |R z + R u| over z >= 0."""

    def __call__(self, U: Tensor, G: PSDMatrix) -> Tensor:
        """Return the weights of the projections, like `U` (..., m), for the Gramian `G` (m, m)."""
        root = factor(G.detach().cpu().numpy().astype(np.float64))
        wanted = U.detach().cpu().numpy().astype(np.float64)
        rows = wanted.reshape(-1, len(root))
        found = np.stack([u + nnls(root, -root @ u)[0] for u in rows]).reshape(wanted.shape)
        return torch.as_tensor(found, device=U.device, dtype=U.dtype)


@cache
def projector() -> NonNegativeLeastSquares:
    """Return the projector; it has no state."""
    return NonNegativeLeastSquares()
