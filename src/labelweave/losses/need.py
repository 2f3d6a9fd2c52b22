"""How much a task still has to learn from the others: the more labels of its own, the less.

What a table says of a target, q(t|x) = sum_s p(s|x) T[s,t], leaves out what the inputs show of t
beyond the class s. That costs nothing where labels are rare, and harms where they are plentiful.
So what a task learns from others counts by fade / (fade + its own labels).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.losses.constant import constant
from labelweave.losses.stack import RelationStacks
from labelweave.tasks import Multiclass, Task

FADE = 20.0
Counts = Mapping[str, NDArray[np.float64]]
Needs = Mapping[str, NDArray[np.float64]]


def own_labels(annotations: Annotations) -> Counts:
    """Return per task the labelled rows of every class, (K,), or of a label's rarer side, (L,)."""
    counts: dict[str, NDArray[np.float64]] = {}
    for task in annotations.tasks:
        codes = annotations.labels[task.name]
        if isinstance(task, Multiclass):
            found = np.bincount(codes[codes >= 0], minlength=task.width)
        else:
            found = np.minimum((codes == 1).sum(axis=0), (codes == 0).sum(axis=0))
        counts[task.name] = found.astype(np.float64)
    return counts


def needs(tasks: Sequence[Task], counts: Mapping[str, ArrayLike], fade: float) -> Needs:
    """Return per task the factor of what it learns from others, (width,), above 0 up to 1.

    Args:
        tasks: the tasks; one without counts has the need 1.
        counts: own labels, as `own_labels` gives them.
        fade: labels of a class, or of a label's rarer side, at which the factor is one half. A
            multiclass task has one factor, the mean over its classes, for all its classes.

    Raises:
        LabelweaveError: counts of another shape than (width,).
    """
    found: dict[str, NDArray[np.float64]] = {}
    for task in tasks:
        own = np.asarray(counts.get(task.name, np.zeros(task.width)), dtype=np.float64)
        if own.shape != (task.width,):
            raise LabelweaveError(
                f"task '{task.name}': found own labels of shape {own.shape}, expected "
                f"{(task.width,)}"
            )
        need = fade / (fade + own)
        one = isinstance(task, Multiclass)
        found[task.name] = np.full_like(need, need.mean()) if one else need
    return found


def target_needs(stacks: RelationStacks, needs: Needs) -> Tensor:
    """Return the need of the target at each of the stacks' M columns, (M,)."""
    targets = [relation.target for relation in stacks.relations]
    # of a multilabel target: every label on, then every label off
    parts = [np.tile(needs[t.name], 1 if isinstance(t, Multiclass) else 2) for t in targets]
    return constant(np.concatenate(parts))


def source_needs(stacks: RelationStacks, needs: Needs) -> Tensor:
    """Return the need of the source task at each of the stacks' M columns, (M,)."""
    parts = [np.full(stack.width, needs[stack.source].mean()) for stack in stacks]
    return constant(np.concatenate(parts))
