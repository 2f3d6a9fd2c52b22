"""Decision thresholds of a multilabel task, chosen on validation rows."""

import numpy as np
from numpy.typing import ArrayLike

from labelweave.errors import LabelweaveError
from labelweave.evaluation._checks import Floats, checked
from labelweave.tasks import Multiclass, Task

DEFAULT = 0.5
# with fewer observed elements the best threshold is mostly chance
MIN_OBSERVED = 10


def best_thresholds(task: Task, probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """Return per label the threshold (L,) that maximises F1 on the given (validation) rows.

    The candidates are the midpoints between neighbouring scores of observed elements, and between
    the lowest one and 0; of equally good ones the nearest to 0.5 is taken. A label with fewer than
    10 observed elements, or without a positive or a negative one, keeps 0.5.

    Args:
        task: a multilabel (or binary) task.
        probabilities: (n, L), of each label being on.
        labels: (n, L): 1, 0 or -1 = missing.

    Raises:
        LabelweaveError: a multiclass task, or input that does not fit the task.
    """
    if isinstance(task, Multiclass):
        raise LabelweaveError(
            f"task '{task.name}': found a multiclass task, expected a multilabel or binary one "
            "to choose thresholds for"
        )
    scores, codes, _ = checked(task, probabilities, labels)
    observed, positive = codes >= 0, codes == 1
    counts, positives = observed.sum(axis=0), positive.sum(axis=0)
    usable = (counts >= MIN_OBSERVED) & (positives > 0) & (positives < counts)
    if not usable.any():
        return np.full(task.width, DEFAULT)

    # descending; missing elements go last, where they add nothing to the sums
    order = np.argsort(np.where(observed, -scores, 1.0), axis=0, kind="stable")
    high = np.take_along_axis(np.where(observed, scores, 0.0), order, axis=0)
    low = np.concatenate([high[1:], np.zeros((1, task.width))])
    hits = np.cumsum(np.take_along_axis(positive, order, axis=0), axis=0)
    rank = np.arange(1, len(codes) + 1)[:, None]
    f1 = 2 * hits / (rank + positives)
    # a cut can only lie between different scores, or below the last observed one
    f1[(high == low) & (rank != counts)] = -1
    middle = (high + low) / 2
    # between two neighbouring floats the midpoint can round down to the lower one
    cuts = np.where(middle > low, middle, high)
    distance = np.where(f1 == f1.max(axis=0), np.abs(cuts - DEFAULT), np.inf)
    best = np.take_along_axis(cuts, distance.argmin(axis=0)[None], axis=0)[0]
    return np.where(usable, best, DEFAULT)
