"""Batches: whole-batch gathers from arrays, one index operation an array, no worker processes."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelweave.annotations import Annotations
from labelweave.balancing import Sampler


class Batch(NamedTuple):
    """One training batch of b rows.

    Attributes:
        inputs: (b, d).
        labels: task name to the codes of `Annotations`.
        source: (b,) index of the data source of each row; None = not known.
        teachers: task name to (b, width) scores of its teacher.
    """

    inputs: Tensor
    labels: dict[str, Tensor]
    source: Tensor | None
    teachers: dict[str, Tensor]


class Batches:
    """The training batches of a sampler over inputs and annotations, by step.

    Args:
        inputs: float32 (n, d); a memory-mapped array stays on disk until its rows are gathered.
        annotations: the labels of the same n rows.
        sampler: step to row indices (see `labelweave.balancing`).
        device: where to hold the arrays and make the batches.
        shard: (index, number) of this process in a data-parallel run: it takes every number-th row
            of the global batch.
        source: (n,) index of the data source of each row.
        teachers: task name to (n, width) scores of its teacher.
    """

    def __init__(
        self,
        inputs: NDArray[np.float32],
        annotations: Annotations,
        sampler: Sampler,
        device: torch.device | str = "cpu",
        shard: tuple[int, int] = (0, 1),
        source: NDArray[np.int64] | None = None,
        teachers: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self.inputs = _tensor(inputs, device)
        self.source = None if source is None else _tensor(source, device)
        self.teachers = {name: _tensor(t, device) for name, t in (teachers or {}).items()}
        self.labels = label_tensors(annotations, device)
        self.sampler, self.shard = sampler, shard

    def __getitem__(self, step: int) -> Batch:
        index, number = self.shard
        rows = torch.from_numpy(self.sampler(step)[index::number]).to(self.inputs.device)
        return Batch(
            self.inputs.index_select(0, rows),
            {name: codes.index_select(0, rows) for name, codes in self.labels.items()},
            None if self.source is None else self.source.index_select(0, rows),
            {name: scores.index_select(0, rows) for name, scores in self.teachers.items()},
        )


def label_tensors(annotations: Annotations, device: torch.device | str) -> dict[str, Tensor]:
    """Return the codes of every task as tensors on a device."""
    return {name: _tensor(codes, device) for name, codes in annotations.labels.items()}


def _tensor(array: NDArray[Any], device: torch.device | str) -> Tensor:
    with warnings.catch_warnings():
        # a read-only array, such as a memory-mapped one, is only ever gathered from
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)
