"""Memory that a step gives back and the next one wants again."""

import torch

BLOCK = 16 * 2**20  # bytes


def keep_freed_memory() -> None:
    """Have the C library keep what is freed at the end of its heap, up to twice a block's size.

    glibc hands it back to the system above twice the largest block that was ever freed, and every
    step then faults the same pages in anew: with 50 relations a tenth of its time. So one block is
    freed here, never written to. Other C libraries are not touched by it.
    """
    torch.empty(BLOCK, dtype=torch.uint8)
