"""The Pareto front between tasks: what cannot be bettered on one task without loss on another."""

from collections.abc import Mapping

import numpy as np


def pareto_front(points: Mapping[int, Mapping[str, float]]) -> list[int]:
    """Return the numbers of the points that no other dominates, in order; of equal ones the first.

    Args:
        points: number to the gain of every task, higher is better.
    """
    front: list[int] = []
    for number, point in points.items():
        others = [other for key, other in points.items() if key != number]
        equal = any(dict(points[kept]) == dict(point) for kept in front)
        if not equal and not any(dominates(other, point) for other in others):
            front.append(number)
    return front


def dominates(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """Return whether `a` is better than `b` on some task and worse on none."""
    differences = np.array([a[name] - b[name] for name in b])
    return bool((differences >= 0).all() and (differences > 0).any())
