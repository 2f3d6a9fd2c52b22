"""Batches: whole-batch gathers from arrays, one index operation an array, no worker processes."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelweave.annotations import Annotations
from labelweave.balancing import Sampler
from labelweave.data._row_store import Block, Inputs, StoredInputs

Gather = Callable[[Tensor], Tensor]
SHARE = 0.3  # of an accelerator's free memory that inputs may take, so as not to be copied again
CHUNK = 32 * 2**20  # bytes of stored rows that are read together
LARGEST_CHUNK = 8192  # rows


def tensor(array: NDArray[Any], device: torch.device | str) -> Tensor:
    """Return an array as a tensor on a device, on the CPU without a copy."""
    with warnings.catch_warnings():
        # a read-only array, such as a memory-mapped one, is only ever gathered from
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def chunk_rows(inputs: StoredInputs) -> int:
    """Return how many rows to read at a time."""
    return max(1, min(LARGEST_CHUNK, CHUNK // inputs.row_bytes))


def gatherer(inputs: Tensor | StoredInputs, device: torch.device | str) -> Gather:
    """Return the function from row numbers, int64 (b,), to a batch, (b, ...), on a device.

    Pixels are gathered on the CPU into memory that the next batch takes again.

    Args:
        inputs: n rows, on the device; stored ones move there when they take little of its memory,
            else every batch is copied.
        device: where the batch is wanted.
    """
    if isinstance(inputs, Tensor):
        return lambda rows: inputs.index_select(0, rows)
    device = torch.device(device)
    here = _held_on(inputs, device) if device.type == "cuda" else torch.device("cpu")
    blocks = [block for block in inputs.blocks if isinstance(block, Block)]
    parts = [_block_gatherer(block, here, device) for block in blocks]
    if len(parts) == 1:
        return parts[0]
    return lambda rows: torch.cat([part(rows) for part in parts], dim=1)


def _held_on(inputs: StoredInputs, device: torch.device) -> torch.device:
    free, _ = torch.cuda.mem_get_info(device)
    fits = len(inputs) * inputs.row_bytes <= SHARE * free
    return device if fits else torch.device("cpu")


def _block_gatherer(block: Block, here: torch.device, device: torch.device) -> Gather:
    if here.type == "cpu":
        held, index = tensor(block.array, here), tensor(block.index, here)
    else:
        held, index = _moved(block, here), torch.arange(len(block.index), device=here)
    if not held.is_floating_point():
        if here.type == "cpu":
            return _pixel_gatherer(held, block.index, device)
        return lambda rows: held.index_select(0, rows)
    mean = None if block.mean is None else tensor(block.mean, device)
    scale = None if block.scale is None else tensor(block.scale, device)

    def floats(rows: Tensor) -> Tensor:
        found = held.index_select(0, index[rows.to(here)]).to(device).float()
        return found if mean is None or scale is None else (found - mean) / scale

    return floats


def _pixel_gatherer(held: Tensor, index: NDArray[np.int64], device: torch.device) -> Gather:
    stored, buffer = held.numpy(), torch.empty(0, dtype=held.dtype)

    def pixels(rows: Tensor) -> Tensor:
        # fresh memory would take as long as the copying: the system clears every page of it
        nonlocal buffer
        shape = (len(rows), *held.shape[1:])
        if buffer.shape != shape:
            buffer = buffer.new_empty(shape, pin_memory=device.type == "cuda")
        # the fastest copy there is of whole rows; "clip", or numpy would write a copy first
        np.take(stored, index[rows.cpu().numpy()], axis=0, out=buffer.numpy(), mode="clip")
        return buffer.to(device)

    return pixels


def _moved(block: Block, device: torch.device) -> Tensor:
    shape = (len(block.index), *block.array.shape[1:])
    row = int(np.prod(shape[1:])) * block.array.dtype.itemsize
    step = max(1, CHUNK // row)
    moved = torch.empty(shape, dtype=torch.from_numpy(block.array[:0]).dtype, device=device)
    for start in range(0, shape[0], step):
        moved[start : start + step] = tensor(block.array[block.index[start : start + step]], device)
    return moved


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
