"""What a loss returns: sums and the counts that they are to be divided by.

A loss does not divide by itself, so that under data-parallel training all counts can first be
summed over the processes: every loss is normalised by the labels of the whole, global batch.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from labelweave.losses.stack import Labels, Logits


class Terms(NamedTuple):
    """Named loss sums: `sums[i] / counts[i]` is the value of `names[i]`; both tensors (T,)."""

    names: tuple[str, ...]
    sums: Tensor
    counts: Tensor


class Coupling(Protocol):
    """A loss between tasks: called on logits and labels of one batch."""

    def __call__(self, logits: Logits, labels: Labels) -> Terms:
        """Return the terms of one batch."""
        ...


def join(parts: Sequence[Terms]) -> Terms:
    """Return the terms of all parts, in order."""
    names = tuple(name for part in parts for name in part.names)
    return Terms(
        names, torch.cat([part.sums for part in parts]), torch.cat([part.counts for part in parts])
    )
