"""Rows of inputs gathered into a batch, by one index operation."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelweave.data.stored_inputs import Block, StoredInputs

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
