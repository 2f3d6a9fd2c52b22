"""The one-cycle learning rate as a function of the step, so that resuming needs no state."""

import math


def one_cycle(step: int, total: int, peak: float, warm_up: float = 0.3) -> float:
    """Return the learning rate of a step (Smith and Topin, 2018; cosine form of PyTorch).

    Rises from ``peak / 25`` to `peak` over the share `warm_up` of the steps, then falls to
    ``peak / 250000``.

    Args:
        step: 0 to total - 1.
        total: number of steps.
        peak: the highest learning rate.
        warm_up: share of the steps that rise.
    """
    start, end = peak / 25, peak / 25 / 1e4
    top = warm_up * total - 1
    if step <= top:
        return _cosine(start, peak, step / top if top > 0 else 1.0)
    return _cosine(peak, end, (step - top) / max(1e-9, total - 1 - top))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, share)))
