"""Batches: whole-batch gathers from arrays, one index operation an array, no worker processes."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelweave.annotations import Annotations
from labelweave.balancing import Sampler


class Batch(NamedTuple):
    """One training batch: inputs (b, d) and per task the codes of `Annotations` for these rows."""

    inputs: Tensor
    labels: dict[str, Tensor]


class Batches:
    """The training batches of a sampler over inputs and annotations, by step.

    Args:
        inputs: float32 (n, d); a memory-mapped array stays on disk until its rows are gathered.
        annotations: the labels of the same n rows.
        sampler: step to row indices (see `labelweave.balancing`).
        device: where to hold the arrays and make the batches.
        shard: (index, number) of this process in a data-parallel run: it takes every number-th row
            of the global batch.
    """

    def __init__(
        self,
        inputs: NDArray[np.float32],
        annotations: Annotations,
        sampler: Sampler,
        device: torch.device | str = "cpu",
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        self.inputs = _tensor(inputs, device)
        self.labels = label_tensors(annotations, device)
        self.sampler, self.shard = sampler, shard

    def __getitem__(self, step: int) -> Batch:
        index, number = self.shard
        rows = torch.from_numpy(self.sampler(step)[index::number]).to(self.inputs.device)
        labels = {name: codes.index_select(0, rows) for name, codes in self.labels.items()}
        return Batch(self.inputs.index_select(0, rows), labels)


def label_tensors(annotations: Annotations, device: torch.device | str) -> dict[str, Tensor]:
    """Return the codes of every task as tensors on a device."""
    return {name: _tensor(codes, device) for name, codes in annotations.labels.items()}


def _tensor(array: NDArray[Any], device: torch.device | str) -> Tensor:
    with warnings.catch_warnings():
        # a read-only array, such as a memory-mapped one, is only ever gathered from
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)
