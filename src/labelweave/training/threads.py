"""How many threads a step is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_STEP = 50_000_000  # weights x rows of a step below which a second thread does not pay


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Train on one thread inside the block when a step is small.

    Threads that wait for each other at every small layer cost more than they save, most of all on
    a busy machine.

    Args:
        work: the network's weights times the rows of a step.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if work < SMALL_STEP else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
