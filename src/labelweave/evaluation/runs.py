"""The test rows of a study's runs: an arm's predictions, the labels, the groups of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave.annotations import Codes
from labelweave.errors import LabelweaveError
from labelweave.evaluation._checks import Floats, checked
from labelweave.tasks import Task


@dataclass(frozen=True, eq=False)
class TestResult:
    """What one arm predicted for one task on the test rows of one run.

    Args:
        probabilities: (n, K) or (n, L), as in `evaluate`.
        labels: codes (n,) or (n, L); -1 = missing.
        thresholds: (L,), multilabel tasks only (default 0.5).
        groups: the code of each row's group (n,), from 0, the same in all runs; a row that stands
            in several runs, or belongs to nobody else, is a group as well. None = the rows of this
            run are independent of each other and of those of other runs.
    """

    __test__: ClassVar[bool] = False  # pytest would take the name for a test class

    probabilities: ArrayLike
    labels: ArrayLike
    thresholds: ArrayLike | None = None
    groups: ArrayLike | None = None


class Run(NamedTuple):
    """The labelled test rows of one run; groups None = every row by itself."""

    scores: Floats
    labels: Codes
    cuts: Floats | None
    groups: NDArray[np.int64] | None


def labelled(task: Task, result: TestResult) -> Run:
    """Return what a result says of its labelled rows.

    Raises:
        LabelweaveError: a result that does not fit the task, or groups that are no codes.
    """
    scores, labels, cuts = checked(task, result.probabilities, result.labels, result.thresholds)
    seen = labels >= 0 if labels.ndim == 1 else (labels >= 0).any(axis=1)
    if result.groups is None:
        return Run(scores[seen], labels[seen], cuts, None)
    groups: NDArray[Any] = np.asarray(result.groups)
    if groups.shape != seen.shape or groups.dtype.kind not in "iu" or (groups < 0).any():
        raise LabelweaveError(
            f"task '{task.name}': found groups of type {groups.dtype} and shape {groups.shape}, "
            f"expected codes from 0, of shape {seen.shape}"
        )
    return Run(scores[seen], labels[seen], cuts, groups[seen].astype(np.int64))


def numbered_groups(runs: Sequence[Run]) -> list[NDArray[np.int64]]:
    """Return each run's groups, numbered from 0 over all runs; without groups, one a row."""
    lengths = np.cumsum([len(run.labels) for run in runs])
    codes = [
        # codes of its own, below 0
        np.arange(len(run.labels)) - end if run.groups is None else run.groups
        for run, end in zip(runs, lengths, strict=True)
    ]
    numbers = np.unique(np.concatenate(codes), return_inverse=True)[1]
    return np.split(numbers, lengths[:-1])
