"""What a loss returns: sums and the counts that they are to be divided by.

A loss does not divide by itself, so that under data-parallel training all counts can first be
summed over the processes: every loss is normalised by the labels of the whole, global batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Terms(NamedTuple):
    """Named loss sums: `sums[i] / counts[i]` is the value of `names[i]`; both tensors (T,)."""

    names: tuple[str, ...]
    sums: Tensor
    counts: Tensor

    def means(self) -> Tensor:
        """Return the value of every term, (T,); 0 where the count is 0."""
        return self.sums * self.inverse_counts()

    def inverse_counts(self) -> Tensor:
        """Return 1 / count of every term, (T,); 0 where the count is 0."""
        # a mean over few elements must stay a mean, so only empty terms are guarded
        inverse = self.counts.clamp(min=1e-6).reciprocal()
        return inverse.masked_fill_(~(self.counts > 0), 0.0)


def join(parts: Sequence[Terms]) -> Terms:
    """Return the terms of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    names = tuple(name for part in parts for name in part.names)
    return Terms(
        names, torch.cat([part.sums for part in parts]), torch.cat([part.counts for part in parts])
    )
