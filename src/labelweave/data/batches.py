"""Batches: whole-batch gathers from arrays, one index operation an array, no worker processes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelweave.annotations import Annotations
from labelweave.balancing import Sampler
from labelweave.data.gathering import gatherer, tensor
from labelweave.data.stored_inputs import Inputs, StoredInputs


class Batch(NamedTuple):
    """One training batch of b rows.

    Attributes:
        inputs: (b, d), or (b, channels, height, width); pixels hold until the next batch.
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
        inputs: float32 (n, d), or `StoredInputs`; what is memory-mapped stays on disk until its
            rows are gathered.
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
        inputs: Inputs,
        annotations: Annotations,
        sampler: Sampler,
        device: torch.device | str = "cpu",
        shard: tuple[int, int] = (0, 1),
        source: NDArray[np.int64] | None = None,
        teachers: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.inputs = inputs if isinstance(inputs, StoredInputs) else tensor(inputs, device)
        self._gather = gatherer(self.inputs, device)
        self.source = None if source is None else tensor(source, device)
        self.teachers = {name: tensor(t, device) for name, t in (teachers or {}).items()}
        self.labels = label_tensors(annotations, device)
        self.sampler, self.shard = sampler, shard

    def __getitem__(self, step: int) -> Batch:
        index, number = self.shard
        rows = torch.from_numpy(self.sampler(step)[index::number]).to(self.device)
        return Batch(
            self._gather(rows),
            {name: codes.index_select(0, rows) for name, codes in self.labels.items()},
            None if self.source is None else self.source.index_select(0, rows),
            {name: scores.index_select(0, rows) for name, scores in self.teachers.items()},
        )

    def rows(self, step: int, term: str) -> NDArray[np.int64]:
        """Return the rows of a step that a term of the loss is of."""
        return self.sampler(step)


class SeparateBatches(Batches):
    """The batches of networks side by side, all of one size: inputs (m, b, ...), labels (b,).

    Args:
        inputs: as of `Batches`.
        annotations: as of `Batches`.
        samplers: of every network its sampler.
        tasks: of every network the names of its tasks.
        device: where to hold the arrays and make the batches.
    """

    def __init__(
        self,
        inputs: Inputs,
        annotations: Annotations,
        samplers: Sequence[Sampler],
        tasks: Sequence[Sequence[str]],
        device: torch.device | str = "cpu",
    ) -> None:
        names = [name for of_network in tasks for name in of_network]
        super().__init__(inputs, annotations.only(names), samplers[0], device)
        self.samplers = list(samplers)
        self.networks = {name: i for i, of_network in enumerate(tasks) for name in of_network}

    def __getitem__(self, step: int) -> Batch:
        found = torch.from_numpy(np.stack([sampler(step) for sampler in self.samplers]))
        rows = found.to(self.device)
        inputs = self._gather(rows.flatten())
        labels = {
            name: self.labels[name].index_select(0, rows[i]) for name, i in self.networks.items()
        }
        return Batch(inputs.view(*rows.shape, *inputs.shape[1:]), labels, None, {})

    def rows(self, step: int, term: str) -> NDArray[np.int64]:
        """Return the rows of a step that a term of the loss is of."""
        return self.samplers[self.networks[term.partition("/")[2]]](step)


def label_tensors(annotations: Annotations, device: torch.device | str) -> dict[str, Tensor]:
    """Return the codes of every task as tensors on a device."""
    return {name: tensor(codes, device) for name, codes in annotations.labels.items()}
